//! Messages as schemas, in the form that the converter reads or writes: its own plans are what is described.
//!
//! Reading is laxer than writing (numbers in strings, proto names, enum numbers): a schema of a request says what clients
//! should send, and that `null` stands for absence.

mod object;
mod union;

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind as ProtoKind, MessageDescriptor};

use super::Version;
use super::bounds::{self, Bounds};
use super::comments::Comments;
use super::names::{Direction, Names};
use super::ordered::{Json, Ordered};
use super::scalars;
use super::schema::{Additional, Schema, Type};
use crate::json::Plans;
use crate::json::plan::{Field, Form, Label, Message, WellKnown};
use crate::options;
use crate::route::Route;
use crate::route::field_path::FieldPath;

/// What schemas are made from.
#[derive(Debug)]
pub(super) struct Messages<'a> {
    pub(super) pool: &'a DescriptorPool,
    pub(super) plans: &'a Plans,
    pub(super) comments: Comments,
    pub(super) names: Names,
    pub(super) version: Version,
}

/// Fields of a message that are said elsewhere, as paths of field indices from it.
pub(super) type Elsewhere<'a> = &'a [Vec<u16>];

impl<'a> Messages<'a> {
    pub(super) fn new(pool: &'a DescriptorPool, plans: &'a Plans, version: Version, used: &BTreeSet<String>) -> Self {
        let messages: Vec<_> = used.iter().filter_map(|name| pool.get_message_by_name(name)).collect();
        let enums: Vec<_> = enums(pool, used).iter().filter_map(|name| pool.get_enum_by_name(name)).collect();
        let named = messages.iter().map(|message| (message.full_name(), message.package_name()));
        let names = Names::new(named.chain(enums.iter().map(|item| (item.full_name(), item.package_name()))));
        Self { pool, plans, comments: Comments::of(pool), names, version }
    }

