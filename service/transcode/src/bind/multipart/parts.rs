//! The parts of a `multipart/form-data` body, read one after the other as they arrive.
//!
//! Source: RFC 7578. Bounded: what all parts hold together, and what stands between them (headers, a preamble). No
//! further ahead is read than one chunk of the body. Knows nothing of messages or fields.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use http::header::CONTENT_TYPE;
use multer::{Field, Multipart};
use tonic::Status;
use tonic::body::Body;

use crate::bind::Refusal;
use crate::bind::body::{next_chunk, too_large};

/// How much may be read without coming to data of a part: headers and boundaries are far smaller.
const MAX_BETWEEN: usize = 64 << 10;

/// A multipart body.
pub(super) struct Parts {
    multipart: Multipart<'static>,
    between: Arc<AtomicUsize>,
}

impl Parts {
    /// Reads `body`, whose parts `boundary` divides: no more than `limit` bytes, no pause longer than `idle`.
    pub(super) fn new(body: Body, boundary: String, limit: usize, idle: Duration) -> Self {
        let between = Arc::new(AtomicUsize::new(0));
        let chunks = futures_util::stream::unfold((body, 0usize), move |(mut body, taken)| async move {
            let chunk = match next_chunk(&mut body, idle).await {
                Ok(None) => return None,
                Ok(Some(chunk)) if chunk.len() > limit.saturating_sub(taken) => Err(Broken(too_large(limit))),
                Ok(Some(chunk)) => Ok(chunk),
                Err(refusal) => Err(Broken(refusal)),
            };
            let taken = taken + chunk.as_ref().map_or(0, Bytes::len);
            Some((chunk, (body, taken)))
        });
        let paced = Paced { chunks: chunks.boxed(), between: between.clone(), pause: false };
        Self { multipart: Multipart::new(paced, boundary), between }
    }

    /// The next part; the one before it must have been read or dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, Refusal> {
        self.between.store(0, Ordering::Relaxed);
        let field = self.multipart.next_field().await.map_err(refuse)?;
        Ok(field.map(|field| Part { field, between: self.between.clone() }))
    }
}

/// One part.
pub(super) struct Part {
    field: Field<'static>,
    between: Arc<AtomicUsize>,
}

impl Part {
    pub(super) fn name(&self) -> Option<&str> {
        self.field.name()
    }

    /// Its content type as it was written; empty without one.
    pub(super) fn content_type(&self) -> &str {
        self.field.headers().get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default()
    }

    /// Whether it is a file input of a page where no file was chosen, provided that it is empty.
    pub(super) fn is_unchosen(&self) -> bool {
        self.field.file_name() == Some("")
    }

    /// The next piece of its data; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Refusal> {
        self.between.store(0, Ordering::Relaxed);
        self.field.chunk().await.map_err(refuse)
    }

    /// All its data, if that is no more than `limit` bytes.
    pub(super) async fn data(&mut self, limit: usize) -> Result<Vec<u8>, Refusal> {
        let mut data = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > limit - data.len() {
                return Err(too_large(limit));
            }
            data.extend_from_slice(&chunk);
        }
        Ok(data)
    }
}

/// The chunks of a body, one for each time it is asked: the reader of parts would buffer whatever is ready.
struct Paced {
    chunks: BoxStream<'static, Result<Bytes, Broken>>,
    /// Bytes read since the last data of a part.
    between: Arc<AtomicUsize>,
    pause: bool,
}

impl Stream for Paced {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let chunk = ready!(self.chunks.poll_next_unpin(context));
        if let Some(Ok(chunk)) = &chunk {
            self.pause = true;
            if self.between.fetch_add(chunk.len(), Ordering::Relaxed) > MAX_BETWEEN {
                let problem = format!("more than {MAX_BETWEEN} bytes stand between the parts of the body");
                return Poll::Ready(Some(Err(Broken(Status::invalid_argument(problem).into()))));
            }
        }
        Poll::Ready(chunk)
    }
}

/// What was wrong below the reader of parts, on its way through it.
#[derive(Debug, thiserror::Error)]
#[error("the body cannot be read")]
struct Broken(Refusal);

fn refuse(error: multer::Error) -> Refusal {
    match error {
        multer::Error::StreamReadFailed(error) => match error.downcast::<Broken>() {
            Ok(broken) => broken.0,
            Err(_) => Status::invalid_argument("the body cannot be read").into(),
        },
        multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
            Status::invalid_argument("the multipart body ends before its last boundary").into()
        }
        _ => Status::invalid_argument("the headers of a part are malformed").into(),
    }
}
