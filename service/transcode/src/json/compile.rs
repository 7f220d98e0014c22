//! Compiles descriptors and their options into plans. Runs once, at start-up; every contradiction in the options is an
//! error here, so that converting never meets one.

use std::collections::HashMap;

use prost_reflect::{Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, Kind as Type, MessageDescriptor};

use super::error::PlanError;
use super::names::Names;
use super::plan::{
    Enum, EnumId, Field, Form, Kind, Label, Member, Message, MessageId, NO_FIELD, Oneof, Union, WellKnown,
};
use crate::options::{self, FileShape, OneofForm, Unset};

/// Every message and enum of `pool`; `fold_enums` has enum names read whatever their case.
pub(crate) fn compile(pool: &DescriptorPool, fold_enums: bool) -> Result<Compiled, PlanError> {
    let message_ids: HashMap<String, MessageId> =
        pool.all_messages().zip(0..).map(|(message, id)| (message.full_name().to_owned(), MessageId(id))).collect();
    let enum_ids: HashMap<String, EnumId> =
        pool.all_enums().zip(0..).map(|(item, id)| (item.full_name().to_owned(), EnumId(id))).collect();
    let compiler = Compiler { message_ids, enum_ids };
    let enums = pool.all_enums().map(|item| enumeration(&item, fold_enums)).collect();
    let messages = pool.all_messages().map(|message| compiler.message(&message)).collect::<Result<_, _>>()?;
    Ok(Compiled { messages, enums, ids: compiler.message_ids })
}

/// The plans of a descriptor pool.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) messages: Vec<Message>,
    pub(crate) enums: Vec<Enum>,
    pub(crate) ids: HashMap<String, MessageId>,
}

struct Compiler {
    message_ids: HashMap<String, MessageId>,
    enum_ids: HashMap<String, EnumId>,
}

