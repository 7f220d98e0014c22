//! A message whose parts come from several places: body, query and path.
//!
//! On the wire, fields put end to end are merged, so that binding is appending. What must not be merged is found here by
//! looking at the bytes that stand already.

use crate::json::wire::{Reader, Value, WireType, close, open, put_bytes, put_varint};
use crate::json::{MessageId, Plans};

/// Whether a step of the path to a field belongs to a oneof of which `wire` holds another member: that one's name.
pub(super) fn rival<'p>(plans: &'p Plans, steps: &[(MessageId, u16)], wire: &[u8]) -> Option<&'p str> {
    steps.iter().enumerate().find_map(|(depth, &(message, field))| {
        let rivals = plans.oneof_of(message, field)?;
        rivals.iter().filter(|&&rival| rival != field).find_map(|&rival| {
            let number = plans.field_number(message, rival);
            holds(plans, &steps[..depth], number, wire).then(|| plans.field_name(message, rival))
        })
    })
}

/// Whether the message that `steps` lead to has a field of this number.
fn holds(plans: &Plans, steps: &[(MessageId, u16)], number: u32, wire: &[u8]) -> bool {
    let through = steps.first().map(|&(message, field)| plans.field_number(message, field));
    let mut reader = Reader::new(wire);
    while let Ok(Some(field)) = reader.next() {
        let found = match (through, field.value) {
            (None, _) => field.number == number,
            (Some(through), Value::Bytes(inner)) => field.number == through && holds(plans, &steps[1..], number, inner),
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}

/// Puts the fragments of each message together, so that a single message field stands once: who reads the bytes without
/// merging (a check of required fields) sees what a decoder would see.
pub(super) fn coalesce(plans: &Plans, message: MessageId, wire: &[u8], out: &mut Vec<u8>) {
    let mut reader = Reader::new(wire);
    let mut begin = reader.position();
    let mut done: Vec<u32> = Vec::new();
    while let Ok(Some(field)) = reader.next() {
        let end = reader.position();
        match (plans.single_message(message, field.number), field.value) {
            (Some(child), Value::Bytes(first)) => {
                if !done.contains(&field.number) {
                    done.push(field.number);
                    let rest = fragments(&wire[end..], field.number);
                    put_varint(out, u64::from(field.number) << 3 | WireType::Bytes.number());
                    if rest.is_empty() {
                        put_bytes(out, first);
                    } else {
                        let whole = [&[first], &rest[..]].concat().concat();
                        let start = open(out);
                        coalesce(plans, child, &whole, out);
                        close(out, start);
                    }
                }
            }
            _ => out.extend_from_slice(&wire[begin..end]),
        }
        begin = end;
    }
}

fn fragments(wire: &[u8], number: u32) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut reader = Reader::new(wire);
    while let Ok(Some(field)) = reader.next() {
        if let (true, Value::Bytes(bytes)) = (field.number == number, field.value) {
            found.push(bytes);
        }
    }
    found
}
