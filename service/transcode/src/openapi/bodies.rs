//! What the body of a request is.

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::document::{Example, MediaType, RequestBody};
use super::messages::Messages;
use super::names::Direction;
use super::operations::Described;
use super::ordered::{Json, Ordered};
use super::schema::Schema;
use super::{HTTP_BODY, Version};
use crate::bind::takes_forms;
use crate::route::{BodyPart, Route};
use crate::transcoder::Shared;

/// The body of a request; `None` where there is none.
pub(super) fn request(shared: &Shared, messages: &Messages<'_>, described: &Described<'_>) -> Option<RequestBody> {
    let route = described.route;
    let input = described.method.input();
    let part = match route.body {
        BodyPart::None => return None,
        BodyPart::Whole => None,
        BodyPart::Field(index) => {
            let number = messages.plans.plan(route.method.input).fields[usize::from(index)].number;
            Some((index, input.get_field(number)?))
        }
    };
    let message = match &part {
        None => Some(input.clone()),
        Some((_, field)) => field.kind().as_message().cloned(),
    };
    if message.is_some_and(|message| message.full_name() == HTTP_BODY) {
        let content = described.content_types().into_iter().map(|media| (media, MediaType::default()));
        let description = Some("Any bytes; they are passed on as they are.".to_owned());
        return Some(RequestBody { description, content: content.collect(), required: false });
    }
    let (schema, required) = match &part {
        None => whole(messages, &input, route),
        Some((index, field)) => one_field(messages, field, *index, route),
    };
    let description = match &part {
        Some((_, field)) => messages.comments.text(&input.parent_file(), field.path()),
        None => messages.comments.text(&input.parent_file(), input.path()),
    };
    let content = if route.method.client_streaming {
        stream(messages, schema)
    } else {
        let examples = examples(described, |example| example.request.as_deref());
        let media = MediaType { schema: Some(schema), examples, ..MediaType::default() };
        let mut content = Ordered::default();
        if takes_forms(shared, route) {
            let schema = media.schema.clone();
            content.push("application/x-www-form-urlencoded", MediaType { schema, ..MediaType::default() });
        }
        content.push_front("application/json", media);
        content
    };
    Some(RequestBody { description, content, required: required && !route.method.client_streaming })
}

/// The whole message, less what the path says; and whether something of it is required.
fn whole(messages: &Messages<'_>, input: &MessageDescriptor, route: &Route) -> (Schema, bool) {
    let elsewhere: Vec<Vec<u16>> =
        route.variables().map(|(field, _)| field.steps.iter().map(|(_, index)| *index).collect()).collect();
    let object = messages.object(input, Direction::Input, &elsewhere);
    let required = !object.required.is_empty();
    if elsewhere.is_empty() { (messages.message(input, Direction::Input), required) } else { (object, required) }
}

fn one_field(messages: &Messages<'_>, field: &FieldDescriptor, index: u16, route: &Route) -> (Schema, bool) {
    let elsewhere: Vec<Vec<u16>> = route
        .variables()
        .filter(|(field, _)| field.steps.first().is_some_and(|(_, first)| *first == index))
        .map(|(field, _)| field.steps[1..].iter().map(|(_, index)| *index).collect())
        .collect();
    let required = messages.is_required(field);
    match field.kind().as_message() {
        Some(message) if !elsewhere.is_empty() => (messages.object(message, Direction::Input, &elsewhere), required),
        _ => match messages.plan_of(field) {
            Some(plan) => (messages.field(field, plan, Direction::Input).described(None), required),
            None => (Schema::default(), required),
        },
    }
}

/// The messages of a request stream, one after the other.
fn stream(messages: &Messages<'_>, item: Schema) -> Ordered<MediaType> {
    let lines = match messages.version {
        Version::V3_1 => MediaType { schema: Some(item.clone()), ..MediaType::default() },
        Version::V3_2 => MediaType { item_schema: Some(item.clone()), ..MediaType::default() },
    };
    let array = MediaType { schema: Some(Schema::array(item)), ..MediaType::default() };
    Ordered::from(vec![("application/x-ndjson".to_owned(), lines), ("application/json".to_owned(), array)])
}

/// The examples of a method and of its streaming twin that have a body of this kind.
fn examples(described: &Described<'_>, body: impl Fn(&crate::options::Example) -> Option<&str>) -> Ordered<Example> {
    let twin = described.twin.iter().flat_map(|(_, openapi)| &openapi.examples);
    let all = described.openapi.examples.iter().chain(twin);
    all.filter_map(|example| {
        let value = Json::parse(body(example)?)?;
        let summary = Some(example.summary.clone()).filter(|summary| !summary.is_empty());
        Some((example.name.clone(), Example { summary, value: Some(value), serialized_value: None }))
    })
    .collect()
}
