//! The answer to a socket's call: the pieces of a gRPC response as they come, and how it ended.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tonic::body::Body;
use tonic::{Code, Status};

use super::close;
use crate::bind::Refusal;
use crate::render;
use crate::status::{self, HttpStatus};

/// A call whose answer has not begun.
pub(super) type Call = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// An answer. Dropping it drops the call.
pub(super) enum Answer {
    Waiting(Call),
    Begun(Body),
    /// All there was to say is said in the head.
    Ended(End),
}

/// What comes next of an answer.
pub(super) enum Piece {
    /// Bytes of framed messages.
    Data(Bytes),
    End(End),
}

/// How a call ended.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) status: Status,
    /// The close code, where there is a better one than the status has.
    pub(super) close: Option<CloseCode>,
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self { status, close: None }
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self { close: refusal.http.and_then(close::of_http), status: refusal.status }
    }
}

/// Whether the call was refused, or failed, before there was any answer.
pub(super) fn is_refusal(response: &Response<Body>) -> bool {
    status::of_headers(response.headers()).is_some_and(|status| status.code() != Code::Ok)
}

impl Answer {
    pub(super) fn begun(response: Response<Body>) -> Self {
        let close = response.extensions().get::<HttpStatus>().and_then(|status| close::of_http(status.0));
        match status::of_headers(response.headers()) {
            Some(status) => Self::Ended(End { status, close }),
            None => Self::Begun(response.into_body()),
        }
    }

    /// Waits for the next piece; after an end there is none. May be dropped while it waits without losing any.
    pub(super) async fn next(&mut self) -> Piece {
        loop {
            match self {
                Self::Waiting(call) => *self = Self::begun(call.await),
                Self::Ended(end) => return Piece::End(end.clone()),
                Self::Begun(body) => {
                    let status = match body.frame().await {
                        None => render::end_of(None),
                        Some(Err(status)) => status,
                        Some(Ok(frame)) => match frame.into_data() {
                            Ok(data) => return Piece::Data(data),
                            Err(frame) => render::end_of(frame.into_trailers().ok().as_ref()),
                        },
                    };
                    return Piece::End(status.into());
                }
            }
        }
    }
}
