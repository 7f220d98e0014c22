//! Reads `buf.validate` rules off descriptors and compiles them. Runs once, at start-up: a rule that does not fit its
//! field, or that nothing here can enforce, is an error and never passed over.

mod read;

use std::collections::HashSet;

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind as Type, MessageDescriptor};

use self::read::Declared;
use super::RuleError;
use super::path::OneofNames;
use super::rules::{Exclusive, Field, Item, List, Map, Message, Rules, Shape};
use crate::json::plan::Kind;
use crate::json::{MessageId, Plans};

/// The rules of every message, and the names that paths need.
pub(super) struct Compiled {
    pub(super) rules: Rules,
    pub(super) oneof_names: OneofNames,
    /// For each message that is left to the engine, the element whose rule needs it.
    engine: Vec<Option<String>>,
}

impl Compiled {
    /// The messages left to the engine that one of `roots` leads to, each with the element whose rule needs it.
    pub(super) fn left_to_engine(&self, roots: impl Iterator<Item = MessageId>) -> Vec<(MessageId, &str)> {
        let mut seen = HashSet::new();
        let mut open: Vec<MessageId> = roots.collect();
        let mut found = Vec::new();
        while let Some(id) = open.pop() {
            let Some(message) = self.rules.of(id).filter(|_| seen.insert(id)) else {
                continue;
            };
            if let Some(element) = &self.engine[id.0 as usize] {
                found.push((id, element.as_str()));
            } else {
                open.extend(message.fields.iter().flat_map(children));
            }
        }
        found
    }
}

/// Every message and oneof of `pool`, whose plans are `plans`.
pub(super) fn compile(pool: &DescriptorPool, plans: &Plans) -> Result<Compiled, RuleError> {
    let compiler = Compiler { plans };
    let mut messages = Vec::new();
    let mut engine = Vec::new();
    let mut names: Vec<Box<[Box<str>]>> = Vec::new();
    for (descriptor, id) in pool.all_messages().zip(0..) {
        let oneofs = descriptor.oneofs().filter(|oneof| !oneof.is_synthetic());
        names.push(oneofs.map(|oneof| oneof.name().into()).collect());
        let (message, needs_engine) = compiler.message(&descriptor, MessageId(id))?;
        messages.push(message);
        engine.push(needs_engine);
    }
    let below = with_rules_below(&messages);
    for message in &mut messages {
        for field in &mut message.fields {
            prune(field, &below);
        }
        message.watched = (0..).zip(&message.fields).filter(|(_, field)| is_watched(field)).map(|(at, _)| at).collect();
    }
    let messages = messages.into_iter().zip(&below).map(|(message, below)| below.then(|| Box::new(message)));
    Ok(Compiled { rules: Rules { messages: messages.collect() }, oneof_names: names.into(), engine })
}

/// Whether a rule lies in a message or in one below it.
fn with_rules_below(messages: &[Message]) -> Vec<bool> {
    let mut below: Vec<bool> = messages.iter().map(has_own_rules).collect();
    loop {
        let mut settled = true;
        for (at, message) in messages.iter().enumerate() {
            let mut children = message.fields.iter().flat_map(children);
            if !below[at] && children.any(|MessageId(child)| below[child as usize]) {
                (below[at], settled) = (true, false);
            }
        }
        if settled {
            return below;
        }
    }
}

fn has_own_rules(message: &Message) -> bool {
    let of_field = |field: &Field| {
        field.required
            || match &field.shape {
                Shape::One(item) => item.rule.is_some(),
                Shape::List(list) => list.has_own_rules() || list.items.rule.is_some(),
                Shape::Map(map) => map.has_own_rules() || map.keys.rule.is_some() || map.values.rule.is_some(),
            }
    };
    message.engine
        || !message.required_oneofs.is_empty()
        || !message.exclusive.is_empty()
        || message.fields.iter().any(of_field)
}

