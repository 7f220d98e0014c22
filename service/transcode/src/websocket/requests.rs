//! The request stream of a socket's call: a gRPC body that the socket feeds, one message at a time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;
use tonic::body::Body;

/// What feeds the stream: a framed message, or `None` for its end.
pub(super) type Requests = mpsc::Sender<Option<Bytes>>;

/// A request stream: what feeds it, its body, and the news that somebody asked for the first message.
pub(super) fn stream() -> (Requests, Body, Reached) {
    // One message waits while another is handled; beyond that, the socket is not read.
    let (requests, messages) = mpsc::channel(1);
    let (reached, news) = oneshot::channel();
    (requests, Body::new(RequestBody { messages, reached: Some(reached), ended: false }), Reached(news))
}

/// Tells when the first message is asked for.
pub(super) struct Reached(oneshot::Receiver<()>);

impl Reached {
    /// Waits for it; for ever, where the stream is dropped instead.
    pub(super) async fn wait(self) {
        if self.0.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

struct RequestBody {
    messages: mpsc::Receiver<Option<Bytes>>,
    reached: Option<oneshot::Sender<()>>,
    ended: bool,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(reached) = self.reached.take() {
            // Nobody listens once the handshake has been answered.
            let _ = reached.send(());
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let message = ready!(self.messages.poll_recv(context));
        Poll::Ready(match message {
            Some(Some(message)) => Some(Ok(Frame::data(message))),
            Some(None) => {
                self.ended = true;
                None
            }
            None => {
                self.ended = true;
                // Not CANCELLED: tonic takes that code in a request stream for the stream's normal end.
                Some(Err(Status::aborted("the socket closed before the request stream ended")))
            }
        })
    }
}
