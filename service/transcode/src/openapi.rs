//! OpenAPI documents, made from descriptors and from what the transcoder makes of them, so that they are true of the server
//! that serves them.
//!
//! There are two: one of version 3.1, which every tool reads, and one of version 3.2, which can say what the items of a
//! stream are (`itemSchema`). A document that says 3.1 and uses it is refused by validators.
//!
//! The same routes, names, number forms, unions and error shapes are described that serve requests; comments become prose,
//! `buf.validate` rules become bounds, and the `transcode.v1` options `example` and `openapi` add what neither can say. A
//! message that looks different in requests and in answers has two schemas, `Name-Input` and `Name-Output`.
//!
//! Requests are described as clients should make them. What is read beyond that (numbers in strings, enum values by proto
//! name or number, members by proto name) is not in the schemas. A verb that OpenAPI 3.1 has no word for is in the 3.2
//! document only.

mod about;
mod answers;
mod bodies;
mod bounds;
mod comments;
mod document;
mod failures;
mod messages;
mod names;
mod operations;
mod ordered;
mod paths;
mod query;
mod scalars;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Number;

pub use self::about::{About, Contact, ExternalDocs, Header, Licence, SecurityScheme, Server};
use self::document::{Components, Document, Info, Parameter, Place, ResponseHeader};
use self::messages::{Messages, enums, reach};
use self::names::Direction;
use self::operations::{Described, LAST_EVENT_ID, Operations, requirements};
use self::ordered::{Json, Ordered};
use self::schema::{Schema, Type};
use crate::deadline::TIMEOUT_HEADER;
use crate::transcoder::Shared;

/// The same API in two versions of OpenAPI, each as JSON.
#[derive(Debug, Clone)]
pub struct Documents {
    /// OpenAPI 3.1.
    pub v3_1: Bytes,
    /// OpenAPI 3.2.
    pub v3_2: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V3_1,
    V3_2,
}

const HTTP_BODY: &str = "google.api.HttpBody";

/// Describes everything that `shared` serves.
pub(crate) fn documents(shared: &Shared, about: &About) -> Documents {
    let json = |version| {
        let document = document(shared, about, version);
        let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
        text.push(b'\n');
        Bytes::from(text)
    };
    Documents { v3_1: json(Version::V3_1), v3_2: json(Version::V3_2) }
}

fn document(shared: &Shared, about: &About, version: Version) -> Document {
    let described = Described::all(shared, about);
    let (mut inputs, mut outputs) = (BTreeSet::new(), BTreeSet::new());
    for Described { method, twin, .. } in &described {
        reach(&method.input(), &mut inputs);
        reach(&method.output(), &mut outputs);
        if let Some((twin, _)) = twin {
            reach(&twin.output(), &mut outputs);
        }
    }
    let mut messages = Messages::new(&shared.pool, &shared.plans, version, &(&inputs | &outputs));
    messages.split(&shared.pool, &inputs, &outputs);
    let mut operations = Operations::new(about, shared, messages, &described);
    let mut paths = Ordered::default();
    for described in &described {
        operations.add(described, &mut paths);
    }
    let mut document = Document {
        openapi: match version {
            Version::V3_1 => "3.1.0",
            Version::V3_2 => "3.2.0",
        },
        info: Info {
            title: about.title.clone(),
            version: about.version.clone(),
            summary: about.summary.clone(),
            description: about.description.clone(),
            terms_of_service: about.terms_of_service.clone(),
            contact: about.contact.clone(),
            licence: about.licence.clone(),
        },
        servers: if about.servers.is_empty() {
            vec![Server { url: "/".to_owned(), description: None }]
        } else {
            about.servers.clone()
        },
        security: requirements(about, &[]),
        tags: operations.all_tags(),
        external_docs: about.external_docs.clone(),
        paths,
        components: components(&operations, &inputs, &outputs),
    };
    keep_used(&mut document);
    document
}

