//! Rules on well-known types: points in time, field masks, and messages of any type.

use std::time::{SystemTime, UNIX_EPOCH};

use super::number::Number;
use super::rules::Report;
use super::text::quoted;
use crate::json::plan::Kind;
use crate::json::wire::{Reader, Value};

/// What must hold for a point in time.
#[derive(Debug)]
pub(crate) struct TimestampRules {
    pub(crate) number: Number<(i64, i32)>,
    pub(crate) past: bool,
    pub(crate) future: bool,
    /// How far from now it may be.
    pub(crate) within: Option<(i64, i32)>,
}

impl TimestampRules {
    pub(crate) fn check(&self, bytes: &[u8], report: &mut impl Report) {
        let value = time(bytes);
        self.number.check(value, report);
        if !self.past && !self.future && self.within.is_none() {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = (now.as_secs() as i64, now.subsec_nanos() as i32);
        if self.past && value >= now {
            report.broken("timestamp.lt_now", "must be in the past");
        }
        if self.future && value <= now {
            report.broken("timestamp.gt_now", "must be in the future");
        }
        if let Some(within) = self.within
            && (nanoseconds(value) - nanoseconds(now)).abs() > nanoseconds(within)
        {
            report.broken("timestamp.within", &format!("must be within {} of now", show_duration(within)));
        }
    }
}

/// Seconds and nanoseconds of a `google.protobuf.Timestamp` or `Duration`.
pub(crate) fn time(bytes: &[u8]) -> (i64, i32) {
    let mut time = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Ok(Some(field)) = reader.next() {
        match (field.number, field.value) {
            (1, Value::Varint(seconds)) => time.0 = seconds as i64,
            (2, Value::Varint(nanos)) => time.1 = nanos as i32,
            _ => {}
        }
    }
    time
}

fn nanoseconds((seconds, nanos): (i64, i32)) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanos)
}

/// A duration as a text: `1.5s`.
pub(crate) fn show_duration(duration: (i64, i32)) -> String {
    let total = nanoseconds(duration);
    let sign = if total < 0 { "-" } else { "" };
    let (whole, part) = (total.abs() / 1_000_000_000, total.abs() % 1_000_000_000);
    let part = format!("{part:09}");
    let part = part.trim_end_matches('0');
    if part.is_empty() { format!("{sign}{whole}s") } else { format!("{sign}{whole}.{part}s") }
}

/// A point in time as a text, as JSON has it.
pub(crate) fn show_timestamp((seconds, nanos): (i64, i32)) -> String {
    format!("{} seconds after 1970", show_duration((seconds, nanos)).trim_end_matches('s'))
}

/// What must hold for a field mask.
#[derive(Debug)]
pub(crate) struct MaskRules {
    pub(crate) constant: Option<Box<[Box<str>]>>,
    pub(crate) one_of: Box<[Box<str>]>,
    pub(crate) none_of: Box<[Box<str>]>,
}

impl MaskRules {
    pub(crate) fn check(&self, bytes: &[u8], report: &mut impl Report) {
        let paths: Vec<&str> = texts(bytes, 1).collect();
        if let Some(constant) = &self.constant
            && !constant.iter().map(|path| &**path).eq(paths.iter().copied())
        {
            report.broken("field_mask.const", &format!("must be {}", quoted(constant)));
        }
        let below = |list: &[Box<str>], path: &str| {
            list.iter()
                .any(|one| path.strip_prefix(&**one).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        };
        if !self.one_of.is_empty() && !paths.iter().all(|path| below(&self.one_of, path)) {
            report.broken("field_mask.in", &format!("must only hold paths from {}", quoted(&self.one_of)));
        }
        if paths.iter().any(|path| below(&self.none_of, path)) {
            report.broken("field_mask.not_in", &format!("must hold no path from {}", quoted(&self.none_of)));
        }
    }
}

/// What must hold for a `google.protobuf.Any`.
#[derive(Debug)]
pub(crate) struct AnyRules {
    pub(crate) one_of: Box<[Box<str>]>,
    pub(crate) none_of: Box<[Box<str>]>,
}

impl AnyRules {
    pub(crate) fn check(&self, bytes: &[u8], report: &mut impl Report) {
        let url = texts(bytes, 1).last().unwrap_or_default();
        if !self.one_of.is_empty() && !self.one_of.iter().any(|one| **one == *url) {
            report.broken("any.in", &format!("must be of a type from {}", quoted(&self.one_of)));
        }
        if self.none_of.iter().any(|one| **one == *url) {
            report.broken("any.not_in", &format!("must be of no type from {}", quoted(&self.none_of)));
        }
    }
}

/// Every text that stands in field `number` of a message.
fn texts(bytes: &[u8], number: u32) -> impl Iterator<Item = &str> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        while let Ok(Some(field)) = reader.next() {
            if let (true, Value::Bytes(text)) = (field.number == number, field.value)
                && let Ok(text) = std::str::from_utf8(text)
            {
                return Some(text);
            }
        }
        None
    })
}

/// The kind of the value in a wrapper message, and what rule ids call it.
pub(crate) fn wrapped(full_name: &str) -> Option<(Kind, &'static str)> {
    Some(match full_name.strip_prefix("google.protobuf.")? {
        "DoubleValue" => (Kind::Double, "double"),
        "FloatValue" => (Kind::Float, "float"),
        "Int64Value" => (Kind::Int64, "int64"),
        "UInt64Value" => (Kind::Uint64, "uint64"),
        "Int32Value" => (Kind::Int32, "int32"),
        "UInt32Value" => (Kind::Uint32, "uint32"),
        "BoolValue" => (Kind::Bool, "bool"),
        "StringValue" => (Kind::String, "string"),
        "BytesValue" => (Kind::Bytes, "bytes"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_seconds() {
        assert_eq!(show_duration((1, 500_000_000)), "1.5s");
        assert_eq!(show_duration((-1, -1)), "-1.000000001s");
        assert_eq!(show_duration((60, 0)), "60s");
    }
}