impl Compiler {
    fn message(&self, message: &MessageDescriptor) -> Result<Message, PlanError> {
        let shape = options::file(&message.parent_file());
        let descriptors: Vec<FieldDescriptor> = declared(message);
        let mut fields = Vec::with_capacity(descriptors.len());
        let mut additional = None;
        for (index, descriptor) in descriptors.iter().enumerate() {
            let options = options::field(descriptor);
            if options.additional_members {
                if additional.is_some() || !is_text_map(descriptor) {
                    return Err(PlanError::new(
                        descriptor.full_name(),
                        "additional_members belongs on one map<string, string> of a message",
                    ));
                }
                additional = Some(index as u16);
            }
            fields.push(self.field(descriptor, &options, shape)?);
        }
        let mut oneofs = Vec::new();
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let at = oneofs.len() as u16;
            let members: Box<[u16]> = (0u16..)
                .zip(&descriptors)
                .filter(|(_, field)| field.containing_oneof().is_some_and(|of| of == oneof))
                .map(|(index, _)| index)
                .collect();
            for &index in &members {
                fields[usize::from(index)].oneof = Some(at);
            }
            let name: Box<str> = if shape.proto_names { oneof.name().into() } else { camel_case(oneof.name()).into() };
            let form = match options::oneof(&oneof) {
                None => Form::Plain,
                Some(OneofForm::Tag(tag)) => Form::Tag { json_key: json_key(&tag), name: tag.into() },
                Some(OneofForm::Bare) => {
                    if members.len() != descriptors.len() {
                        return Err(PlanError::new(oneof.full_name(), "a bare oneof is alone in its message"));
                    }
                    Form::ByJsonType(union(oneof.full_name(), &name, Unset::Omit, &members, &descriptors)?)
                }
                Some(OneofForm::ByJsonType(unset)) => {
                    Form::ByJsonType(union(oneof.full_name(), &name, unset, &members, &descriptors)?)
                }
            };
            oneofs.push(Oneof { name, fields: members, form });
        }
        let output = output(&fields, &oneofs, additional);
        let mut dense = Vec::new();
        let mut sparse = Vec::new();
        for (index, field) in (0u16..).zip(&fields) {
            if field.number < 256 {
                let number = field.number as usize;
                if dense.len() <= number {
                    dense.resize(number + 1, NO_FIELD);
                }
                dense[number] = index;
            } else {
                sparse.push((field.number, index));
            }
        }
        sparse.sort_unstable();
        let notes_absence = additional.is_some()
            && output.iter().any(|member| match member {
                Member::Field(index) => fields[usize::from(*index)].unset != Unset::Omit,
                Member::Union(index) => match &oneofs[usize::from(*index)].form {
                    Form::ByJsonType(union) => union.unset != Unset::Omit,
                    _ => false,
                },
                Member::Tag(_) => true,
            });
        let tags = output.iter().filter(|member| matches!(member, Member::Tag(_))).count();
        if tags > 1 {
            return Err(PlanError::new(message.full_name(), "at most one oneof of a message may have a tag"));
        }
        Ok(Message {
            full_name: message.full_name().into(),
            well_known: WellKnown::of(message.full_name())
                .or_else(|| options::is_bare(message).then_some(WellKnown::Bare)),
            members: Names::new(names(&fields, &oneofs, &output)),
            fields: fields.into(),
            oneofs: oneofs.into(),
            dense: dense.into(),
            sparse: sparse.into(),
            output: output.into(),
            additional,
            notes_absence,
            tagged: tags == 1,
        })
    }

    fn field(
        &self,
        descriptor: &FieldDescriptor,
        options: &options::FieldShape,
        shape: FileShape,
    ) -> Result<Field, PlanError> {
        let kind = self.kind(descriptor)?;
        if options.raw && !matches!(kind, Kind::String | Kind::Bytes) {
            return Err(PlanError::new(descriptor.full_name(), "raw belongs on a string or bytes field"));
        }
        let label = if descriptor.is_map() {
            Label::Map
        } else if descriptor.cardinality() == Cardinality::Repeated {
            Label::Repeated { packed: descriptor.is_packed() }
        } else {
            Label::Singular { implicit: !descriptor.supports_presence() }
        };
        if options.accept_scalar && !matches!(label, Label::Repeated { .. }) {
            return Err(PlanError::new(descriptor.full_name(), "accept_scalar belongs on a repeated field"));
        }
        let name = if shape.proto_names { descriptor.name() } else { descriptor.json_name() };
        Ok(Field {
            number: descriptor.number(),
            name: name.into(),
            json_key: json_key(name),
            proto_name: descriptor.name().into(),
            kind,
            label,
            group: descriptor.is_group(),
            unset: options.unset,
            raw: options.raw,
            accept_scalar: options.accept_scalar,
            int64_number: options.int64_number.unwrap_or(shape.int64_number),
            oneof: None,
        })
    }

    fn kind(&self, descriptor: &FieldDescriptor) -> Result<Kind, PlanError> {
        let unknown = |name: &str| PlanError::new(descriptor.full_name(), &format!("the type {name} is not known"));
        Ok(match descriptor.kind() {
            Type::Double => Kind::Double,
            Type::Float => Kind::Float,
            Type::Int32 => Kind::Int32,
            Type::Int64 => Kind::Int64,
            Type::Uint32 => Kind::Uint32,
            Type::Uint64 => Kind::Uint64,
            Type::Sint32 => Kind::Sint32,
            Type::Sint64 => Kind::Sint64,
            Type::Fixed32 => Kind::Fixed32,
            Type::Fixed64 => Kind::Fixed64,
            Type::Sfixed32 => Kind::Sfixed32,
            Type::Sfixed64 => Kind::Sfixed64,
            Type::Bool => Kind::Bool,
            Type::String => Kind::String,
            Type::Bytes => Kind::Bytes,
            Type::Enum(item) => {
                Kind::Enum(*self.enum_ids.get(item.full_name()).ok_or_else(|| unknown(item.full_name()))?)
            }
            Type::Message(item) => {
                Kind::Message(*self.message_ids.get(item.full_name()).ok_or_else(|| unknown(item.full_name()))?)
            }
        })
    }
}

/// The fields in the order in which the proto file declares them: the order in which they are written.
fn declared(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let order = message.descriptor_proto().field.iter().map(|field| field.number());
    order.filter_map(|number| message.get_field(u32::try_from(number).ok()?)).collect()
}

fn is_text_map(field: &FieldDescriptor) -> bool {
    let Type::Message(entry) = field.kind() else {
        return false;
    };
    let is_text = |number| entry.get_field(number).is_some_and(|field| field.kind() == Type::String);
    field.is_map() && is_text(1) && is_text(2)
}

