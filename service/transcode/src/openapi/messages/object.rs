//! A message as an object of its members.

use prost_reflect::{Kind as ProtoKind, MessageDescriptor, OneofDescriptor};

use super::{Additional, Direction, Elsewhere, Form, Label, Message, Messages, Ordered, Schema, Type, bounds};
use crate::json::plan::{Member, WellKnown};
use crate::options::Unset;

/// Beyond this many fields of a oneof, that only one may be set is said in words alone: saying it in a schema takes a
/// clause for each pair.
const MOST_PAIRED: usize = 8;

/// An object that is being described.
struct Object<'m> {
    message: &'m MessageDescriptor,
    plan: &'m Message,
    direction: Direction,
    properties: Ordered<Schema>,
    required: Vec<String>,
}

impl Object<'_> {
    fn add(&mut self, name: &str, schema: Schema, required: bool, unset: Unset) {
        let schema = match self.direction {
            // `null` stands for absence, where absence is allowed.
            Direction::Input | Direction::Text if !required => schema.or_null(),
            Direction::Output if unset == Unset::Null => schema.or_null(),
            // A message that keeps what its schema cannot hold keeps such a `null` too.
            Direction::Output if unset == Unset::Omit && self.plan.additional.is_some() => schema.or_null(),
            _ => schema,
        };
        let always = match (self.direction, unset) {
            (Direction::Input | Direction::Text, _) => required,
            (Direction::Output, Unset::Omit) => false,
            (Direction::Output, Unset::Default) => true,
            // Where a message keeps what its schema cannot hold, its handler may note that such a member was absent.
            (Direction::Output, Unset::Null) => self.plan.additional.is_none(),
        };
        if always {
            self.required.push(name.to_owned());
        }
        self.properties.push(name, schema);
    }
}

