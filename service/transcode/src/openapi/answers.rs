//! What an answer is when all went well: a message, a stream in any of its framings, or bytes.

use super::document::{Example, MediaType, Response};
use super::names::Direction;
use super::operations::{Described, Operations};
use super::ordered::{Json, Ordered};
use super::schema::{Additional, Schema, Type};
use super::{HTTP_BODY, Version};
use crate::options::{ErrorShape, OpenApi};
use crate::route::{Method, Route, StreamEnd};

const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// The code and the answer of a call that went well.
pub(super) fn success(operations: &Operations<'_>, described: &Described<'_>) -> (String, Response) {
    let route = described.route;
    let mut response =
        Response { description: String::new(), headers: operations.headers.clone(), content: Ordered::default() };
    let Some(schema) = answer(operations, route, &route.method) else {
        response.description = "The bytes that were asked for.".to_owned();
        let types = described.content_types().into_iter().map(|media| (media, MediaType::default()));
        response.content = types.collect();
        return ("200".to_owned(), response);
    };
    if route.method.server_streaming {
        let stream = Stream { method: &route.method, openapi: &described.openapi, schema, operations };
        stream.add(&mut response, true);
        return ("200".to_owned(), response);
    }
    response.description = "The answer.".to_owned();
    let examples = values(&described.openapi);
    response.content.push(JSON, MediaType { schema: Some(schema), examples, ..MediaType::default() });
    if let (Some((_, twin)), Some((_, openapi))) = (&route.twin, &described.twin)
        && let Some(schema) = answer(operations, route, twin)
    {
        Stream { method: twin, openapi, schema, operations }.add(&mut response, false);
    }
    ("200".to_owned(), response)
}

/// Whether a stream of events can be taken up again where it was left.
pub(super) fn resumes(described: &Described<'_>) -> bool {
    let has_ids = |method: &prost_reflect::MethodDescriptor| crate::options::method(method).stream.id_field.is_some();
    has_ids(&described.method) || described.twin.as_ref().is_some_and(|(twin, _)| has_ids(twin))
}

/// The schema of a message as it stands in an answer; `None` for bytes.
fn answer(operations: &Operations<'_>, route: &Route, method: &Method) -> Option<Schema> {
    let messages = &operations.messages;
    let full_name = messages.plans.name(method.output);
    let Some(index) = route.response_body else {
        return (full_name != HTTP_BODY).then(|| operations.schema_of(full_name, Direction::Output)).flatten();
    };
    let plan = messages.plans.plan(method.output).fields.get(usize::from(index))?;
    let field = messages.pool.get_message_by_name(full_name)?.get_field(plan.number)?;
    if field.kind().as_message().is_some_and(|message| message.full_name() == HTTP_BODY) {
        return None;
    }
    Some(messages.field(&field, plan, Direction::Output))
}

/// The examples of answers.
fn values(openapi: &OpenApi) -> Ordered<Example> {
    let examples = openapi.examples.iter().filter_map(|example| {
        let value = Json::parse(example.response.as_deref()?)?;
        let summary = Some(example.summary.clone()).filter(|summary| !summary.is_empty());
        Some((example.name.clone(), Example { summary, value: Some(value), serialized_value: None }))
    });
    examples.collect()
}

/// A streamed answer.
struct Stream<'a> {
    method: &'a Method,
    openapi: &'a OpenApi,
    /// Of one message.
    schema: Schema,
    operations: &'a Operations<'a>,
}

