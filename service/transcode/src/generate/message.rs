//! A message of any type from bytes: edge values more often than others, nested to a bounded depth, and such that it has a
//! JSON form.

use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value};

use super::Entropy;

/// How deep messages nest at most.
const MAX_DEPTH: usize = 5;

/// A message of this type.
pub(crate) fn message(entropy: &mut Entropy<'_>, descriptor: &MessageDescriptor) -> DynamicMessage {
    nested(entropy, descriptor, 0)
}

fn nested(entropy: &mut Entropy<'_>, descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    if well_known(entropy, &mut message, depth) {
        return message;
    }
    for field in descriptor.fields() {
        let taken = field.containing_oneof().is_some_and(|oneof| oneof.fields().any(|field| message.has_field(&field)));
        if taken || depth > MAX_DEPTH || entropy.byte().is_multiple_of(3) {
            continue;
        }
        let value = value(entropy, &field, depth + 1);
        message.set_field(&field, value);
    }
    message
}

fn value(entropy: &mut Entropy<'_>, field: &FieldDescriptor, depth: usize) -> Value {
    let options = crate::options::field(field);
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { panic!("not a map: {field:?}") };
        let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let entries = (0..entropy.below(4)).map(|_| {
            if options.additional_members {
                // No member of the schema begins so.
                let name = format!("~{}", text(entropy));
                return (MapKey::String(name), Value::String(json_text(entropy, 0)));
            }
            (map_key(entropy, &key), single(entropy, &value, depth))
        });
        return Value::Map(entries.collect());
    }
    let one = |entropy: &mut Entropy<'_>| match field.kind() {
        Kind::String if options.raw => Value::String(json_text(entropy, 0)),
        Kind::Bytes if options.raw => Value::Bytes(json_text(entropy, 0).into_bytes().into()),
        // Beside a string, a number that is not finite would come back as a string; beside a number, an enum value without
        // a name as a number.
        Kind::Enum(_) if by_json_type(field) => Value::EnumNumber(entropy.pick(&[0, 1, -1, i32::MAX])),
        Kind::Double if by_json_type(field) => Value::F64(finite(entropy)),
        kind => single(entropy, &kind, depth),
    };
    if field.is_list() {
        return Value::List((0..entropy.below(4)).map(|_| one(entropy)).collect());
    }
    one(entropy)
}

fn by_json_type(field: &FieldDescriptor) -> bool {
    let form = field.containing_oneof().and_then(|oneof| crate::options::oneof(&oneof));
    matches!(form, Some(crate::options::OneofForm::ByJsonType(_)))
}