impl Messages<'_> {
    /// The components that describe a message: itself, and the alternatives of a tagged oneof.
    pub(in crate::openapi) fn components(
        &self,
        message: &MessageDescriptor,
        direction: Direction,
    ) -> Vec<(String, Schema)> {
        let Some(plan) = self.plan(message) else {
            return Vec::new();
        };
        match plan.oneofs.iter().position(|oneof| matches!(oneof.form, Form::Tag { .. })) {
            Some(oneof) => self.tagged(message, plan, oneof, direction),
            None if plan.well_known == Some(WellKnown::Bare) => {
                let mut object =
                    Object { message, plan, direction, properties: Ordered::default(), required: Vec::new() };
                self.add_union(&mut object, 0);
                let value = plan
                    .oneofs
                    .first()
                    .and_then(|oneof| object.properties.get(&oneof.name))
                    .cloned()
                    .unwrap_or_default();
                let comment = self.comments.text(&message.parent_file(), message.path());
                vec![(self.names.of(message.full_name(), None, direction), value.described(comment))]
            }
            None => {
                vec![(self.names.of(message.full_name(), None, direction), self.object(message, direction, &[]))]
            }
        }
    }

    /// A message in place, without the fields that are said elsewhere.
    pub(in crate::openapi) fn object(
        &self,
        message: &MessageDescriptor,
        direction: Direction,
        elsewhere: Elsewhere<'_>,
    ) -> Schema {
        match self.plan(message) {
            // The alternatives of a tagged oneof are components of their own.
            Some(plan) if plan.tagged => self.message(message, direction),
            Some(plan) => self.members(message, plan, direction, elsewhere, None),
            None => Schema::default(),
        }
    }

    /// The members of a message. Of the fields of the oneof `tagged.0`, only the one of index `tagged.1` is there.
    pub(super) fn members(
        &self,
        message: &MessageDescriptor,
        plan: &Message,
        direction: Direction,
        elsewhere: Elsewhere<'_>,
        tagged: Option<(usize, Option<u16>)>,
    ) -> Schema {
        let mut object = Object { message, plan, direction, properties: Ordered::default(), required: Vec::new() };
        for &member in &plan.output {
            match member {
                Member::Field(index) => {
                    let of_tagged = |oneof: usize| plan.fields[usize::from(index)].oneof == u16::try_from(oneof).ok();
                    match tagged {
                        Some((oneof, chosen)) if of_tagged(oneof) => {
                            if chosen == Some(index) && !self.is_bare(plan, index) {
                                self.add_field(&mut object, index, elsewhere, true);
                            }
                        }
                        _ => self.add_field(&mut object, index, elsewhere, false),
                    }
                }
                Member::Union(index) => self.add_union(&mut object, usize::from(index)),
                Member::Tag(index) => {
                    let (name, schema) = self.tag(plan, usize::from(index), tagged.and_then(|(_, chosen)| chosen));
                    let required = tagged.is_some_and(|(_, chosen)| chosen.is_some());
                    let unset = if required { Unset::Default } else { Unset::Omit };
                    object.add(&name, schema, required, unset);
                }
            }
        }
        let Object { properties, required, .. } = object;
        let additional = match (plan.additional, direction) {
            (Some(_), _) => Some(Additional::Allowed(true)),
            (None, Direction::Input | Direction::Text) => Some(Additional::Allowed(false)),
            // Left open, so that members can be added without breaking anybody.
            (None, Direction::Output) => None,
        };
        let file = message.parent_file();
        let mut schema = Schema {
            title: Some(message.name().to_owned()),
            description: self.comments.text(&file, message.path()),
            properties,
            required,
            additional_properties: additional,
            deprecated: message.descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated()),
            ..Schema::of(Type::Object)
        };
        if direction.is_input() {
            bounds::of_message(message, &mut schema);
        }
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let is_plain = plan.oneofs.iter().any(|form| {
                matches!(form.form, Form::Plain)
                    && form
                        .fields
                        .iter()
                        .any(|&field| oneof.fields().any(|own| own.number() == plan.fields[usize::from(field)].number))
            });
            if is_plain {
                self.guard(&oneof, direction, &mut schema);
            }
        }
        schema
    }

    fn add_field(&self, object: &mut Object<'_>, index: u16, elsewhere: Elsewhere<'_>, chosen: bool) {
        let plan = object.plan;
        let field = &plan.fields[usize::from(index)];
        let Some(descriptor) = object.message.get_field(field.number) else {
            return;
        };
        let deeper: Vec<Vec<u16>> =
            elsewhere.iter().filter(|path| path.first() == Some(&index)).map(|path| path[1..].to_vec()).collect();
        if deeper.iter().any(Vec::is_empty) {
            return;
        }
        let mut schema = self.field(&descriptor, field, object.direction);
        if let (false, ProtoKind::Message(inner)) = (deeper.is_empty(), descriptor.kind()) {
            let said = schema.description.take();
            schema = self.object(&inner, object.direction, &deeper).described(said);
        }
        let required = chosen || (deeper.is_empty() && self.is_required(&descriptor));
        let unset = if chosen { Unset::Default } else { field.unset };
        if unset == Unset::Default
            && object.direction == Direction::Output
            && matches!(field.label, Label::Singular { implicit: true })
        {
            schema = self.with_default(&descriptor, schema);
        }
        object.add(&field.name, schema, required, unset);
    }

    /// An enum that is written although it is unset is written as its value of number 0, even if that says nothing.
    fn with_default(&self, field: &prost_reflect::FieldDescriptor, schema: Schema) -> Schema {
        let ProtoKind::Enum(item) = field.kind() else {
            return schema;
        };
        match item.get_value(0).filter(super::scalars::is_unspecified) {
            Some(value) => {
                let description = schema.description.clone();
                let schema = Schema { description: None, ..schema };
                Schema::any_of(vec![schema, Schema::constant(&super::scalars::text(&value))]).described(description)
            }
            None => schema,
        }
    }

    /// Whether a field of a tagged oneof has no value: a message without fields is carried by the tag alone.
    fn is_bare(&self, plan: &Message, index: u16) -> bool {
        match plan.fields[usize::from(index)].kind {
            crate::json::plan::Kind::Message(child) => self.plans.plan(child).output.is_empty(),
            _ => false,
        }
    }

    fn add_union(&self, object: &mut Object<'_>, index: usize) {
        let oneof = &object.plan.oneofs[index];
        let Form::ByJsonType(union) = &oneof.form else {
            return;
        };
        let fields: Vec<_> = oneof
            .fields
            .iter()
            .map(|&field| &object.plan.fields[usize::from(field)])
            .filter_map(|field| Some((object.message.get_field(field.number)?, field)))
            .collect();
        let descriptor = fields.first().and_then(|(field, _)| field.containing_oneof());
        let required = descriptor.as_ref().is_some_and(bounds::oneof_required);
        let schema = self.union(oneof, union, &fields, object.direction);
        let comment = descriptor.and_then(|oneof| self.comments.text(&object.message.parent_file(), oneof.path()));
        let unset = union.unset;
        object.add(&oneof.name, schema.described(comment), required, unset);
    }

    /// Says that at most one field of a oneof is set, or exactly one.
    fn guard(&self, oneof: &OneofDescriptor, direction: Direction, schema: &mut Schema) {
        let names: Vec<String> =
            oneof.fields().filter_map(|field| self.plan_of(&field)).map(|field| field.name.to_string()).collect();
        let requires = |names: &[&String]| Schema {
            // Linters want a member that is required to be named beside.
            properties: names.iter().map(|name| ((*name).clone(), Schema::default())).collect(),
            required: names.iter().map(|name| (*name).clone()).collect(),
            ..Schema::default()
        };
        let required = direction.is_input() && bounds::oneof_required(oneof);
        let listed = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if required {
            bounds::remark(schema, &format!("Exactly one of {listed} is set."));
            schema
                .all_of
                .push(Schema { one_of: names.iter().map(|name| requires(&[name])).collect(), ..Schema::default() });
            return;
        }
        if names.len() < 2 {
            return;
        }
        bounds::remark(schema, &format!("At most one of {listed} is set."));
        if names.len() > MOST_PAIRED {
            return;
        }
        let mut pairs = Vec::new();
        for (at, one) in names.iter().enumerate() {
            pairs.extend(names[at + 1..].iter().map(|other| requires(&[one, other])));
        }
        let not = Schema { not: Some(Box::new(Schema::any_of(pairs))), ..Schema::default() };
        schema.all_of.push(not);
    }
}
