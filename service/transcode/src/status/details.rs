//! The details of a `google.rpc.Status` as JSON: each a `google.protobuf.Any` in its canonical form.
//!
//! Source of the types: <https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto>. A detail
//! whose type nobody knows is passed on as `{"@type": ..., "value": base64}`, so that nothing is lost.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::json::Plans;
use crate::json::wire::{Reader, Value};

/// The plans of `google.rpc`: the same for every API, whether its own descriptors hold them or not.
static GOOGLE_RPC: LazyLock<Option<Plans>> =
    LazyLock::new(|| Plans::compile(tonic_types::pb::FILE_DESCRIPTOR_SET).ok());

/// The number of `google.rpc.Status.details`.
const DETAILS: u32 = 3;

/// The details in `status`, an encoded `google.rpc.Status`, in their order. `plans` are those of the API, which may have
/// details of its own.
pub(super) fn json(plans: Option<&Plans>, status: &[u8]) -> Vec<Box<RawValue>> {
    let mut details = Vec::new();
    let mut reader = Reader::new(status);
    while let Ok(Some(field)) = reader.next() {
        if let (DETAILS, Value::Bytes(any)) = (field.number, field.value) {
            details.extend(one(plans, any));
        }
    }
    details
}

/// One `google.protobuf.Any`; `None` where the bytes are none.
fn one(plans: Option<&Plans>, any: &[u8]) -> Option<Box<RawValue>> {
    let known = plans.into_iter().chain(GOOGLE_RPC.as_ref()).find_map(|plans| {
        let mut json = Vec::with_capacity(any.len() * 2);
        plans.write(plans.message("google.protobuf.Any")?, any, &mut json).ok()?;
        // The API's own messages may hold JSON verbatim, so it is looked at before it is passed on.
        serde_json::from_slice(&json).ok()
    });
    known.or_else(|| unknown(any))
}

/// A detail that no plan knows.
#[derive(Serialize)]
struct Unknown<'a> {
    #[serde(rename = "@type")]
    type_url: &'a str,
    value: String,
}

fn unknown(any: &[u8]) -> Option<Box<RawValue>> {
    let (mut type_url, mut value): (&str, &[u8]) = ("", &[]);
    let mut reader = Reader::new(any);
    while let Ok(Some(field)) = reader.next() {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => type_url = std::str::from_utf8(bytes).ok()?,
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    serde_json::value::to_raw_value(&Unknown { type_url, value: STANDARD.encode(value) }).ok()
}
