//! Reads single rules off the options of messages, oneofs and fields.

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind as Type, MessageDescriptor, OneofDescriptor,
    ReflectMessage as _, Value,
};

use crate::validate::RuleError;
use crate::validate::form::Form;
use crate::validate::number::{Bound, Declared as DeclaredNumber, Number, Ordered};
use crate::validate::octets::{self, Octets};
use crate::validate::pattern::Pattern;
use crate::validate::rules::Rule;
use crate::validate::text::{self, Text};
use crate::validate::well_known::{AnyRules, MaskRules, TimestampRules, show_duration, show_timestamp, wrapped};

/// When the rules of a field are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ignore {
    Never,
    IfZero,
    Always,
}

/// What a field's options say, as declared.
#[derive(Debug)]
pub(super) struct Declared {
    message: DynamicMessage,
    pub(super) ignore: Ignore,
    pub(super) required: bool,
}

impl Declared {
    fn new(message: DynamicMessage, element: &str) -> Result<Self, RuleError> {
        if message.unknown_fields().next().is_some() {
            return Err(RuleError::new(
                element,
                "there is a validation rule that buf/validate/validate.proto does not name",
            ));
        }
        let ignore = match get(&message, "ignore").and_then(|value| value.as_enum_number()) {
            Some(1) => Ignore::IfZero,
            Some(3) => Ignore::Always,
            _ => Ignore::Never,
        };
        let required = flag(&message, "required");
        Ok(Self { message, ignore, required })
    }

    /// The rules for a type, if there are any; rules for another type are an error.
    pub(super) fn of_type(&self, field: &FieldDescriptor, name: &str) -> Result<Option<DynamicMessage>, RuleError> {
        let Some((actual, rules)) = self.typed() else {
            return Ok(None);
        };
        if actual != name {
            let problem = format!("its rules are for {actual}, but it is of type {name}");
            return Err(RuleError::new(field.full_name(), &problem));
        }
        if rules.unknown_fields().next().is_some() {
            let problem = format!("there is a {name} rule that buf/validate/validate.proto does not name");
            return Err(RuleError::new(field.full_name(), &problem));
        }
        Ok(Some(rules))
    }

    /// The member of the oneof `type` that is set.
    fn typed(&self) -> Option<(String, DynamicMessage)> {
        let descriptor = self.message.descriptor();
        let oneof = descriptor.oneofs().find(|oneof| oneof.name() == "type")?;
        let field = oneof.fields().find(|field| self.message.has_field(field))?;
        let rules = self.message.get_field(&field).as_message()?.clone();
        Some((field.name().to_owned(), rules))
    }
}

fn extension(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let extension = pool.get_extension_by_name(name)?;
    if !options.has_extension(&extension) {
        return None;
    }
    options.get_extension(&extension).as_message().cloned()
}

pub(super) fn message_rules(message: &MessageDescriptor) -> Result<Option<DynamicMessage>, RuleError> {
    let rules = extension(message.parent_pool(), &message.options(), "buf.validate.message");
    if rules.as_ref().is_some_and(|rules| rules.unknown_fields().next().is_some()) {
        let problem = "there is a message rule that buf/validate/validate.proto does not name";
        return Err(RuleError::new(message.full_name(), problem));
    }
    Ok(rules)
}

pub(super) fn field_rules(field: &FieldDescriptor) -> Result<Option<Declared>, RuleError> {
    let rules = extension(field.parent_pool(), &field.options(), "buf.validate.field");
    rules.map(|rules| Declared::new(rules, field.full_name())).transpose()
}

/// The rules for what a list or a map holds.
pub(super) fn nested(
    rules: &DynamicMessage,
    name: &str,
    field: &FieldDescriptor,
) -> Result<Option<Declared>, RuleError> {
    let rules = get(rules, name).and_then(|value| value.as_message().cloned());
    rules.map(|rules| Declared::new(rules, field.full_name())).transpose()
}