fn single(entropy: &mut Entropy<'_>, kind: &Kind, depth: usize) -> Value {
    match kind {
        Kind::Double => Value::F64(double(entropy)),
        Kind::Float => Value::F32(float(entropy)),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(signed(entropy) as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(signed(entropy)),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(signed(entropy) as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(signed(entropy) as u64),
        Kind::Bool => Value::Bool(entropy.once_in(2)),
        Kind::String => Value::String(text(entropy)),
        Kind::Bytes => Value::Bytes((0..entropy.below(10)).map(|_| entropy.byte()).collect()),
        Kind::Enum(of) if of.full_name() == "google.protobuf.NullValue" => Value::EnumNumber(0),
        Kind::Enum(_) => Value::EnumNumber(entropy.pick(&[0, 1, -1, i32::MAX, 7, i32::MIN])),
        Kind::Message(of) => Value::Message(nested(entropy, of, depth)),
    }
}

fn map_key(entropy: &mut Entropy<'_>, kind: &Kind) -> MapKey {
    single(entropy, kind, 0).into_map_key().unwrap_or_else(|| panic!("{kind:?} is no key"))
}

fn signed(entropy: &mut Entropy<'_>) -> i64 {
    match entropy.below(4) {
        0 => entropy.pick(&[0, 1, -1, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN, 1 << 53]),
        1 => -(entropy.bits() as i64 >> 1),
        _ => entropy.bits() as i64,
    }
}

fn double(entropy: &mut Entropy<'_>) -> f64 {
    match entropy.below(4) {
        0 => entropy.pick(&[
            0.0,
            -0.0,
            1.0,
            0.1,
            1e15,
            1e300,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            9_007_199_254_740_993.0,
        ]),
        1 => entropy.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        2 => signed(entropy) as f64,
        _ => {
            Some(f64::from_bits(entropy.bits() | entropy.bits() << 32)).filter(|value| !value.is_nan()).unwrap_or(-1.5)
        }
    }
}

fn finite(entropy: &mut Entropy<'_>) -> f64 {
    Some(double(entropy)).filter(|number| number.is_finite()).unwrap_or(2.5)
}

fn float(entropy: &mut Entropy<'_>) -> f32 {
    match entropy.below(3) {
        0 => entropy.pick(&[0.0, -0.0, 0.1, 16_777_217.0, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::NAN, f32::INFINITY]),
        1 => signed(entropy) as f32,
        _ => Some(f32::from_bits(entropy.bits() as u32)).filter(|value| !value.is_nan()).unwrap_or(-1.5),
    }
}

fn text(entropy: &mut Entropy<'_>) -> String {
    const PIECES: [&str; 12] = [
        "a",
        "",
        "type",
        "\"",
        "\\",
        "\n\u{0}\u{1f}",
        "é",
        "\u{2028}",
        "\u{1f600}",
        "</script>",
        "true",
        "\u{7f}\u{ffff}",
    ];
    (0..entropy.below(5)).map(|_| entropy.pick(&PIECES)).collect()
}

/// A JSON text without space around it.
pub(crate) fn json_text(entropy: &mut Entropy<'_>, depth: usize) -> String {
    match entropy.below(if depth > 3 { 5 } else { 7 }) {
        0 => "null".to_owned(),
        1 => entropy.pick(&["true", "false"]).to_owned(),
        2 => entropy.pick(&["0", "-0.0", "1e5", "100000000000000000000000000", "1.50", "-1E-7"]).to_owned(),
        3 => serde_json::to_string(&text(entropy)).unwrap(),
        4 => "\"\\ud83d\\ude00\\u00e9\"".to_owned(),
        5 => {
            let items: Vec<_> = (0..entropy.below(3)).map(|_| json_text(entropy, depth + 1)).collect();
            format!("[{}]", items.join(entropy.pick(&[",", " , "])))
        }
        _ => {
            let members = (0..entropy.below(3)).map(|index| format!("\"m{index}\":{}", json_text(entropy, depth + 1)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
    }
}

/// Fills messages that are more than their fields, and says whether it did.
fn well_known(entropy: &mut Entropy<'_>, message: &mut DynamicMessage, depth: usize) -> bool {
    let descriptor = message.descriptor();
    let pool = descriptor.parent_pool().clone();
    let json = |name: &str| pool.get_message_by_name(&format!("google.protobuf.{name}")).unwrap();
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let seconds = entropy.pick(&[0, -62_135_596_800, 253_402_300_799, -1, 951_782_400, 1_790_000_000]);
            message.set_field_by_name("seconds", Value::I64(seconds));
            message.set_field_by_name("nanos", Value::I32(entropy.pick(&[0, 1, 999_999_999, 120_000_000, 1_000])));
        }
        "google.protobuf.Duration" => {
            let seconds = entropy.pick(&[0, 1, 315_576_000_000, 90_061]);
            let sign = entropy.pick(&[1, -1]);
            message.set_field_by_name("seconds", Value::I64(i64::from(sign) * seconds));
            message.set_field_by_name("nanos", Value::I32(sign * entropy.pick(&[0, 1, 999_999_999, 500_000_000])));
        }
        "google.protobuf.FieldMask" => {
            let paths = (0..entropy.below(4)).map(|_| entropy.pick(&["a", "foo_bar", "a.b_c.d", "x1_y"]));
            let paths = paths.map(|path| Value::String(path.to_owned())).collect();
            message.set_field_by_name("paths", Value::List(paths));
        }
        // The oracle has `null` for what is not finite in a wrapper.
        "google.protobuf.DoubleValue" => message.set_field_by_name("value", Value::F64(finite(entropy))),
        "google.protobuf.FloatValue" => message.set_field_by_name("value", Value::F32(finite(entropy) as i16 as f32)),
        "google.protobuf.Value" => {
            let deep = depth > MAX_DEPTH;
            match entropy.below(if deep { 4 } else { 6 }) {
                0 => message.set_field_by_name("null_value", Value::EnumNumber(0)),
                1 => message.set_field_by_name("number_value", Value::F64(finite(entropy))),
                2 => message.set_field_by_name("string_value", Value::String(text(entropy))),
                3 => message.set_field_by_name("bool_value", Value::Bool(entropy.once_in(2))),
                4 => {
                    let value = nested(entropy, &json("Struct"), depth + 1);
                    message.set_field_by_name("struct_value", Value::Message(value));
                }
                _ => {
                    let value = nested(entropy, &json("ListValue"), depth + 1);
                    message.set_field_by_name("list_value", Value::Message(value));
                }
            }
        }
        "google.protobuf.Any" => {
            let types = [
                "google.protobuf.Duration",
                "g.M0",
                "g.Object",
                "google.protobuf.Struct",
                "google.protobuf.Int64Value",
                "google.protobuf.Any",
            ];
            let inner = entropy.pick(if depth > MAX_DEPTH { &types[..1] } else { &types });
            let descriptor = pool.get_message_by_name(inner).unwrap();
            let bytes = nested(entropy, &descriptor, depth + 2).encode_to_vec();
            message.set_field_by_name("type_url", Value::String(format!("type.googleapis.com/{inner}")));
            message.set_field_by_name("value", Value::Bytes(bytes.into()));
        }
        _ => return false,
    }
    true
}