fn components(operations: &Operations<'_>, inputs: &BTreeSet<String>, outputs: &BTreeSet<String>) -> Components {
    let messages = &operations.messages;
    let mut schemas: Ordered<Schema> = Ordered::default();
    for (direction, names) in [(Direction::Input, inputs), (Direction::Output, outputs)] {
        for message in names.iter().filter_map(|name| messages.pool.get_message_by_name(name)) {
            for (name, schema) in messages.components(&message, direction) {
                schemas.entry(&name, || schema);
            }
        }
        for item in enums(messages.pool, names).iter().filter_map(|name| messages.pool.get_enum_by_name(name)) {
            let name = messages.names.of(item.full_name(), None, direction);
            schemas.entry(&name, || scalars::enumeration(&item, &messages.comments));
        }
    }
    let (responses, errors) = operations.failures.components(&operations.headers);
    for (name, schema) in errors {
        schemas.entry(&name, || schema);
    }
    schemas.sort();
    let schemes = operations.about.security.iter().map(|(name, scheme)| (name.clone(), scheme.describe()));
    Components {
        schemas,
        responses,
        parameters: parameters(operations.about),
        headers: headers(operations.about),
        security_schemes: schemes.collect(),
    }
}

/// The headers that requests may have.
fn parameters(about: &About) -> Ordered<Parameter> {
    let parameter = |name: &str, description: &str, schema: Schema, example: Option<Json>| Parameter {
        name: name.to_owned(),
        place: Place::Header,
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        style: None,
        explode: None,
        allow_reserved: false,
        schema,
        example,
    };
    let timeout = Schema { minimum: Some(Number::from(0)), ..Schema::of(Type::Number) };
    let mut parameters = Ordered::from(vec![
        (
            TIMEOUT_HEADER.as_str().to_owned(),
            parameter(
                TIMEOUT_HEADER.as_str(),
                "How many seconds the caller waits at most. After that the call is cancelled and answered with 504.",
                timeout,
                // Swagger UI fills a form in with examples, and few want their streams cut.
                None,
            ),
        ),
        (
            LAST_EVENT_ID.to_owned(),
            parameter(
                LAST_EVENT_ID,
                "The id of the last event that was received: the stream goes on after it. Browsers send it by themselves.",
                Schema::of(Type::String),
                None,
            ),
        ),
    ]);
    for header in &about.request_headers {
        let name = header.name.to_ascii_lowercase();
        let example = header.example.as_deref().map(Json::string);
        parameters.push(name.clone(), parameter(&name, &header.description, Schema::of(Type::String), example));
    }
    parameters
}

/// The headers that answers may have.
fn headers(about: &About) -> Ordered<ResponseHeader> {
    let retry = ResponseHeader {
        description: "How many seconds to wait before the next try.".to_owned(),
        required: false,
        schema: Schema { minimum: Some(Number::from(0)), ..Schema::of(Type::Integer) },
        example: Some(Json::of(&1)),
    };
    let mut headers = Ordered::from(vec![("retry-after".to_owned(), retry)]);
    for header in &about.response_headers {
        let example = header.example.as_deref().map(Json::string);
        let described = ResponseHeader {
            description: header.description.clone(),
            required: false,
            schema: Schema::of(Type::String),
            example,
        };
        headers.push(header.name.to_ascii_lowercase(), described);
    }
    headers
}

/// Leaves out the components that nothing refers to.
fn keep_used(document: &mut Document) {
    loop {
        let text = serde_json::to_string(&(&document.paths, &document.components)).unwrap_or_default();
        let used: BTreeSet<&str> =
            text.split("\"#/components/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let components = &mut document.components;
        let before = components.count();
        components.schemas.keep(|name| used.contains(format!("schemas/{name}").as_str()));
        components.responses.keep(|name| used.contains(format!("responses/{name}").as_str()));
        components.parameters.keep(|name| used.contains(format!("parameters/{name}").as_str()));
        components.headers.keep(|name| used.contains(format!("headers/{name}").as_str()));
        if components.count() == before {
            return;
        }
    }
}
