//! What the upstream does with a request: how long it waits, what it says, and where it breaks off.

use std::{collections::VecDeque, fmt, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use super::record::{Ending, OpenAnswer};

/// One step of an answer's body.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// These bytes, in one write if nothing follows at once.
    Bytes(Bytes),
    /// Nothing for this long; what was said before is on its way by then, however short the wait.
    Wait(Duration),
    /// Nothing any more, with the connection left open.
    Silence,
    /// The connection closes in the middle of the body.
    Cut,
}

impl Step {
    /// An event of a stream.
    pub(crate) fn event(data: impl fmt::Display) -> Self {
        Self::Bytes(format!("data: {data}\n\n").into())
    }

    /// The marker that ends a stream.
    pub(crate) fn done() -> Self {
        Self::event("[DONE]")
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// How long to wait before the head is sent; `None`: for ever.
    pub(crate) before_headers: Option<Duration>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) steps: Vec<Step>,
}

/// The body of a response.
pub(super) type ReplyBody = UnsyncBoxBody<Bytes, CutHere>;

/// Makes hyper close the connection in the middle of a body.
#[derive(Debug)]
pub(super) struct CutHere;

impl fmt::Display for CutHere {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the script cuts the connection here")
    }
}

impl std::error::Error for CutHere {}

impl Reply {
    /// A body of this type in these steps.
    pub(crate) fn of(content_type: &str, steps: Vec<Step>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { before_headers: Some(Duration::ZERO), status: 200, headers, steps }
    }

    /// A stream of events.
    pub(crate) fn events(steps: Vec<Step>) -> Self {
        Self::of("text/event-stream; charset=utf-8", steps)
    }

    /// A JSON document.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        let length = ("content-length", body.len().to_string());
        Self { status, ..Self::of("application/json", vec![Step::Bytes(body.into())]) }.with_header(length)
    }

    /// An error in OpenAI's shape. Source: <https://platform.openai.com/docs/guides/error-codes>.
    pub(crate) fn error(status: u16, kind: &str, code: Option<&str>, message: &str) -> Self {
        Self::json(status, &json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
    }

    /// Never answers, and leaves the connection open.
    pub(crate) fn silence() -> Self {
        Self { before_headers: None, ..Self::events(Vec::new()) }
    }

    /// The same with another header.
    pub(crate) fn with_header(mut self, header: (&'static str, String)) -> Self {
        self.headers.push(header);
        self
    }

    /// The same after a wait.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { before_headers: Some(delay), ..self }
    }

    pub(super) fn into_response(self, open: Option<OpenAnswer>) -> Response<ReplyBody> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        // hyper drops a body of known length when its last byte is out and asks no more of it, so the end is noted with
        // the last step that is taken, not with the one that finds none left.
        let steps = stream::unfold((VecDeque::from(self.steps), open), |(mut steps, open)| async move {
            loop {
                let step = steps.pop_front();
                if let (Some(open), true) = (&open, steps.is_empty()) {
                    match step {
                        Some(Step::Bytes(_) | Step::Wait(_)) | None => open.end(Ending::Finished),
                        Some(Step::Cut) => open.end(Ending::Cut),
                        Some(Step::Silence) => {}
                    }
                }
                match step? {
                    Step::Bytes(bytes) => return Some((Ok(Frame::data(bytes)), (steps, open))),
                    // Whatever waits for its turn makes hyper write what it has.
                    Step::Wait(Duration::ZERO) => tokio::task::yield_now().await,
                    Step::Wait(delay) => tokio::time::sleep(delay).await,
                    Step::Silence => std::future::pending().await,
                    Step::Cut => return Some((Err(CutHere), (steps, open))),
                }
            }
        });
        response.body(StreamBody::new(steps).boxed_unsync()).unwrap()
    }
}