pub(super) fn is_required(oneof: &OneofDescriptor) -> bool {
    extension(oneof.parent_pool(), &oneof.options(), "buf.validate.oneof").is_some_and(|rules| flag(&rules, "required"))
}

/// The sets of which at most one field may be set: the fields' names, and whether one has to be.
pub(super) fn exclusive_sets(rules: &DynamicMessage) -> Vec<(Vec<String>, bool)> {
    let sets = list(rules, "oneof");
    let sets = sets.iter().filter_map(Value::as_message);
    sets.map(|set| (texts(set, "fields").iter().map(|name| name.to_string()).collect(), flag(set, "required")))
        .collect()
}

/// Whether there are expressions among the rules.
pub(super) fn has_expressions(rules: &DynamicMessage) -> bool {
    !list(rules, "cel").is_empty() || !list(rules, "cel_expression").is_empty()
}

/// Whether a rule here is an expression, or an extension that stands for one; those for items, keys and values included.
pub(super) fn needs_engine(declared: &Declared) -> bool {
    fn of(rules: &DynamicMessage) -> bool {
        let inner = |rules: &DynamicMessage| {
            ["items", "keys", "values"].iter().any(|name| {
                let nested = get(rules, name).and_then(|value| value.as_message().cloned());
                nested.is_some_and(|nested| of(&nested))
            })
        };
        let typed = || {
            let oneof = rules.descriptor().oneofs().find(|oneof| oneof.name() == "type");
            let field = oneof.and_then(|oneof| oneof.fields().find(|field| rules.has_field(field)));
            field.and_then(|field| rules.get_field(&field).as_message().cloned())
        };
        has_expressions(rules) || typed().is_some_and(|typed| typed.extensions().next().is_some() || inner(&typed))
    }
    declared.ignore != Ignore::Always && of(&declared.message)
}

/// The value of a rule, if it is set.
fn get(rules: &DynamicMessage, name: &str) -> Option<Value> {
    let field = rules.descriptor().get_field_by_name(name)?;
    rules.has_field(&field).then(|| rules.get_field(&field).into_owned())
}

pub(super) fn flag(rules: &DynamicMessage, name: &str) -> bool {
    get(rules, name).and_then(|value| value.as_bool()).unwrap_or(false)
}

pub(super) fn count(rules: &DynamicMessage, name: &str) -> Option<u64> {
    get(rules, name)?.as_u64()
}

fn list(rules: &DynamicMessage, name: &str) -> Vec<Value> {
    get(rules, name).and_then(|value| value.as_list().map(<[Value]>::to_vec)).unwrap_or_default()
}

fn string(value: &Value) -> Option<Box<str>> {
    value.as_str().map(Into::into)
}

fn texts(rules: &DynamicMessage, name: &str) -> Vec<Box<str>> {
    list(rules, name).iter().filter_map(string).collect()
}

fn bytes(value: &Value) -> Option<Box<[u8]>> {
    value.as_bytes().map(|bytes| bytes.to_vec().into())
}

/// Seconds and nanoseconds of a duration or a point in time.
fn time(value: &Value) -> Option<(i64, i32)> {
    let message = value.as_message()?;
    let seconds = message.get_field_by_name("seconds")?.as_i64()?;
    Some((seconds, message.get_field_by_name("nanos")?.as_i32()?))
}

/// The rules of a single value.
pub(super) fn rule(field: &FieldDescriptor, declared: &Declared) -> Result<Option<Rule>, RuleError> {
    if let Type::Message(message) = field.kind()
        && let Some((kind, name)) = wrapped(message.full_name())
    {
        let Some(rules) = declared.of_type(field, name)? else {
            return Ok(None);
        };
        let inner = typed(field, name, &rules)?;
        return Ok(inner.map(|rule| Rule::Wrapped { rule: Box::new(rule), kind }));
    }
    let name = match field.kind() {
        Type::Double => "double",
        Type::Float => "float",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Uint32 => "uint32",
        Type::Uint64 => "uint64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
        Type::Fixed32 => "fixed32",
        Type::Fixed64 => "fixed64",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Enum(_) => "enum",
        Type::Message(message) => match message.full_name() {
            "google.protobuf.Any" => "any",
            "google.protobuf.Duration" => "duration",
            "google.protobuf.Timestamp" => "timestamp",
            "google.protobuf.FieldMask" => "field_mask",
            _ => "message",
        },
    };
    let Some(rules) = declared.of_type(field, name)? else {
        return Ok(None);
    };
    typed(field, name, &rules)
}