    pub(super) fn plan(&self, message: &MessageDescriptor) -> Option<&'a Message> {
        Some(self.plans.plan(self.plans.message(message.full_name())?))
    }

    /// A message wherever it is used: by reference, but for the well-known ones.
    pub(super) fn message(&self, message: &MessageDescriptor, direction: Direction) -> Schema {
        match self.plan(message).and_then(|plan| plan.well_known) {
            Some(WellKnown::Wrapper) => {
                message.get_field(1).map(|value| self.single(&value, direction)).unwrap_or_default()
            }
            Some(WellKnown::Bare) => Schema::reference(&self.names.of(message.full_name(), None, direction)),
            Some(kind) => scalars::well_known(kind),
            None if message.full_name() == EMPTY => empty(),
            None => Schema::reference(&self.names.of(message.full_name(), None, direction)),
        }
    }

    /// A field with all that is said of it: its comment, its rules, its examples.
    pub(super) fn field(&self, field: &FieldDescriptor, plan: &Field, direction: Direction) -> Schema {
        let file = field.parent_message().parent_file();
        let bounds = if direction.is_input() { Bounds::of(field) } else { Bounds::default() };
        let shape = options::field(field);
        let mut schema = match plan.label {
            Label::Singular { .. } => self.value(field, plan, &bounds, direction),
            Label::Repeated { .. } => {
                let element = self.value(field, plan, &bounds.items(), direction);
                let mut list = Schema::array(element.clone());
                bounds.apply(&mut list);
                bounds.refuse_default(field, &mut list);
                if plan.accept_scalar { Schema::any_of(vec![element, list]) } else { list }
            }
            Label::Map => self.map(field, &bounds, direction),
        };
        bounds.refuse_default(field, &mut schema);
        if let Some(comment) = self.comments.text(&file, field.path()) {
            let said = schema.description.take();
            schema.description = Some(comment);
            if let Some(said) = said.filter(|_| schema.reference.is_none()) {
                bounds::remark(&mut schema, &said);
            }
        }
        let examples: Vec<Json> = shape.examples.iter().filter_map(|text| Json::parse(text)).collect();
        if !examples.is_empty() {
            schema.examples = examples;
        }
        schema.deprecated = field.field_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated());
        for behavior in behaviors(field) {
            schema.read_only |= behavior == OUTPUT_ONLY;
            schema.write_only |= behavior == INPUT_ONLY;
        }
        schema
    }

    /// One value of a field, not a list.
    fn value(&self, field: &FieldDescriptor, plan: &Field, bounds: &Bounds, direction: Direction) -> Schema {
        if plan.raw && direction != Direction::Text {
            let mut schema = Schema::default();
            bounds::remark(&mut schema, "Any JSON value; it is kept as it is, in the order of its members.");
            return schema;
        }
        if let ProtoKind::Enum(item) = field.kind() {
            let numbers: Vec<i32> = item.values().map(|value| value.number()).collect();
            if let Some(allowed) = bounds.allowed(&numbers) {
                let values = allowed.iter().filter_map(|&number| item.get_value(number));
                let values = values.filter(|value| !scalars::is_unspecified(value));
                let values = values.map(|value| Json::string(&scalars::text(&value))).collect();
                return Schema { values, ..Schema::of(Type::String) };
            }
        }
        let mut schema = match field.kind() {
            ProtoKind::Message(message) if bounds::are_ignored(field) => self.unbound(&message, direction),
            _ => self.single(field, direction),
        };
        let wrapped = match field.kind() {
            ProtoKind::Message(message) => self.plan(&message).and_then(|plan| plan.well_known),
            _ => None,
        };
        if let Some(words) = wrapped.and_then(scalars::remark) {
            bounds::remark(&mut schema, words);
        }
        bounds.apply(&mut schema);
        if schema.examples.is_empty() {
            schema.examples.extend(wrapped.and_then(scalars::example));
        }
        schema
    }

    /// The schema of a field's type.
    pub(super) fn single(&self, field: &FieldDescriptor, direction: Direction) -> Schema {
        match field.kind() {
            ProtoKind::Message(message) => self.message(&message, direction),
            ProtoKind::Enum(item) if item.full_name() == NULL => Schema::of(Type::Null),
            ProtoKind::Enum(item) => Schema::reference(&self.names.of(item.full_name(), None, direction)),
            _ => self.scalar(field, direction).unwrap_or_default(),
        }
    }

    /// A message whose own rules do not count where it stands: in place, with nothing required.
    fn unbound(&self, message: &MessageDescriptor, direction: Direction) -> Schema {
        match self.plan(message) {
            Some(plan) if plan.well_known.is_none() && !plan.tagged => {
                Schema { required: Vec::new(), ..self.object(message, direction, &[]) }
            }
            _ => self.message(message, direction),
        }
    }

    fn scalar(&self, field: &FieldDescriptor, direction: Direction) -> Option<Schema> {
        let plan = self.plan_of(field)?;
        scalars::scalar(plan.kind, plan.int64_number || direction == Direction::Text)
    }

    /// The field at the end of a path.
    pub(super) fn field_at(&self, path: &FieldPath) -> Option<(FieldDescriptor, &'a Field)> {
        let &(message, index) = path.steps.last()?;
        let plan = self.plans.plan(message);
        let field = plan.fields.get(usize::from(index))?;
        let descriptor = self.pool.get_message_by_name(&plan.full_name)?.get_field(field.number)?;
        Some((descriptor, field))
    }

    /// Whether a request must say the field.
    pub(super) fn is_required(&self, field: &FieldDescriptor) -> bool {
        behaviors(field).contains(&REQUIRED) || Bounds::of(field).required(field)
    }

    /// Whether the request of a route has its members named as declared.
    pub(super) fn names_as_declared(&self, route: &Route) -> bool {
        let message = self.pool.get_message_by_name(self.plans.name(route.method.input));
        message.is_some_and(|message| options::file(&message.parent_file()).proto_names)
    }

    pub(super) fn plan_of(&self, field: &FieldDescriptor) -> Option<&'a Field> {
        let plan = self.plan(field.parent_message())?;
        plan.fields.get(plan.field_index(field.number())?)
    }

    fn map(&self, field: &FieldDescriptor, bounds: &Bounds, direction: Direction) -> Schema {
        let ProtoKind::Message(entry) = field.kind() else {
            return Schema::default();
        };
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let mut names = match key.kind() {
            ProtoKind::String => Schema::of(Type::String),
            ProtoKind::Bool => {
                Schema { values: vec![Json::string("true"), Json::string("false")], ..Schema::default() }
            }
            ProtoKind::Uint32 | ProtoKind::Uint64 | ProtoKind::Fixed32 | ProtoKind::Fixed64 => {
                Schema { pattern: Some("^[0-9]{1,20}$".to_owned()), ..Schema::default() }
            }
            _ => Schema { pattern: Some("^-?[0-9]{1,20}$".to_owned()), ..Schema::default() },
        };
        if key.kind() == ProtoKind::String {
            bounds.keys().apply(&mut names);
        }
        let value = match self.plan_of(&value) {
            Some(plan) => self.value(&value, plan, &bounds.values(), direction),
            None => Schema::default(),
        };
        let mut schema =
            Schema { additional_properties: Some(Additional::Each(Box::new(value))), ..Schema::of(Type::Object) };
        bounds.apply(&mut schema);
        if names != Schema::of(Type::String) {
            schema.property_names = Some(Box::new(names));
        }
        schema
    }

    /// Gives two names to each message that looks different in requests and in answers, and occurs in both.
    pub(super) fn split(&mut self, pool: &DescriptorPool, inputs: &BTreeSet<String>, outputs: &BTreeSet<String>) {
        let both: Vec<MessageDescriptor> =
            inputs.intersection(outputs).filter_map(|name| pool.get_message_by_name(name)).collect();
        for message in &both {
            if self.components(message, Direction::Input) != self.components(message, Direction::Output) {
                self.names.split(message.full_name());
            }
        }
        // What holds a message of two names looks different too.
        loop {
            let holds = |message: &MessageDescriptor| {
                children(message).iter().any(|child| self.names.is_split(child.full_name()))
            };
            let more: Vec<String> = both
                .iter()
                .filter(|message| !self.names.is_split(message.full_name()) && holds(message))
                .map(|message| message.full_name().to_owned())
                .collect();
            if more.is_empty() {
                return;
            }
            for name in more {
                self.names.split(&name);
            }
        }
    }
}

