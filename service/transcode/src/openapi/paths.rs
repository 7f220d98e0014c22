//! Path templates of `google.api.http` as those of OpenAPI, whose variables span one segment each.
//!
//! A variable of several segments (`{name=shelves/*/books/*}`) becomes its literals with a parameter for each wildcard, as
//! in Google's own discovery documents. `**` becomes one parameter at its place: generators and test tools know how to fill
//! that, and escape the slashes in it; a document with the parameter left out would describe another path.

use std::collections::HashMap;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost_reflect::FieldDescriptor;

use super::bounds::remark;
use super::document::{OrReference, Parameter, Place};
use super::messages::Messages;
use super::names::Direction;
use super::schema::{Schema, Type};
use super::{Version, query};
use crate::json::plan::Field;
use crate::route::field_path::FieldPath;
use crate::route::{Piece, Route};

/// What a literal may not hold in a path: braces are OpenAPI's.
const LITERAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'%')
    .add(b'/');

/// A path with the names of its parameters left open, so that two paths that differ in these alone are seen to be one.
pub(super) type Shape = String;

/// The parameters that paths have been given, by shape.
#[derive(Debug, Default)]
pub(super) struct Paths {
    known: HashMap<Shape, Vec<String>>,
}

/// A path as OpenAPI has it.
pub(super) struct OpenPath {
    pub(super) text: String,
    pub(super) parameters: Vec<OrReference<Parameter>>,
}

/// A wildcard on its way to a parameter.
struct Wildcard<'a> {
    name: String,
    rest: bool,
    /// The field that is filled, and whether this wildcard is all of it.
    field: Option<(&'a FieldPath, bool)>,
}

impl Paths {
    pub(super) fn add(&mut self, messages: &Messages<'_>, route: &Route, decodes_all: bool) -> OpenPath {
        let (pieces, verb) = route.template();
        let proto_names = messages.names_as_declared(route);
        let mut wildcards: Vec<Wildcard<'_>> = Vec::new();
        let mut shape = String::new();
        for (at, piece) in pieces.iter().enumerate() {
            shape.push('/');
            let rest = match piece {
                Piece::Literal(text) => {
                    shape.extend(utf8_percent_encode(text, LITERAL));
                    continue;
                }
                Piece::Single => false,
                Piece::Rest => true,
            };
            shape.push_str("{}");
            let variable = route.variables().find(|(_, span)| span.contains(&at));
            let whole = variable.as_ref().is_some_and(|(_, span)| span.len() == 1);
            let name = match (&variable, at.checked_sub(1).map(|before| &pieces[before])) {
                (Some((field, _)), _) if whole => field.text.to_string(),
                (_, Some(Piece::Literal(before))) => after(before, rest, proto_names),
                (Some((field, _)), _) => field.text.to_string(),
                (None, _) => if rest { "rest" } else { "segment" }.to_owned(),
            };
            let name = unused(name, &wildcards);
            wildcards.push(Wildcard { name, rest, field: variable.map(|(field, _)| (field, whole)) });
        }
        if let Some(verb) = verb {
            shape.push(':');
            shape.push_str(verb);
        }
        // Two paths that differ in the names of their parameters are the same path to OpenAPI.
        let own: Vec<String> = wildcards.iter().map(|wildcard| wildcard.name.clone()).collect();
        let names = self.known.entry(shape.clone()).or_insert(own).clone();
        let mut text = String::with_capacity(shape.len() + 16);
        let mut parts = shape.split("{}");
        text.push_str(parts.next().unwrap_or_default());
        for (name, part) in names.iter().zip(parts) {
            text.push('{');
            text.push_str(name);
            text.push('}');
            text.push_str(part);
        }
        let parameters = wildcards
            .iter()
            .zip(names)
            .map(|(wildcard, name)| OrReference::Here(parameter(messages, wildcard, name, decodes_all)))
            .collect();
        OpenPath { text, parameters }
    }
}

fn parameter(messages: &Messages<'_>, wildcard: &Wildcard<'_>, name: String, decodes_all: bool) -> Parameter {
    let filled = wildcard.field.and_then(|(field, whole)| Some((field, whole, messages.field_at(field)?)));
    let mut schema = match &filled {
        Some((_, true, (descriptor, plan))) => text_schema(messages, descriptor, plan),
        Some((_, false, (descriptor, _))) => {
            let comment = messages.comments.text(&descriptor.parent_message().parent_file(), descriptor.path());
            Schema::of(Type::String).described(comment)
        }
        None => Schema::of(Type::String),
    };
    let text = schema.types.0.first() == Some(&Type::String) && schema.format.is_none() && schema.values.is_empty();
    if text && schema.min_length.unwrap_or(0) == 0 {
        schema.min_length = Some(1);
    }
    if let Some((field, whole, _)) = &filled
        && (!whole || *field.text != *name)
    {
        remark(&mut schema, &format!("{} `{}`.", if *whole { "Fills" } else { "Part of" }, field.text));
    }
    if wildcard.rest {
        let words = if decodes_all {
            "May hold slashes, as they are or as `%2F`."
        } else {
            "May hold slashes, which are to be sent as they are: `%2F` is not taken for one."
        };
        remark(&mut schema, words);
    } else if filled.as_ref().is_some_and(|(_, whole, _)| !whole) && text {
        schema.pattern = Some("^[^/]+$".to_owned());
    }
    let (description, example) = query::outside(&mut schema);
    Parameter {
        name,
        place: Place::Path,
        description,
        required: true,
        deprecated: false,
        style: None,
        explode: None,
        allow_reserved: wildcard.rest && !decodes_all && messages.version == Version::V3_2,
        schema,
        example,
    }
}

fn text_schema(messages: &Messages<'_>, descriptor: &FieldDescriptor, plan: &Field) -> Schema {
    messages.field(descriptor, plan, Direction::Text)
}

/// The name of a wildcard behind a literal: `shelvesId`, `filesPath`.
fn after(literal: &str, rest: bool, proto_names: bool) -> String {
    let word: String =
        literal.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '_').collect();
    match (rest, proto_names) {
        (true, true) => format!("{word}_path"),
        (true, false) => format!("{word}Path"),
        (false, true) => format!("{word}_id"),
        (false, false) => format!("{word}Id"),
    }
}

fn unused(name: String, taken: &[Wildcard<'_>]) -> String {
    let is_taken = |name: &str| taken.iter().any(|other| other.name == name);
    if !is_taken(&name) {
        return name;
    }
    let mut number = 2;
    while is_taken(&format!("{name}_{number}")) {
        number += 1;
    }
    format!("{name}_{number}")
}
