//! Reads an answer's body as a whole, within limits.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use hyper::body::Incoming;

use super::failure::{expired, lost_body};
use super::watchdog::Watchdog;
use crate::error::{UpstreamError, UpstreamErrorKind};

/// Reads the whole body, of at most `limit` bytes.
pub(crate) async fn read_whole(
    mut body: Incoming,
    limit: usize,
    mut watchdog: Pin<&mut Watchdog>,
) -> Result<Bytes, UpstreamError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    // Most answers come in one piece, which is then handed on without a copy.
    let Some(first) = next_piece(&mut body, watchdog.as_mut()).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() && first.len() <= limit {
        return Ok(first);
    }
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0);
    let mut whole = BytesMut::with_capacity((first.len() + expected).min(limit));
    let mut piece = Some(first);
    while let Some(bytes) = piece {
        if whole.len() + bytes.len() > limit {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&bytes);
        piece = next_piece(&mut body, watchdog.as_mut()).await?;
    }
    Ok(whole.freeze())
}

/// Reads at most `limit` bytes of the body and no more; what arrived before a failure is good enough. For the bodies
/// of errors.
pub(crate) async fn read_beginning(mut body: Incoming, limit: usize, mut watchdog: Pin<&mut Watchdog>) -> Bytes {
    let mut beginning = BytesMut::new();
    while let Ok(Some(bytes)) = next_piece(&mut body, watchdog.as_mut()).await {
        beginning.extend_from_slice(&bytes[..bytes.len().min(limit - beginning.len())]);
        if beginning.len() == limit {
            break;
        }
    }
    beginning.freeze()
}

async fn next_piece(body: &mut Incoming, mut watchdog: Pin<&mut Watchdog>) -> Result<Option<Bytes>, UpstreamError> {
    poll_fn(|context| {
        loop {
            match Pin::new(&mut *body).poll_frame(context) {
                // Trailers carry nothing for us.
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => {
                        watchdog.as_mut().heard();
                        return Poll::Ready(Ok(Some(bytes)));
                    }
                    Err(_) => continue,
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(lost_body(&error))),
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Pending => {
                    let silent = watchdog.as_mut().poll_expired(context);
                    return silent.map(|reason| Err(expired(reason, "the rest of the answer")));
                }
            }
        }
    })
    .await
}

fn too_large(limit: usize) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::TooLarge, format!("the upstream's answer is larger than {limit} bytes"))
}
