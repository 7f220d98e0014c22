//! Query parameters and path variables into a message.
//!
//! On the wire, fields put end to end are merged, so that binding is appending: first the body, then the query, then the
//! path. A field that is already set must not be set again: that is an error, never an override.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use tonic::Status;

use super::invalid;
use crate::json::Plans;
use crate::route::field_path::FieldPath;
use crate::route::{BodyPart, Route};
use crate::transcoder::{Shared, UnknownQuery};

/// Appends what the query says to `message`.
pub(super) fn bind(shared: &Shared, route: &Route, query: &str, message: &mut Vec<u8>) -> Result<(), Status> {
    let plans = &shared.plans;
    let mut given = HashSet::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, text) = (decode(name)?, decode(text)?);
        let path = match FieldPath::resolve(plans, route.method.input, &name) {
            Ok(path) if path.is_scalar(plans) || path.is_repeated(plans) => path,
            Ok(_) => {
                return Err(invalid(&name, "is not a scalar and cannot stand in a query"));
            }
            Err(_) if shared.config.unknown_query == UnknownQuery::Ignore => continue,
            Err(_) => return Err(invalid(&name, "is not a query parameter of this method")),
        };
        if route.binds(&path) {
            return Err(invalid(&name, "is given by the path"));
        }
        if matches!((route.body, path.steps.first()), (BodyPart::Field(body), Some(&(_, first))) if body == first) {
            return Err(invalid(&name, "is given by the body"));
        }
        let repeated = path.is_repeated(plans);
        put(plans, &path, &text, message)?;
        if !given.insert(path) && !repeated {
            return Err(invalid(&name, "is given twice"));
        }
    }
    Ok(())
}

/// Appends a path variable. Where the message, from byte `start` on, has the field already with another value, it is a
/// conflict.
pub(super) fn put_final(
    plans: &Plans,
    path: &FieldPath,
    text: &str,
    message: &mut Vec<u8>,
    start: usize,
) -> Result<(), Status> {
    let mut own = Vec::new();
    put(plans, path, text, &mut own)?;
    if let Some(present) = plans.value_at(&path.steps, &message[start..])
        && plans.value_at(&path.steps, &own) != Some(present)
    {
        return Err(invalid(&path.text, "the body gives another value than the path"));
    }
    message.extend_from_slice(&own);
    Ok(())
}

/// Appends one value, in the messages that lead to it.
fn put(plans: &Plans, path: &FieldPath, text: &str, out: &mut Vec<u8>) -> Result<(), Status> {
    let Some((&(message, field), through)) = path.steps.split_last() else {
        return Ok(());
    };
    let mut value = Vec::new();
    plans.read_text(message, field, text, &mut value).map_err(|error| invalid(&path.text, error.message()))?;
    for &(message, field) in through.iter().rev() {
        value = plans.nested(message, field, &value);
    }
    out.extend_from_slice(&value);
    Ok(())
}

/// A name or a value of a query: `+` is a space, and each escape is decoded once.
fn decode(text: &str) -> Result<String, Status> {
    crate::route::check_escapes(text).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| Status::invalid_argument("the query is not percent-encoded UTF-8"))
}
