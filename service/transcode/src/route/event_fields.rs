//! Which fields of a streamed message become the `id:` and the `event:` of its server-sent event, and the `retry:` in
//! front of the first: the `stream` option of a method, resolved against plans.

use super::field_path::FieldPath;
use crate::json::{MessageId, Plans};
use crate::options::StreamShape;

/// What the events of a method carry beside their data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EventFields {
    pub(crate) id: Option<FieldPath>,
    pub(crate) event: Option<FieldPath>,
    /// Milliseconds.
    pub(crate) retry: Option<u32>,
}

impl EventFields {
    pub(super) fn resolve(plans: &Plans, output: MessageId, shape: &StreamShape) -> Result<Self, String> {
        let resolve = |option: &str, path: &Option<String>| {
            let Some(path) = path else { return Ok(None) };
            let field = FieldPath::resolve(plans, output, path).map_err(|problem| format!("{option}: {problem}"))?;
            let is_text = field.steps.last().is_some_and(|&(message, field)| plans.is_plain(message, field));
            if !is_text || !field.is_scalar(plans) {
                return Err(format!("{option}: {path} is not a single string, integer, boolean or enum"));
            }
            Ok(Some(field))
        };
        Ok(Self {
            id: resolve("id_field", &shape.id_field)?,
            event: resolve("event_field", &shape.event_field)?,
            retry: shape.retry_millis,
        })
    }

    /// Writes the lines that stand in front of the data of `message`.
    pub(crate) fn write(&self, plans: &Plans, message: &[u8], out: &mut Vec<u8>) {
        let mut line = |name: &[u8], field: &Option<FieldPath>, fits: fn(&[u8]) -> bool| {
            let Some(field) = field else { return };
            let start = out.len();
            out.extend_from_slice(name);
            let value = out.len();
            if plans.write_plain(&field.steps, message, out) && fits(&out[value..]) {
                out.push(b'\n');
            } else {
                out.truncate(start);
            }
        };
        line(b"id: ", &self.id, is_one_line);
        line(b"event: ", &self.event, is_name);
    }
}

/// A line break would begin another line of the event, and an id with a NUL is ignored by its reader.
fn is_one_line(text: &[u8]) -> bool {
    memchr::memchr3(b'\n', b'\r', 0, text).is_none()
}

/// Not empty, and not one of the names that say how the stream ended.
fn is_name(text: &[u8]) -> bool {
    is_one_line(text) && !matches!(text, b"" | b"end" | b"error")
}
