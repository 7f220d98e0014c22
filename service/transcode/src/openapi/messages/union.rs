//! A oneof as one member: told apart by the JSON type of its value, or by a tag beside it.

use prost_reflect::{FieldDescriptor, Kind as ProtoKind, MessageDescriptor};

use super::{Direction, Field, Form, Json, Message, Messages, Ordered, Schema, Type, bounds};
use crate::json::plan::{Oneof, Union};
use crate::openapi::schema::Discriminator;

impl Messages<'_> {
    /// The alternatives of a oneof that is told apart by JSON type.
    pub(super) fn union(
        &self,
        oneof: &Oneof,
        union: &Union,
        fields: &[(FieldDescriptor, &Field)],
        direction: Direction,
    ) -> Schema {
        let mut alternatives = Vec::new();
        for (&index, (descriptor, field)) in oneof.fields.iter().zip(fields) {
            if union.array != Some(index) {
                alternatives.push(self.field(descriptor, field, direction));
                continue;
            }
            // The array is the one repeated field of the message.
            let ProtoKind::Message(list) = descriptor.kind() else {
                continue;
            };
            let elements = list.fields().next().and_then(|elements| Some((self.plan_of(&elements)?, elements)));
            if let Some((plan, elements)) = elements {
                let comment = self.comments.text(&descriptor.parent_message().parent_file(), descriptor.path());
                alternatives.push(self.field(&elements, plan, direction).described(comment));
            }
        }
        // A text field beside an enum takes every string: the two overlap, so that it cannot be `oneOf`.
        let mut schema = Schema::any_of(alternatives);
        if schema.any_of.len() > 1 && !(union.string.is_some() && union.enumeration.is_some()) {
            schema.one_of = std::mem::take(&mut schema.any_of);
        }
        schema
    }

    /// The member that names the field which is set: one name, or any.
    pub(super) fn tag(&self, plan: &Message, oneof: usize, chosen: Option<u16>) -> (String, Schema) {
        let oneof = &plan.oneofs[oneof];
        let name = match &oneof.form {
            Form::Tag { name, .. } => name.to_string(),
            _ => String::new(),
        };
        let known = oneof.fields.iter().map(|&field| &*plan.fields[usize::from(field)].name);
        let schema = match chosen {
            Some(chosen) => Schema::constant(&plan.fields[usize::from(chosen)].name),
            None if plan.additional.is_none() => Schema::never(),
            None => {
                let known = Schema { values: known.map(Json::string).collect(), ..Schema::default() };
                Schema { not: Some(Box::new(known)), ..Schema::of(Type::String) }
            }
        };
        (name, schema)
    }

    /// A message with a tagged oneof: one component for each alternative, and one that chooses.
    pub(super) fn tagged(
        &self,
        message: &MessageDescriptor,
        plan: &Message,
        oneof: usize,
        direction: Direction,
    ) -> Vec<(String, Schema)> {
        let form = &plan.oneofs[oneof];
        let Form::Tag { name: tag, .. } = &form.form else {
            return Vec::new();
        };
        let full_name = message.full_name();
        let named = |part: Option<&str>| self.names.of(full_name, part, direction);
        let mut parts = Vec::new();
        let mut chooser = Schema {
            title: Some(message.name().to_owned()),
            description: self.comments.text(&message.parent_file(), message.path()),
            ..Schema::default()
        };
        let mut mapping = Ordered::default();
        for &index in &form.fields {
            let field = &plan.fields[usize::from(index)];
            let name = named(Some(&field.name));
            let mut schema = self.members(message, plan, direction, &[], Some((oneof, Some(index))));
            schema.title = Some(format!("{} {}", message.name(), field.name));
            if let Some(field) = message.get_field(field.number) {
                schema.description = self.comments.text(&message.parent_file(), field.path()).or(schema.description);
            }
            chooser.one_of.push(Schema::reference(&name));
            mapping.push(&*field.name, format!("#/components/schemas/{name}"));
            parts.push((name, schema));
        }
        let closed = message.oneofs().any(|oneof| {
            let first = form.fields.first().map(|&first| plan.fields[usize::from(first)].number);
            oneof.fields().any(|field| Some(field.number()) == first) && bounds::oneof_required(&oneof)
        });
        if closed {
            chooser.discriminator = Some(Discriminator { property_name: tag.to_string(), mapping });
        } else {
            // No alternative at all, or, where unknown members are kept, one that the schema does not know. A
            // discriminator has no word for that, but the constant tags tell the alternatives apart without one.
            let name = named(Some("other"));
            let mut schema = self.members(message, plan, direction, &[], Some((oneof, None)));
            schema.title = Some(format!("{} other", message.name()));
            schema.description = Some(match plan.additional {
                Some(_) => "A kind that this document does not know, or none; it is passed on as it is.".to_owned(),
                None => "None of the kinds.".to_owned(),
            });
            chooser.one_of.push(Schema::reference(&name));
            chooser.any_of = std::mem::take(&mut chooser.one_of);
            parts.push((name, schema));
        }
        parts.insert(0, (named(None), chooser));
        parts
    }
}
