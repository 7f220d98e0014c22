//! The rules of `buf.validate` as keywords of JSON Schema, and in words where there is no keyword.
//!
//! The rules are read by name from whatever the descriptor pool knows of them: without the vocabulary there are none.

use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, OneofDescriptor, ReflectMessage as _, Value};
use serde_json::Number;

use super::ordered::Json;
use super::schema::{Schema, Type};
use crate::json::{duration_text, timestamp_text};
use crate::options;

/// The rules of one field, of the elements of a list, or of the keys or values of a map.
#[derive(Debug, Clone, Default)]
pub(super) struct Bounds {
    rules: Option<DynamicMessage>,
}

/// `IGNORE_ALWAYS`: neither a field's rules are looked at, nor those of the message in it.
const IGNORE_ALWAYS: i32 = 3;

fn rules_of(field: &FieldDescriptor) -> Option<DynamicMessage> {
    options::extension(field.parent_pool(), &field.options(), "buf.validate.field")
}

/// Whether the rules of a field, and of the message in it, are never looked at.
pub(super) fn are_ignored(field: &FieldDescriptor) -> bool {
    rules_of(field).is_some_and(|rules| enum_number(&rules, "ignore") == IGNORE_ALWAYS)
}

impl Bounds {
    pub(super) fn of(field: &FieldDescriptor) -> Self {
        Self { rules: rules_of(field).filter(|rules| enum_number(rules, "ignore") != IGNORE_ALWAYS) }
    }

    /// Whether the value must be given: the rule itself says so, or refuses the default value where that stands for
    /// absence.
    pub(super) fn required(&self, field: &FieldDescriptor) -> bool {
        let Some(rules) = &self.rules else {
            return false;
        };
        if flag(rules, "required") {
            return true;
        }
        // IGNORE_IF_ZERO_VALUE: absence passes.
        if field.supports_presence() || enum_number(rules, "ignore") == 1 {
            return false;
        }
        self.typed().is_some_and(|(kind, rules)| refuses_default(&kind, &rules))
    }

    /// Puts into the schema of a field that it must be given: where absence is not told from the default value, that
    /// value is refused.
    pub(super) fn refuse_default(&self, field: &FieldDescriptor, schema: &mut Schema) {
        let required = self.rules.as_ref().is_some_and(|rules| flag(rules, "required"));
        if !required || field.supports_presence() {
            return;
        }
        let least = |bound: Option<u64>| Some(bound.unwrap_or(0).max(1));
        match schema.types.0.first() {
            Some(Type::String) if schema.values.is_empty() => schema.min_length = least(schema.min_length),
            Some(Type::Array) => schema.min_items = least(schema.min_items),
            Some(Type::Object) => schema.min_properties = least(schema.min_properties),
            Some(Type::Boolean) => schema.constant = Some(Json::of(&true)),
            Some(Type::Integer | Type::Number) if schema.not.is_none() => {
                schema.not = Some(Box::new(Schema { constant: Some(Json::of(&0)), ..Schema::default() }));
            }
            _ => {}
        }
    }

    /// The rules of the elements of a list.
    pub(super) fn items(&self) -> Self {
        self.inner("repeated", "items")
    }

    /// The rules of the keys of a map.
    pub(super) fn keys(&self) -> Self {
        self.inner("map", "keys")
    }

    /// The rules of the values of a map.
    pub(super) fn values(&self) -> Self {
        self.inner("map", "values")
    }

    fn inner(&self, kind: &str, field: &str) -> Self {
        let rules = self.typed().filter(|(name, _)| name == kind).and_then(|(_, rules)| message(&rules, field));
        Self { rules }
    }

    /// Which of the typed rules there are, and these.
    fn typed(&self) -> Option<(String, DynamicMessage)> {
        let rules = self.rules.as_ref()?;
        let oneof = rules.descriptor().oneofs().find(|oneof| oneof.name() == "type")?;
        let field = oneof.fields().find(|field| rules.has_field(field))?;
        Some((field.name().to_owned(), message(rules, field.name())?))
    }