const EMPTY: &str = "google.protobuf.Empty";
const NULL: &str = "google.protobuf.NullValue";

/// `google.api.FieldBehavior`. Source: <https://github.com/googleapis/googleapis/blob/master/google/api/field_behavior.proto>.
const REQUIRED: i32 = 2;
const OUTPUT_ONLY: i32 = 3;
const INPUT_ONLY: i32 = 4;

fn behaviors(field: &FieldDescriptor) -> Vec<i32> {
    options::numbers(field.parent_pool(), &field.options(), "google.api.field_behavior")
}

fn empty() -> Schema {
    Schema { additional_properties: Some(Additional::Allowed(false)), ..Schema::of(Type::Object) }
}

/// The messages that `message` has as components of its own kind, directly.
fn children(message: &MessageDescriptor) -> Vec<MessageDescriptor> {
    let mut found = Vec::new();
    for field in message.fields() {
        let ProtoKind::Message(child) = field.kind() else {
            continue;
        };
        if !child.is_map_entry() {
            found.push(child);
        } else if let ProtoKind::Message(child) = child.map_entry_value_field().kind() {
            found.push(child);
        }
    }
    found
}

/// Adds to `found` every message that is described by reference in a schema of `message`, itself first.
pub(super) fn reach(message: &MessageDescriptor, found: &mut BTreeSet<String>) {
    if WellKnown::of(message.full_name()).is_some() || message.full_name() == EMPTY {
        return;
    }
    if found.insert(message.full_name().to_owned()) {
        children(message).iter().for_each(|child| reach(child, found));
    }
}

/// The enums that the fields of `messages` have.
pub(super) fn enums(pool: &DescriptorPool, messages: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for message in messages.iter().filter_map(|name| pool.get_message_by_name(name)) {
        for field in message.fields() {
            let kind = match field.kind() {
                ProtoKind::Message(entry) if entry.is_map_entry() => entry.map_entry_value_field().kind(),
                kind => kind,
            };
            match kind {
                ProtoKind::Enum(item) if item.full_name() != NULL => {
                    found.insert(item.full_name().to_owned());
                }
                _ => {}
            }
        }
    }
    found
}
