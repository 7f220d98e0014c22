//! Partial updates: the field mask of a PATCH request, inferred from what its body names.
//!
//! `PATCH` with a message as the body and one `google.protobuf.FieldMask` beside it is an update of the fields that the
//! body names (<https://google.aip.dev/134>). Where the mask is not given, the paths of the JSON members become it, in
//! proto names, `null` included: that clears a field.

use http::Method as Verb;

use crate::json::ReadError;
use crate::json::wire::{WireType, put_bytes, put_varint};
use crate::route::{BodyPart, Route};
use crate::transcoder::Shared;

/// Appends the mask to the message that begins at byte `start`, unless there is none to infer. `json` is the body.
pub(super) fn infer(
    shared: &Shared,
    route: &Route,
    json: &[u8],
    message: &mut Vec<u8>,
    start: usize,
) -> Result<(), ReadError> {
    let BodyPart::Field(body) = route.body else {
        return Ok(());
    };
    if route.verb != Some(Verb::PATCH) || json.is_empty() || !shared.config.infer_update_mask {
        return Ok(());
    }
    let plans = &shared.plans;
    let input = route.method.input;
    let (Some(mask), Some(resource)) = (plans.only_field_mask(input), plans.child(input, body)) else {
        return Ok(());
    };
    if plans.is_repeated(input, body) || plans.value_at(&[(input, mask)], &message[start..]).is_some() {
        return Ok(());
    }
    let mut paths = Vec::new();
    for path in plans.paths(resource, json)? {
        put_varint(&mut paths, 1 << 3 | WireType::Bytes.number());
        put_bytes(&mut paths, path.as_bytes());
    }
    if !paths.is_empty() {
        message.extend_from_slice(&plans.nested(input, mask, &paths));
    }
    Ok(())
}