impl Stream<'_> {
    /// Adds the framings. `array` tells whether `application/json` is one of them; it is not where the unary answer is.
    fn add(self, response: &mut Response, array: bool) {
        let of_3_2 = self.operations.messages.version == Version::V3_2;
        let mut words = String::new();
        if !response.description.is_empty() {
            words.push_str(" Or a stream of answers.");
        } else {
            words.push_str("A stream of answers.");
        }
        words.push_str(&format!("\n\n- `{EVENTS}`: each message is the `data` of an event; {}", self.events_end()));
        words.push_str(&format!(
            "\n- `{LINES}`: each message is a line; the last line is `{{\"@end\":{{}}}}`, or `{{\"@error\":...}}` with what \
             went wrong."
        ));
        if array {
            words.push_str(&format!(
                "\n- `{JSON}`: the messages are the elements of an array, which is closed only if all went well."
            ));
        }
        response.description.push_str(&words);
        response.content.push(EVENTS, if of_3_2 { self.events() } else { self.one_event() });
        response.content.push(LINES, if of_3_2 { self.lines() } else { self.one_message() });
        if array {
            let schema = Some(Schema::array(self.schema));
            response.content.push(JSON, MediaType { schema, ..MediaType::default() });
        }
    }

    fn events_end(&self) -> String {
        let end = match &self.method.end {
            StreamEnd::Text(text) => format!("the last event has the data `{text}`"),
            StreamEnd::Named => "the last event is called `end`".to_owned(),
            StreamEnd::None => "the last event is a message that says so".to_owned(),
        };
        let error = match self.method.error_shape {
            ErrorShape::Status | ErrorShape::Anthropic => "an event called `error`",
            ErrorShape::OpenAi | ErrorShape::OAuth2 => "an event whose data has the member `error`",
        };
        format!("{end}, or is {error}. A stream without either was cut short.")
    }

    /// In 3.1 there is no word for the items of a sequence: the schema is that of one of them.
    fn one_message(&self) -> MediaType {
        MediaType { schema: Some(self.schema.clone()), examples: values(self.openapi), ..MediaType::default() }
    }

    /// An event's data is a message, or what went wrong.
    fn one_event(&self) -> MediaType {
        let any_of = vec![self.schema.clone(), self.error()];
        MediaType { schema: Some(Schema { any_of, ..Schema::default() }), ..self.one_message() }
    }

    fn error(&self) -> Schema {
        self.operations.failures.body(self.method.error_shape)
    }

    fn events(&self) -> MediaType {
        let json = |schema: Schema| Schema {
            content_media_type: Some(JSON),
            content_schema: Some(Box::new(schema)),
            ..Schema::of(Type::String)
        };
        let event = |words: &str, members: Vec<(&str, Schema, bool)>| {
            let required = members.iter().filter(|(.., required)| *required).map(|(name, ..)| (*name).to_owned());
            Schema {
                description: Some(words.to_owned()),
                required: required.collect(),
                properties: members.into_iter().map(|(name, schema, _)| (name.to_owned(), schema)).collect(),
                ..Schema::of(Type::Object)
            }
        };
        let mut message = Vec::new();
        if self.method.event_fields.id.is_some() {
            message.push(("id", Schema::of(Type::String), false));
        }
        if self.method.event_fields.event.is_some() {
            message.push(("event", Schema::of(Type::String), false));
        }
        message.push(("data", json(self.schema.clone()), true));
        let end = match &self.method.end {
            StreamEnd::Text(text) => Some(vec![("data", Schema::constant(text), true)]),
            StreamEnd::Named => {
                Some(vec![("event", Schema::constant("end"), true), ("data", Schema::constant("{}"), true)])
            }
            StreamEnd::None => None,
        };
        let error = match self.method.error_shape {
            ErrorShape::Status | ErrorShape::Anthropic => {
                vec![("event", Schema::constant("error"), true), ("data", json(self.error()), true)]
            }
            ErrorShape::OpenAi | ErrorShape::OAuth2 => vec![("data", json(self.error()), true)],
        };
        let mut any_of = vec![event("A message.", message)];
        any_of.extend(end.map(|end| event("The end: all went well.", end)));
        any_of.push(event("The end: something went wrong.", error));
        MediaType {
            item_schema: Some(Schema { any_of, ..Schema::default() }),
            examples: self.serialized(|text| format!("data: {text}\n\n")),
            ..MediaType::default()
        }
    }

    fn lines(&self) -> MediaType {
        let last = |name: &str, schema: Schema| Schema {
            properties: Ordered::from(vec![(name.to_owned(), schema)]),
            required: vec![name.to_owned()],
            additional_properties: Some(Additional::Allowed(false)),
            ..Schema::of(Type::Object)
        };
        let error = match self.method.error_shape {
            ErrorShape::Status | ErrorShape::OAuth2 => self.error(),
            ErrorShape::OpenAi => Schema::reference("Error"),
            ErrorShape::Anthropic => Schema::reference("AnthropicError"),
        };
        let any_of = vec![
            self.schema.clone(),
            last("@end", Schema::of(Type::Object)).described(Some("The end: all went well.".into())),
            last("@error", error).described(Some("The end: something went wrong.".into())),
        ];
        MediaType {
            item_schema: Some(Schema { any_of, ..Schema::default() }),
            examples: self.serialized(|text| format!("{text}\n")),
            ..MediaType::default()
        }
    }

    fn serialized(&self, frame: impl Fn(&str) -> String) -> Ordered<Example> {
        let examples = self.openapi.examples.iter().filter_map(|example| {
            let value = Json::parse(example.response.as_deref()?)?;
            let summary = Some(example.summary.clone()).filter(|summary| !summary.is_empty());
            let text = serde_json::from_str::<serde_json::Value>(value.text()).ok()?.to_string();
            Some((example.name.clone(), Example { summary, value: None, serialized_value: Some(frame(&text)) }))
        });
        examples.collect()
    }
}