/// The message that a field holds, or that the items of a list or the values of a map are.
fn children(field: &Field) -> Option<MessageId> {
    match &field.shape {
        Shape::One(item) => item.child,
        Shape::List(list) => list.items.child,
        Shape::Map(map) => map.values.child,
    }
}

/// Forgets children without rules, so that the walk skips them.
fn prune(field: &mut Field, below: &[bool]) {
    let item = match &mut field.shape {
        Shape::One(item) => item,
        Shape::List(list) => &mut list.items,
        Shape::Map(map) => &mut map.values,
    };
    item.child = item.child.filter(|child| below[child.0 as usize]);
}

/// Whether there is more to say of a field once its message has been read.
fn is_watched(field: &Field) -> bool {
    field.required
        || match &field.shape {
            Shape::One(item) => item.rule.is_some() && !field.ignore_empty,
            Shape::List(list) => list.has_own_rules(),
            // A key may stand twice, which has to be noticed wherever there is any rule.
            Shape::Map(map) => !map.is_free(),
        }
}

struct Compiler<'a> {
    plans: &'a Plans,
}

impl Compiler<'_> {
    /// The rules of a message; and the element whose rule needs the engine, if one does.
    fn message(&self, message: &MessageDescriptor, id: MessageId) -> Result<(Message, Option<String>), RuleError> {
        let plan = self.plans.plan(id);
        let mut needs_engine = None;
        let own = read::message_rules(message)?;
        if own.as_ref().is_some_and(read::has_expressions) {
            needs_engine = Some(message.full_name().to_owned());
        }
        let exclusive = own.map(|own| self.exclusive(message, id, &own)).transpose()?.unwrap_or_default();
        let mut fields = Vec::with_capacity(plan.fields.len());
        for planned in &plan.fields {
            let descriptor = message
                .get_field(planned.number)
                .ok_or_else(|| RuleError::new(message.full_name(), "a field of the plan is not declared"))?;
            let declared = read::field_rules(&descriptor)?;
            if declared.as_ref().is_some_and(read::needs_engine) {
                needs_engine.get_or_insert_with(|| descriptor.full_name().to_owned());
            }
            let index = fields.len() as u16;
            let in_set = exclusive.iter().any(|set| set.fields.contains(&index));
            fields.push(Field { oneof: planned.oneof, ..self.field(&descriptor, declared.as_ref(), in_set)? });
        }
        let oneofs = message.oneofs().filter(|oneof| !oneof.is_synthetic()).zip(0..);
        let required_oneofs = oneofs.filter(|(oneof, _)| read::is_required(oneof)).map(|(_, at)| at).collect();
        let engine = needs_engine.is_some();
        let fields = fields.into();
        Ok((Message { engine, fields, watched: Box::default(), required_oneofs, exclusive }, needs_engine))
    }

    fn exclusive(
        &self,
        message: &MessageDescriptor,
        id: MessageId,
        own: &DynamicMessage,
    ) -> Result<Box<[Exclusive]>, RuleError> {
        let fault = |problem: &str| RuleError::new(message.full_name(), problem);
        let plan = self.plans.plan(id);
        let sets = read::exclusive_sets(own).into_iter().map(|(names, required)| {
            let mut fields: Vec<u16> = Vec::new();
            for name in &names {
                let at = plan.fields.iter().position(|field| *field.proto_name == **name);
                let at = at.ok_or_else(|| fault(&format!("the oneof rule names {name}, which is no field")))? as u16;
                if fields.contains(&at) {
                    return Err(fault(&format!("the oneof rule names {name} twice")));
                }
                fields.push(at);
            }
            if fields.is_empty() {
                return Err(fault("the oneof rule names no field"));
            }
            Ok(Exclusive { fields: fields.into(), required, names: names.join(", ").into() })
        });
        sets.collect()
    }

    fn field(
        &self,
        field: &FieldDescriptor,
        declared: Option<&Declared>,
        in_exclusive_set: bool,
    ) -> Result<Field, RuleError> {
        let ignore = declared.map_or(read::Ignore::Never, |declared| declared.ignore);
        let always = ignore == read::Ignore::Always;
        let declared = declared.filter(|_| !always);
        let shape = if let (true, Type::Message(entry)) = (field.is_map(), field.kind()) {
            self.map(field, &entry, declared, always)?
        } else if field.is_list() {
            let rules = declared.map(|declared| declared.of_type(field, "repeated")).transpose()?.flatten();
            let rules = rules.as_ref();
            let items = rules.map(|rules| read::nested(rules, "items", field)).transpose()?.flatten();
            let unique = rules.is_some_and(|rules| read::flag(rules, "unique"));
            if unique && matches!(field.kind(), Type::Message(_)) {
                return Err(RuleError::new(field.full_name(), "repeated.unique is for scalars and enums"));
            }
            Shape::List(List {
                least: rules.and_then(|rules| read::count(rules, "min_items")).unwrap_or(0),
                most: rules.and_then(|rules| read::count(rules, "max_items")).unwrap_or(u64::MAX),
                unique,
                items: if always { Item::default() } else { self.item(field, items.as_ref(), true)? },
            })
        } else {
            Shape::One(if always { Item::default() } else { self.item(field, declared, false)? })
        };
        let presence = field.supports_presence();
        Ok(Field {
            shape,
            required: declared.is_some_and(|declared| declared.required),
            implicit: !presence && !field.is_list() && !field.is_map(),
            ignore_empty: presence || in_exclusive_set || ignore != read::Ignore::Never,
            oneof: None,
        })
    }

    fn map(
        &self,
        field: &FieldDescriptor,
        entry: &MessageDescriptor,
        declared: Option<&Declared>,
        always: bool,
    ) -> Result<Shape, RuleError> {
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let rules = declared.map(|declared| declared.of_type(field, "map")).transpose()?.flatten();
        let rules = rules.as_ref();
        let keys = rules.map(|rules| read::nested(rules, "keys", field)).transpose()?.flatten();
        let values = rules.map(|rules| read::nested(rules, "values", field)).transpose()?.flatten();
        let item = |descriptor: &FieldDescriptor, declared: Option<&Declared>| {
            if always { Ok(Item::default()) } else { self.item(descriptor, declared, true) }
        };
        Ok(Shape::Map(Map {
            least: rules.and_then(|rules| read::count(rules, "min_pairs")).unwrap_or(0),
            most: rules.and_then(|rules| read::count(rules, "max_pairs")).unwrap_or(u64::MAX),
            keys: item(&key, keys.as_ref())?,
            key_kind: self.kind(&key),
            values: item(&value, values.as_ref())?,
            value_kind: self.kind(&value),
        }))
    }

    /// The rules of a single value: `nested` in a list or a map, where an absent value does not exist.
    fn item(&self, field: &FieldDescriptor, declared: Option<&Declared>, nested: bool) -> Result<Item, RuleError> {
        if declared.is_some_and(|declared| declared.ignore == read::Ignore::Always) {
            return Ok(Item::default());
        }
        let child = match field.kind() {
            Type::Message(child) => self.plans.message(child.full_name()),
            _ => None,
        };
        Ok(Item {
            rule: declared.map(|declared| read::rule(field, declared)).transpose()?.flatten(),
            child,
            ignore_zero: nested && declared.is_some_and(|declared| declared.ignore == read::Ignore::IfZero),
        })
    }

    /// The kind of a field in the plan of its message.
    fn kind(&self, field: &FieldDescriptor) -> Kind {
        let id = self.plans.message(field.parent_message().full_name());
        let plan = id.map(|id| self.plans.plan(id));
        let index = plan.and_then(|plan| plan.field_index(field.number()));
        // Every message of the pool has a plan; bytes fit any value that does not.
        plan.zip(index).map_or(Kind::Bytes, |(plan, index)| plan.fields[index].kind)
    }
}