    /// Puts the rules into the schema of a value that is not a list or a map.
    pub(super) fn apply(&self, schema: &mut Schema) {
        self.expressions(schema);
        let Some((kind, rules)) = self.typed() else {
            return;
        };
        match kind.as_str() {
            "string" => text(&rules, schema),
            "bytes" | "any" | "field_mask" => {}
            "repeated" => {
                schema.min_items = count(&rules, "min_items");
                schema.max_items = count(&rules, "max_items");
                schema.unique_items = flag(&rules, "unique");
            }
            "map" => {
                schema.min_properties = count(&rules, "min_pairs");
                schema.max_properties = count(&rules, "max_pairs");
            }
            "bool" => schema.constant = get(&rules, "const").and_then(|value| json(&value)).or(schema.constant.take()),
            "duration" | "timestamp" => times(&rules, schema),
            "enum" => {}
            _ => numbers(&rules, schema),
        }
        if schema.examples.is_empty() {
            schema.examples = list(&rules, "example").iter().filter_map(json).collect();
        }
    }

    /// Of the values of an enum, those that the rules allow; `None` where they allow all.
    pub(super) fn allowed(&self, numbers: &[i32]) -> Option<Vec<i32>> {
        let (_, rules) = self.typed().filter(|(kind, _)| kind == "enum")?;
        let constant = get(&rules, "const").and_then(|value| value.as_i32());
        let only: Vec<i32> = list(&rules, "in").iter().filter_map(Value::as_i32).collect();
        let never: Vec<i32> = list(&rules, "not_in").iter().filter_map(Value::as_i32).collect();
        let allows = |number: &i32| {
            constant.is_none_or(|constant| constant == *number)
                && (only.is_empty() || only.contains(number))
                && !never.contains(number)
        };
        let allowed: Vec<i32> = numbers.iter().copied().filter(allows).collect();
        (allowed.len() < numbers.len()).then_some(allowed)
    }

    fn expressions(&self, schema: &mut Schema) {
        if let Some(rules) = &self.rules {
            expressions(rules, schema);
        }
    }
}

/// Puts the rules on a message as a whole into its schema.
pub(super) fn of_message(message: &MessageDescriptor, schema: &mut Schema) {
    if let Some(rules) = options::extension(message.parent_pool(), &message.options(), "buf.validate.message") {
        expressions(&rules, schema);
    }
}

/// Whether one of the fields of a oneof has to be set.
pub(super) fn oneof_required(oneof: &OneofDescriptor) -> bool {
    options::extension(oneof.parent_pool(), &oneof.options(), "buf.validate.oneof")
        .is_some_and(|rules| flag(&rules, "required"))
}

/// Expressions cannot be said in JSON Schema: they go into the description, and verbatim into an extension.
fn expressions(rules: &DynamicMessage, schema: &mut Schema) {
    for rule in list(rules, "cel") {
        let Some(rule) = rule.as_message() else {
            continue;
        };
        let (expression, said) = (options::text(rule, "expression"), options::text(rule, "message"));
        if !said.is_empty() {
            remark(schema, &sentence(&said));
        }
        schema.cel.push(expression);
    }
    schema.cel.extend(list(rules, "cel_expression").iter().filter_map(|value| value.as_str().map(str::to_owned)));
}