fn typed(field: &FieldDescriptor, name: &str, rules: &DynamicMessage) -> Result<Option<Rule>, RuleError> {
    let rule = match name {
        "double" => Rule::Real(number(name, rules, Value::as_f64, |value| value)),
        // Shown in the precision in which it was written.
        "float" => Rule::Real(number(name, rules, |value| value.as_f32().map(f64::from), |value| value as f32)),
        "int32" | "sint32" | "sfixed32" => {
            Rule::Signed(number(name, rules, |value| value.as_i32().map(i64::from), |value| value))
        }
        "int64" | "sint64" | "sfixed64" => Rule::Signed(number(name, rules, Value::as_i64, |value| value)),
        "uint32" | "fixed32" => {
            Rule::Unsigned(number(name, rules, |value| value.as_u32().map(u64::from), |value| value))
        }
        "uint64" | "fixed64" => Rule::Unsigned(number(name, rules, Value::as_u64, |value| value)),
        "bool" => Rule::Bool(number(name, rules, Value::as_bool, |value| value)),
        "enum" => {
            let Type::Enum(item) = field.kind() else {
                return Ok(None);
            };
            let known = item.clone();
            let show = move |value: i64| {
                let value = known.get_value(i32::try_from(value).unwrap_or_default());
                value.map_or_else(String::new, |value| value.name().to_owned())
            };
            let defined = flag(rules, "defined_only").then(|| {
                let mut numbers: Vec<i32> = item.values().map(|value| value.number()).collect();
                numbers.sort_unstable();
                numbers.into_boxed_slice()
            });
            Rule::Enum { number: number(name, rules, |value| value.as_i32().map(i64::from), show), defined }
        }
        "string" => Rule::Text(Box::new(text_rules(field, rules)?)),
        "bytes" => Rule::Octets(Box::new(byte_rules(field, rules)?)),
        "duration" => Rule::Duration(number(name, rules, time, show_duration)),
        "timestamp" => Rule::Timestamp(Box::new(TimestampRules {
            number: number(name, rules, time, show_timestamp),
            past: flag(rules, "lt_now"),
            future: flag(rules, "gt_now"),
            within: get(rules, "within").as_ref().and_then(time),
        })),
        "field_mask" => {
            let constant = get(rules, "const").and_then(|value| Some(texts(value.as_message()?, "paths").into()));
            let (one_of, none_of) = (texts(rules, "in").into(), texts(rules, "not_in").into());
            Rule::Mask(Box::new(MaskRules { constant, one_of, none_of }))
        }
        "any" => {
            let (one_of, none_of) = (texts(rules, "in").into(), texts(rules, "not_in").into());
            Rule::Any(Box::new(AnyRules { one_of, none_of }))
        }
        _ => return Ok(None),
    };
    Ok(Some(rule))
}

/// The rules of an ordered value: `read` takes it from a rule's value, `show` makes it a text.
fn number<T: Ordered, D: std::fmt::Display>(
    name: &str,
    rules: &DynamicMessage,
    read: impl Fn(&Value) -> Option<T>,
    show: impl Fn(T) -> D,
) -> Number<T> {
    let bound = |open: &str, closed: &str| {
        let end = |name, closed| get(rules, name).as_ref().and_then(&read).map(|at| Bound { at, closed });
        end(open, false).or_else(|| end(closed, true))
    };
    let values = |name: &str| list(rules, name).iter().filter_map(&read).collect();
    let declared = DeclaredNumber {
        constant: get(rules, "const").as_ref().and_then(&read),
        low: bound("gt", "gte"),
        high: bound("lt", "lte"),
        one_of: values("in"),
        none_of: values("not_in"),
        finite: flag(rules, "finite"),
    };
    Number::new(name, declared, show)
}

