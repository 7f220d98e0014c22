//! One JSON text a line: `application/x-ndjson`, `application/jsonl`.
//!
//! | | |
//! |---|---|
//! | message | its JSON and a line feed; no line feed within |
//! | success | the line `{"@end":{}}`, whose value is a `google.rpc.Status` that is OK |
//! | error | the line `{"@error":{...}}`, whose value is the error in the shape of the API, without an envelope |
//! | cut | neither |
//! | silence | a space, which may stand in front of any JSON text: an empty line would be none |
//!
//! The last line is always one of the two, so that whoever reads up to the end of the body knows whether it is whole. Messages
//! are not wrapped: a reader that looks at the last line alone is as good as one that unwraps each. No field can be called
//! `@end` or `@error`, as `google.protobuf.Any` relies on with `@type`; only a method that streams `google.protobuf.Struct`
//! or `Value` could say such a thing itself.
//!
//! A WebSocket ends with the same two texts, as frames.

use tonic::{Code, Status};

use super::Call;
use super::stream::{Framing, write_line};
use crate::ErrorShape;
use crate::json::Plans;
use crate::status;

/// Under this media type.
pub(super) struct Lines(pub(super) &'static str);

impl Framing for Lines {
    const KEEP_ALIVE: &'static [u8] = b" ";

    fn media_type(&self) -> &'static str {
        self.0
    }

    fn message(&mut self, call: &Call, message: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
        write_line(call, message, out)?;
        out.push(b'\n');
        Ok(())
    }

    fn end(&mut self, call: &Call, status: &Status, out: &mut Vec<u8>) {
        terminal(&call.shared.plans, call.method.error_shape, status, out);
        out.push(b'\n');
    }
}

/// Appends the JSON text, on one line, that ends a sequence of JSON texts and says how it ended.
pub(crate) fn terminal(plans: &Plans, shape: ErrorShape, status: &Status, out: &mut Vec<u8>) {
    if status.code() == Code::Ok {
        out.extend_from_slice(br#"{"@end":{}}"#);
        return;
    }
    out.extend_from_slice(br#"{"@error":"#);
    out.extend_from_slice(&status::object(Some(plans), shape, status, status::http_status(status.code())));
    out.push(b'}');
}