fn text(rules: &DynamicMessage, schema: &mut Schema) {
    let exact = count(rules, "len");
    schema.min_length = exact.or(count(rules, "min_len"));
    schema.max_length = exact.or(count(rules, "max_len"));
    // A character takes a byte or more, so that these bounds hold of characters too; the exact ones are said in words.
    let most = count(rules, "len_bytes").or(count(rules, "max_bytes"));
    if let Some(most) = most {
        schema.max_length = Some(schema.max_length.map_or(most, |length| length.min(most)));
        remark(schema, &format!("At most {most} bytes in UTF-8."));
    }
    if let Some(least) = count(rules, "len_bytes").or(count(rules, "min_bytes")).filter(|&least| least > 0) {
        schema.min_length = Some(schema.min_length.unwrap_or(0).max(least.div_ceil(4)));
        remark(schema, &format!("At least {least} bytes in UTF-8."));
    }
    let said = |name: &str| get(rules, name).and_then(|value| value.as_str().map(str::to_owned));
    let mut patterns: Vec<String> = said("pattern").into_iter().collect();
    patterns.extend(said("prefix").map(|prefix| format!("^{}", escaped(&prefix))));
    patterns.extend(said("suffix").map(|suffix| format!("{}$", escaped(&suffix))));
    patterns.extend(said("contains").map(|inside| escaped(&inside)));
    let mut patterns = patterns.into_iter();
    schema.pattern = patterns.next().or(schema.pattern.take());
    schema.all_of.extend(patterns.map(|pattern| Schema { pattern: Some(pattern), ..Schema::default() }));
    if let Some(inside) = said("not_contains") {
        let pattern = Schema { pattern: Some(escaped(&inside)), ..Schema::default() };
        schema.not = Some(Box::new(pattern));
    }
    let format = [
        ("email", "email"),
        ("hostname", "hostname"),
        ("ipv4", "ipv4"),
        ("ipv6", "ipv6"),
        ("uri", "uri"),
        ("uri_ref", "uri-reference"),
        ("uuid", "uuid"),
    ];
    schema.format = format.iter().find(|(rule, _)| flag(rules, rule)).map(|(_, format)| *format).or(schema.format);
    let remarks = [
        ("ip", "An IP address."),
        ("address", "A host name or an IP address."),
        ("tuuid", "A UUID without hyphens."),
        ("ip_with_prefixlen", "An IP address with the length of a prefix."),
        ("ipv4_with_prefixlen", "An IPv4 address with the length of a prefix."),
        ("ipv6_with_prefixlen", "An IPv6 address with the length of a prefix."),
        ("ip_prefix", "An IP prefix."),
        ("ipv4_prefix", "An IPv4 prefix."),
        ("ipv6_prefix", "An IPv6 prefix."),
        ("host_and_port", "A host and a port."),
        ("ulid", "A ULID."),
        ("protobuf_fqn", "The full name of a protobuf element."),
        ("protobuf_dot_fqn", "The full name of a protobuf element, with a leading dot."),
    ];
    for (_, words) in remarks.iter().filter(|(rule, _)| flag(rules, rule)) {
        remark(schema, words);
    }
    match enum_number(rules, "well_known_regex") {
        1 => remark(schema, "The name of an HTTP header."),
        2 => remark(schema, "The value of an HTTP header."),
        _ => {}
    }
    members(rules, schema);
}

fn numbers(rules: &DynamicMessage, schema: &mut Schema) {
    let bound = |name: &str| get(rules, name).and_then(|value| number(&value));
    let (lower, upper) = (bound("gt").or(bound("gte")), bound("lt").or(bound("lte")));
    let inverted = match (&lower, &upper) {
        (Some(lower), Some(upper)) => upper.as_f64() < lower.as_f64(),
        _ => false,
    };
    // A 64-bit number that is a string in JSON has bounds that no keyword can say.
    let worded = schema.types.0.contains(&Type::String);
    if worded || inverted {
        let phrases = [("gt", "greater than"), ("gte", "at least"), ("lt", "less than"), ("lte", "at most")];
        let said: Vec<String> = phrases
            .iter()
            .filter_map(|(rule, phrase)| bound(rule).map(|number| format!("{phrase} {number}")))
            .collect();
        if !said.is_empty() {
            remark(schema, &sentence(&said.join(if inverted { " or " } else { " and " })));
        }
    } else {
        schema.exclusive_minimum = bound("gt");
        schema.minimum = match (bound("gte"), &schema.exclusive_minimum) {
            (Some(least), _) => Some(least),
            (None, Some(_)) => None,
            (None, None) => schema.minimum.take(),
        };
        schema.exclusive_maximum = bound("lt");
        schema.maximum = match (bound("lte"), &schema.exclusive_maximum) {
            (Some(most), _) => Some(most),
            (None, Some(_)) => None,
            (None, None) => schema.maximum.take(),
        };
    }
    members(rules, schema);
}

/// `const`, `in` and `not_in`.
fn members(rules: &DynamicMessage, schema: &mut Schema) {
    let as_text = schema.types.0.contains(&Type::String);
    let json = |value: &Value| match number(value) {
        Some(number) if as_text => Some(Json::string(&number.to_string())),
        _ => json(value),
    };
    if let Some(constant) = get(rules, "const") {
        schema.constant = json(&constant);
    }
    let only: Vec<Json> = list(rules, "in").iter().filter_map(json).collect();
    if !only.is_empty() {
        schema.values = only;
    }
    let never: Vec<Json> = list(rules, "not_in").iter().filter_map(json).collect();
    if !never.is_empty() {
        schema.not = Some(Box::new(Schema { values: never, ..Schema::default() }));
    }
}

