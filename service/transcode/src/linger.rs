//! Request bodies that nobody reads to their end, over HTTP/1.1: a while longer they are read and thrown away.
//!
//! A request can be answered before its body is there: refused by its headers, or by its first message. A connection that
//! is closed with bytes unread is reset, and the client that is still sending sees a broken pipe instead of the answer.
//! Over HTTP/2 a stream ends without harm to the connection, and nothing of this is needed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tonic::Status;
use tonic::body::Body;

/// How long, and how much of it: enough for a client to notice the answer, too little to be of use to anyone else.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST: usize = 16 << 20;

/// A body whose rest is read when it is dropped.
#[derive(Debug)]
pub(crate) struct Lingering {
    /// None once it has ended.
    body: Option<Body>,
    /// Whether the client waits for a sign before it sends anything (RFC 9110, section 10.1.1), which the first read
    /// gives.
    waits: bool,
}

impl Lingering {
    pub(crate) fn new(body: Body, waits: bool) -> Self {
        Self { body: Some(body), waits }
    }
}

impl http_body::Body for Lingering {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !self.waits && !http_body::Body::is_end_stream(body))
        else {
            return;
        };
        // Without a runtime there is no connection either.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let rest = async move {
            let mut read = 0;
            while read < MOST
                && let Some(Ok(frame)) = body.frame().await
            {
                read += frame.data_ref().map_or(0, Bytes::len);
            }
        };
        runtime.spawn(tokio::time::timeout(PATIENCE, rest));
    }
}