fn pattern(field: &FieldDescriptor, source: &str) -> Result<Pattern, RuleError> {
    Pattern::new(source).map_err(|error| RuleError::new(field.full_name(), &error.to_string()))
}

fn text_rules(field: &FieldDescriptor, rules: &DynamicMessage) -> Result<Text, RuleError> {
    use text::Rule;
    let text = |name: &str| get(rules, name).as_ref().and_then(string);
    let count = |name: &str| count(rules, name);
    let several = |name: &str| Some(texts(rules, name)).filter(|list| !list.is_empty()).map(Vec::into_boxed_slice);
    let matches = text("pattern").map(|source| pattern(field, &source)).transpose()?;
    let strict = get(rules, "strict").and_then(|value| value.as_bool()).unwrap_or(true);
    let known = rules.descriptor().oneofs().find(|oneof| oneof.name() == "well_known");
    let known = known.and_then(|known| known.fields().find(|field| rules.has_field(field)));
    let form = known.and_then(|known| match get(rules, known.name())? {
        Value::Bool(true) => Form::named(known.name()),
        Value::EnumNumber(1) => Some(Form::HeaderName { strict }),
        Value::EnumNumber(2) => Some(Form::HeaderValue { strict }),
        _ => None,
    });
    // The order is that in which broken rules are reported.
    let declared = [
        text("const").map(Rule::Is),
        count("len").map(Rule::Length),
        count("min_len").map(Rule::MinLength),
        count("max_len").map(Rule::MaxLength),
        count("len_bytes").map(Rule::Bytes),
        count("min_bytes").map(Rule::MinBytes),
        count("max_bytes").map(Rule::MaxBytes),
        matches.map(Rule::Matches),
        text("prefix").map(Rule::Begins),
        text("suffix").map(Rule::Ends),
        text("contains").map(Rule::Contains),
        text("not_contains").map(Rule::Lacks),
        several("in").map(Rule::OneOf),
        several("not_in").map(Rule::NoneOf),
        form.map(Rule::Form),
    ];
    Ok(Text { rules: declared.into_iter().flatten().collect() })
}

fn byte_rules(field: &FieldDescriptor, rules: &DynamicMessage) -> Result<Octets, RuleError> {
    use octets::Rule;
    let value = |name: &str| get(rules, name).as_ref().and_then(bytes);
    let count = |name: &str| count(rules, name);
    let several = |name: &str| {
        let list: Box<[_]> = list(rules, name).iter().filter_map(bytes).collect();
        Some(list).filter(|list| !list.is_empty())
    };
    let source = get(rules, "pattern").as_ref().and_then(string);
    let matches = source.map(|source| pattern(field, &source)).transpose()?;
    let form = |name: &str, ids, what, lengths| flag(rules, name).then_some(Rule::Form { ids, name: what, lengths });
    let declared = [
        value("const").map(Rule::Is),
        count("len").map(Rule::Length),
        count("min_len").map(Rule::MinLength),
        count("max_len").map(Rule::MaxLength),
        matches.map(Rule::Matches),
        value("prefix").map(Rule::Begins),
        value("suffix").map(Rule::Ends),
        value("contains").map(Rule::Contains),
        several("in").map(Rule::OneOf),
        several("not_in").map(Rule::NoneOf),
        form("ip", ["bytes.ip", "bytes.ip_empty"], "an IP address of 4 or 16 bytes", &[4, 16]),
        form("ipv4", ["bytes.ipv4", "bytes.ipv4_empty"], "an IPv4 address of 4 bytes", &[4]),
        form("ipv6", ["bytes.ipv6", "bytes.ipv6_empty"], "an IPv6 address of 16 bytes", &[16]),
        form("uuid", ["bytes.uuid", "bytes.uuid_empty"], "a UUID of 16 bytes", &[16]),
    ];
    Ok(Octets { rules: declared.into_iter().flatten().collect() })
}