/// Bounds in time have no keywords.
fn times(rules: &DynamicMessage, schema: &mut Schema) {
    let phrases = [("gt", "after"), ("gte", "not before"), ("lt", "before"), ("lte", "not after")];
    let spans = [("gt", "longer than"), ("gte", "at least"), ("lt", "shorter than"), ("lte", "at most")];
    let is_span = rules.descriptor().name() == "DurationRules";
    let mut said: Vec<String> = if is_span { spans } else { phrases }
        .iter()
        .filter_map(|(rule, phrase)| Some(format!("{phrase} {}", moment(&message(rules, rule)?, is_span)?)))
        .collect();
    if flag(rules, "lt_now") {
        said.push("in the past".to_owned());
    }
    if flag(rules, "gt_now") {
        said.push("in the future".to_owned());
    }
    if let Some(within) = message(rules, "within").and_then(|within| moment(&within, true)) {
        said.push(format!("within {within} of now"));
    }
    if !said.is_empty() {
        remark(schema, &sentence(&said.join(" and ")));
    }
    let only: Vec<Json> = list(rules, "in")
        .iter()
        .filter_map(|value| moment(value.as_message()?, is_span).map(|text| Json::string(&text)))
        .collect();
    if !only.is_empty() {
        schema.values = only;
    }
    if let Some(constant) = message(rules, "const").and_then(|constant| moment(&constant, is_span)) {
        schema.constant = Some(Json::string(&constant));
    }
}

/// A `Duration` or a `Timestamp` as it is written in JSON.
fn moment(value: &DynamicMessage, is_span: bool) -> Option<String> {
    let seconds = get(value, "seconds").and_then(|value| value.as_i64()).unwrap_or(0);
    let nanos = get(value, "nanos").and_then(|value| value.as_i32()).unwrap_or(0);
    if is_span { duration_text(seconds, nanos) } else { timestamp_text(seconds, nanos) }
}

/// Whether the default value of the type breaks these rules.
fn refuses_default(kind: &str, rules: &DynamicMessage) -> bool {
    let positive = |name: &str| count(rules, name).is_some_and(|least| least > 0);
    let bound = |name: &str| get(rules, name).and_then(|value| number(&value)).and_then(|number| number.as_f64());
    match kind {
        "string" | "bytes" => ["len", "len_bytes", "min_len", "min_bytes"].into_iter().any(positive),
        "repeated" => positive("min_items"),
        "map" => positive("min_pairs"),
        "enum" | "bool" => false,
        _ => bound("gt").is_some_and(|bound| bound >= 0.0) || bound("gte").is_some_and(|bound| bound > 0.0),
    }
}

/// Adds a sentence to the description.
pub(super) fn remark(schema: &mut Schema, words: &str) {
    schema.description = Some(match schema.description.take() {
        Some(text) if text.contains(words) => text,
        Some(text) => format!("{text} {words}"),
        None => words.to_owned(),
    });
}

fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    let first: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
    let rest = characters.as_str();
    let stop = if rest.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{rest}{stop}")
}

/// A text as a regular expression that matches it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if r"\^$.|?*+()[]{}/".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

fn get(message: &DynamicMessage, field: &str) -> Option<Value> {
    let field = message.descriptor().get_field_by_name(field)?;
    message.has_field(&field).then(|| message.get_field(&field).into_owned())
}

fn message(message: &DynamicMessage, field: &str) -> Option<DynamicMessage> {
    match get(message, field)? {
        Value::Message(message) => Some(message),
        _ => None,
    }
}

fn list(message: &DynamicMessage, field: &str) -> Vec<Value> {
    match get(message, field) {
        Some(Value::List(values)) => values,
        _ => Vec::new(),
    }
}

fn flag(message: &DynamicMessage, field: &str) -> bool {
    get(message, field).and_then(|value| value.as_bool()).unwrap_or(false)
}

fn count(message: &DynamicMessage, field: &str) -> Option<u64> {
    get(message, field).and_then(|value| value.as_u64())
}

fn enum_number(message: &DynamicMessage, field: &str) -> i32 {
    get(message, field).and_then(|value| value.as_enum_number()).unwrap_or(0)
}

/// A number as JSON has it, whole where it can be.
fn number(value: &Value) -> Option<Number> {
    match *value {
        Value::I32(value) => Some(value.into()),
        Value::I64(value) => Some(value.into()),
        Value::U32(value) => Some(value.into()),
        Value::U64(value) => Some(value.into()),
        Value::F32(value) => real(f64::from(value)),
        Value::F64(value) => real(value),
        _ => None,
    }
}

fn real(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 9e15 { Some((value as i64).into()) } else { Number::from_f64(value) }
}

fn json(value: &Value) -> Option<Json> {
    match value {
        Value::Bool(value) => Some(Json::of(value)),
        Value::String(value) => Some(Json::string(value)),
        value => number(value).map(|number| Json::of(&number)),
    }
}
