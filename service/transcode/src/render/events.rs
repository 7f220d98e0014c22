//! Server-sent events: `text/event-stream`.
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
//!
//! | | |
//! |---|---|
//! | message | `data: ` and its JSON; in front of it `id: ` and `event: ` where the method's `stream` option names fields |
//! | success | the method's terminator as `data: `; or `event: end` with `data: {}`, a `google.rpc.Status` that is OK; or nothing, where the last message says so |
//! | error | `event: error` with the error in the shape of the API; without a name where clients tell it by its `error` member |
//! | cut | neither |
//! | silence | a comment |
//! | beginning | `retry: ` where the method has one |

use tonic::{Code, Status};

use super::Call;
use super::stream::{Framing, write_line};
use crate::ErrorShape;
use crate::route::StreamEnd;
use crate::status;

pub(super) struct Events;

impl Framing for Events {
    const KEEP_ALIVE: &'static [u8] = b": keep-alive\n\n";

    fn media_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn start(&mut self, call: &Call, out: &mut Vec<u8>) {
        if let Some(millis) = call.method.event_fields.retry {
            out.extend_from_slice(format!("retry: {millis}\n\n").as_bytes());
        }
    }

    fn message(&mut self, call: &Call, message: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
        let start = out.len();
        call.method.event_fields.write(&call.shared.plans, message, out);
        out.extend_from_slice(b"data: ");
        write_line(call, message, out).inspect_err(|_| out.truncate(start))?;
        out.extend_from_slice(b"\n\n");
        Ok(())
    }

    fn end(&mut self, call: &Call, status: &Status, out: &mut Vec<u8>) {
        if status.code() == Code::Ok {
            match &call.method.end {
                StreamEnd::Text(text) => out.extend_from_slice(format!("data: {text}\n\n").as_bytes()),
                StreamEnd::Named => out.extend_from_slice(b"event: end\ndata: {}\n\n"),
                StreamEnd::None => {}
            }
            return;
        }
        let shape = call.method.error_shape;
        if matches!(shape, ErrorShape::Status | ErrorShape::Anthropic) {
            out.extend_from_slice(b"event: error\n");
        }
        out.extend_from_slice(b"data: ");
        let http = status::http_status(status.code());
        out.extend_from_slice(&status::body(Some(&call.shared.plans), shape, status, http));
        out.extend_from_slice(b"\n\n");
    }
}
