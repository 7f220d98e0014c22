//! One JSON array: `application/json`.
//!
//! | | |
//! |---|---|
//! | message | an element |
//! | success | the closing `]` |
//! | error | a last element `{"@error":{...}}`, as in [`lines`](super::lines), and **no** `]` |
//! | cut | no `]` |
//! | silence | a space between elements |
//!
//! Whoever parses the body as JSON succeeds exactly when the stream did. An array closed behind an error would be well-formed,
//! and a client that decodes its elements into a type would take the error for one more of them with nothing set. The body
//! itself ends in good order, so that the error arrives whole: readers of elements see it, and so does whoever prints what
//! could not be parsed.

use tonic::{Code, Status};

use super::Call;
use super::lines::terminal;
use super::stream::Framing;

#[derive(Default)]
pub(super) struct Array {
    /// Whether an element has been written.
    begun: bool,
}

impl Array {
    fn comma(&mut self, out: &mut Vec<u8>) {
        if self.begun {
            out.extend_from_slice(b",\n");
        }
    }
}

impl Framing for Array {
    const KEEP_ALIVE: &'static [u8] = b" ";

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn start(&mut self, _: &Call, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn message(&mut self, call: &Call, message: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
        let start = out.len();
        self.comma(out);
        call.write(message, out).inspect_err(|_| out.truncate(start))?;
        self.begun = true;
        Ok(())
    }

    fn end(&mut self, call: &Call, status: &Status, out: &mut Vec<u8>) {
        if status.code() == Code::Ok {
            out.push(b']');
        } else {
            self.comma(out);
            terminal(&call.shared.plans, call.method.error_shape, status, out);
        }
    }
}
