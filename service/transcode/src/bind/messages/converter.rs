//! One JSON text to one framed message of a request stream, and what path and query say into the first of them.
//!
//! Knows nothing of where the texts come from.

use std::sync::Arc;

use http::Uri;

use super::super::body::too_large;
use super::super::{Refusal, invalid};
use crate::frame;
use crate::json::ReadError;
use crate::route::{BodyPart, Route};
use crate::transcoder::Shared;

/// Converts the texts of one request.
pub(crate) struct Converter {
    shared: Arc<Shared>,
    route: Arc<Route>,
    /// Until it is bound into the first message.
    uri: Option<Uri>,
    index: u64,
}

impl Converter {
    pub(crate) fn new(shared: Arc<Shared>, route: Arc<Route>, uri: Uri) -> Self {
        Self { shared, route, uri: Some(uri), index: 0 }
    }

    /// Appends the framed message that `text` says. On an error `out` is as it was.
    pub(crate) fn message(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.framed(Some(text), out)
    }

    /// Appends the framed message that path and query say alone.
    pub(crate) fn bare(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.framed(None, out)
    }

    fn framed(&mut self, text: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let header = frame::open(out);
        let mut written = self.fields(text, out);
        if written.is_ok() {
            written = frame::close(out, header).ok_or_else(|| too_large(u32::MAX as usize));
        }
        if written.is_err() {
            out.truncate(header);
        }
        self.index += 1;
        written
    }

    fn fields(&mut self, text: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let start = out.len();
        let (plans, input, limits) = (&self.shared.plans, self.route.method.input, self.route.method.limits.json);
        if let Some(text) = text {
            let read = match self.route.body {
                BodyPart::Field(field) => plans.read_field(input, field, text, limits, out),
                BodyPart::Whole | BodyPart::None => plans.read(input, text, limits, out),
            };
            read.map_err(|error| self.refuse(&error))?;
        }
        match self.uri.take() {
            Some(uri) => Ok(self.shared.bind_uri(&self.route, &uri, out, start)?),
            None => Ok(()),
        }
    }

    /// An error in the current message; which one it is matters where there can be several.
    fn refuse(&self, error: &ReadError) -> Refusal {
        let path = error.field_path();
        if !self.route.method.client_streaming {
            return invalid(path, error.message()).into();
        }
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        invalid(&format!("[{}]{dot}{path}", self.index), error.message()).into()
    }
}