/// Decides which field takes which JSON type; two for one type are a contradiction.
fn union(
    full_name: &str,
    name: &str,
    unset: Unset,
    members: &[u16],
    descriptors: &[FieldDescriptor],
) -> Result<Union, PlanError> {
    let mut union = Union { json_key: json_key(name), unset, ..Union::default() };
    let mut expected = Vec::new();
    for &index in members {
        let (slot, text) = match descriptors[usize::from(index)].kind() {
            Type::String | Type::Bytes => (&mut union.string, "a string"),
            Type::Enum(_) => (&mut union.enumeration, "a string"),
            Type::Bool => (&mut union.boolean, "true or false"),
            Type::Message(item) if is_list(&item) => (&mut union.array, "an array"),
            Type::Message(_) => (&mut union.object, "an object"),
            _ => (&mut union.number, "a number"),
        };
        if slot.replace(index).is_some() {
            return Err(PlanError::new(full_name, &format!("two fields of a by_json_type oneof take {text}")));
        }
        if !expected.contains(&text) {
            expected.push(text);
        }
    }
    union.expected = expected.join(" or ").into();
    Ok(union)
}

fn is_list(message: &MessageDescriptor) -> bool {
    let mut fields = message.fields();
    WellKnown::of(message.full_name()).is_none()
        && matches!((fields.next(), fields.next()), (Some(only), None) if only.is_list())
}

/// The members in writing order: a union or a tag stands where the first field of its oneof stands.
fn output(fields: &[Field], oneofs: &[Oneof], additional: Option<u16>) -> Vec<Member> {
    let mut output = Vec::with_capacity(fields.len());
    for (index, field) in (0u16..).zip(fields) {
        if Some(index) == additional {
            continue;
        }
        let Some(oneof) = field.oneof else {
            output.push(Member::Field(index));
            continue;
        };
        let first = oneofs[usize::from(oneof)].fields.first() == Some(&index);
        match &oneofs[usize::from(oneof)].form {
            Form::Plain => output.push(Member::Field(index)),
            Form::ByJsonType(_) if first => output.push(Member::Union(oneof)),
            Form::ByJsonType(_) => {}
            Form::Tag { .. } => {
                if first {
                    output.push(Member::Tag(oneof));
                }
                output.push(Member::Field(index));
            }
        }
    }
    output
}

/// The names under which members are read: as written, and the canonical and proto names too.
fn names(fields: &[Field], oneofs: &[Oneof], output: &[Member]) -> Vec<(String, Member)> {
    let mut names = Vec::new();
    for &member in output {
        match member {
            Member::Field(index) => names.push((fields[usize::from(index)].name.to_string(), member)),
            Member::Union(index) => names.push((oneofs[usize::from(index)].name.to_string(), member)),
            Member::Tag(index) => {
                if let Form::Tag { name, .. } = &oneofs[usize::from(index)].form {
                    names.push((name.to_string(), member));
                }
            }
        }
    }
    for &member in output {
        if let Member::Field(index) = member {
            let field = &fields[usize::from(index)];
            names.push((field.proto_name.to_string(), member));
            names.push((camel_case(&field.proto_name), member));
        }
    }
    names
}

fn enumeration(item: &EnumDescriptor, fold: bool) -> Enum {
    let mut numbers = Vec::new();
    let mut texts: Vec<(i32, Box<str>)> = Vec::new();
    // Of several names for one number, the one that is declared first is written.
    let declared = item.enum_descriptor_proto().value.iter();
    for value in declared.filter_map(|value| item.get_value_by_name(value.name())) {
        let json = options::enum_value(&value);
        let text = json.clone().unwrap_or_else(|| value.name().to_owned());
        if !texts.iter().any(|(number, _)| *number == value.number()) {
            texts.push((value.number(), quoted(&text).into()));
        }
        numbers.extend(json.map(|json| (json, value.number())));
        numbers.push((value.name().to_owned(), value.number()));
    }
    texts.sort_unstable();
    Enum {
        folded: fold.then(|| folded(&numbers)),
        numbers: Names::new(numbers),
        texts: texts.into(),
        null: item.full_name() == "google.protobuf.NullValue",
    }
}

/// The strings in lower case, but for those that stand for two values: these are told apart by case alone.
fn folded(numbers: &[(String, i32)]) -> Names<i32> {
    let mut meant: HashMap<String, Option<i32>> = HashMap::new();
    for (text, number) in numbers {
        let entry = meant.entry(text.to_lowercase()).or_insert(Some(*number));
        *entry = entry.filter(|present| present == number);
    }
    Names::new(meant.into_iter().filter_map(|(text, number)| Some((text, number?))))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn json_key(name: &str) -> Box<[u8]> {
    let mut key = quoted(name).into_bytes();
    key.push(b':');
    key.into()
}

/// The canonical JSON name of a proto name.
fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for character in name.chars() {
        if character == '_' {
            upper = true;
        } else if upper {
            out.extend(character.to_uppercase());
            upper = false;
        } else {
            out.push(character);
        }
    }
    out
}
