//! Reads the details of a failed call: a `google.rpc.Status` whose `details` are messages of
//! `google/rpc/error_details.proto`.
//!
//! Three of those messages are of use here, and all their fields are strings, numbers and messages. Reading them from
//! the wire takes fewer lines than a dependency that knows all of them. What cannot be read is passed over: a call that
//! failed must not fail once more over the description of its failure.

use std::time::Duration;

use crate::FieldViolation;

/// What the details say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// Of `google.rpc.ErrorInfo`.
    pub(crate) reason: Option<String>,
    /// Of `google.rpc.BadRequest`.
    pub(crate) violations: Vec<FieldViolation>,
    /// Of `google.rpc.RetryInfo`.
    pub(crate) retry_after: Option<Duration>,
}

impl Details {
    /// Reads an encoded `google.rpc.Status`.
    pub(crate) fn read(status: &[u8]) -> Self {
        let mut details = Self::default();
        for any in messages(status, 3) {
            let kind = text(any, 1);
            let Some(value) = messages(any, 2).next() else { continue };
            match kind.rsplit('/').next() {
                Some("google.rpc.ErrorInfo") => details.reason = Some(text(value, 1)),
                Some("google.rpc.BadRequest") => details.violations.extend(
                    messages(value, 1)
                        .map(|violation| FieldViolation { field: text(violation, 1), message: text(violation, 2) }),
                ),
                Some("google.rpc.RetryInfo") => details.retry_after = messages(value, 1).next().map(duration),
                _ => {}
            }
        }
        details
    }
}

/// One field as it stands on the wire.
enum Value<'w> {
    Number(u64),
    Bytes(&'w [u8]),
    Fixed,
}

/// The fields of a message, up to the first that cannot be read.
struct Fields<'w> {
    rest: &'w [u8],
}

impl<'w> Iterator for Fields<'w> {
    type Item = (u64, Value<'w>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.varint()?;
        // Wire types: https://protobuf.dev/programming-guides/encoding/#structure
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'w> Fields<'w> {
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'w [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

/// Each value of a field that holds bytes, text or messages.
fn messages(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    Fields { rest: message }.filter_map(move |field| match field {
        (found, Value::Bytes(bytes)) if found == number => Some(bytes),
        _ => None,
    })
}

/// A text field; empty if it is not set.
fn text(message: &[u8], number: u64) -> String {
    messages(message, number).last().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

/// A `google.protobuf.Duration`. A wait that is over is none at all.
fn duration(message: &[u8]) -> Duration {
    let number = |wanted| {
        Fields { rest: message }.find_map(|field| match field {
            (found, Value::Number(number)) if found == wanted => {
                i64::from_ne_bytes(number.to_ne_bytes()).try_into().ok()
            }
            _ => None,
        })
    };
    let nanos = number(2).and_then(|nanos: u64| u32::try_from(nanos).ok()).unwrap_or(0);
    Duration::new(number(1).unwrap_or(0), nanos.min(999_999_999))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len());
        [&[number << 3 | 2, length.unwrap_or(u8::MAX)], bytes].concat()
    }

    fn status(details: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut status = vec![8, 3];
        for (kind, value) in details {
            let any = [field(1, format!("type.googleapis.com/{kind}").as_bytes()), field(2, value)].concat();
            status.extend(field(3, &any));
        }
        status
    }

    #[test]
    fn violations_reason_and_delay_are_read() {
        let violation = [field(1, b"messages[0].role"), field(2, b"is required")].concat();
        let delay = vec![8, 2, 16, 0x80, 0x94, 0xeb, 0xdc, 1]; // 2 s and 463_129_088 ns
        let status = status(&[
            ("google.rpc.BadRequest", field(1, &violation)),
            ("google.rpc.RetryInfo", field(1, &delay)),
            ("google.rpc.Help", vec![]),
            ("google.rpc.ErrorInfo", [field(1, b"INVALID_REQUEST"), field(2, b"sabir")].concat()),
        ]);
        let details = Details::read(&status);
        assert_eq!(details.reason.as_deref(), Some("INVALID_REQUEST"));
        assert_eq!(
            details.violations,
            [FieldViolation { field: "messages[0].role".to_owned(), message: "is required".to_owned() }]
        );
        assert_eq!(details.retry_after, Some(Duration::new(2, 463_129_088)));
    }

    #[test]
    fn a_negative_delay_is_none() {
        let negative = [&[8][..], &[0xff; 9], &[1]].concat();
        let details = Details::read(&status(&[("google.rpc.RetryInfo", field(1, &negative))]));
        assert_eq!(details.retry_after, Some(Duration::ZERO));
    }

    #[test]
    fn bytes_cut_anywhere_are_passed_over() {
        let whole = status(&[("google.rpc.ErrorInfo", field(1, b"REASON"))]);
        for end in 0..whole.len() {
            assert_eq!(Details::read(&whole[..end]).violations, []);
        }
        assert_eq!(Details::read(&[0xff; 32]), Details::default());
    }
}
