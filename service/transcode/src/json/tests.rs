//! Claims about JSON <-> wire, on a schema made for them.

use prost_reflect::{DescriptorPool, DynamicMessage};

use super::{Mode, Plans};

const SCHEMA: &str = r#"
syntax = "proto3";
package t;
import "transcode/v1/options.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/any.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
option (transcode.v1.file) = { member_names: MEMBER_NAMES_PROTO, int64_form: INT64_FORM_NUMBER };
enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1 [(transcode.v1.value).json = "red"]; COLOR_BLUE = 2 [(transcode.v1.value).json = "blue"]; }
message Part {
  oneof part { option (transcode.v1.oneof).tag = "type"; string text = 1; Image image_url = 2; Nothing nothing = 3; }
  map<string, string> additional_members = 100 [(transcode.v1.field).additional_members = true];
}
message Nothing { map<string, string> additional_members = 100 [(transcode.v1.field).additional_members = true]; }
message Image { string url = 1; optional string detail = 2; map<string, string> additional_members = 100 [(transcode.v1.field).additional_members = true]; }
message Parts { repeated Part parts = 1; }
message All {
  optional double f_double = 1; optional float f_float = 2; optional int32 f_int32 = 3; optional int64 f_int64 = 4;
  optional uint32 f_uint32 = 5; optional uint64 f_uint64 = 6; optional sint32 f_sint32 = 7; optional sint64 f_sint64 = 8;
  optional fixed32 f_fixed32 = 9; optional fixed64 f_fixed64 = 10; optional sfixed32 f_sfixed32 = 11; optional sfixed64 f_sfixed64 = 12;
  optional bool f_bool = 13; optional string f_string = 14; optional bytes f_bytes = 15; optional Color f_color = 16;
  All child = 17; repeated All children = 18; repeated int32 numbers = 19; repeated string words = 20 [(transcode.v1.field).accept_scalar = true];
  map<string, double> weights = 21; map<int32, All> by_number = 22; map<bool, string> by_bool = 23;
  optional string raw = 24 [(transcode.v1.field).raw = true];
  string always = 25 [(transcode.v1.field).unset = UNSET_NULL];
  int32 index = 26 [(transcode.v1.field).unset = UNSET_DEFAULT];
  oneof content { option (transcode.v1.oneof) = { by_json_type: true, unset: UNSET_NULL }; string text = 27; Parts parts = 28; Image image = 29; bool flag = 30; double number = 31; }
  oneof plain { string left = 32; int32 right = 33; }
  google.protobuf.Timestamp at = 34; google.protobuf.Duration after = 35; google.protobuf.Struct object = 36; google.protobuf.Value any_value = 37;
  google.protobuf.Int64Value wrapped = 38; google.protobuf.Any any = 39; google.protobuf.FieldMask mask = 40;
  google.protobuf.StringValue wrapped_text = 41; google.protobuf.BoolValue wrapped_flag = 42; google.protobuf.ListValue list = 43;
  map<string, google.protobuf.Value> values = 44;
  map<string, string> additional_members = 1000 [(transcode.v1.field).additional_members = true];
}
"#;

const CANONICAL: &str = r#"
syntax = "proto3";
package c;
import "transcode/v1/options.proto";
enum Kind { KIND_UNSPECIFIED = 0; KIND_ONE = 1; }
enum Case { NOTHING = 0; Left = 1; LEFT = 2; right = 3; }
message Union { oneof value { option (transcode.v1.oneof).by_json_type = true; double number = 1; bool flag = 2; } }
message Scalars {
  repeated int32 many = 1 [(transcode.v1.field).accept_scalar = true]; bytes raw = 2 [(transcode.v1.field).raw = true];
  map<string, string> more = 3 [(transcode.v1.field).additional_members = true];
}
message Item { oneof value { option (transcode.v1.oneof).bare = true; string text = 1; int64 number = 2; Numbers numbers = 3; } }
message Numbers { repeated int64 all = 1; }
message Items {
  repeated Item input = 1 [(transcode.v1.field).accept_scalar = true]; Item one = 2;
  map<string, string> more = 3 [(transcode.v1.field).additional_members = true];
}
message Cased { Case cased = 1; }
message Plain {
  int32 small_number = 1; int64 big = 2; string text = 3; bool flag = 4; bytes data = 5; Kind kind = 6; double ratio = 7;
  repeated int64 many = 8; map<string, int32> counts = 9; Plain child = 10; optional int32 maybe = 11; float single = 12;
  oneof one { string a = 13; int32 b = 14; Plain c = 15; }
}
"#;

fn pool() -> DescriptorPool {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(protox::file::IncludeFileResolver::new(directory.join("proto")));
    resolver.add(Memory);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("t.proto").unwrap().open_file("c.proto").unwrap();
    DescriptorPool::decode(&*compiler.encode_file_descriptor_set()).unwrap()
}

struct Memory;

impl protox::file::FileResolver for Memory {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        match name {
            "t.proto" => protox::file::File::from_source(name, SCHEMA),
            "c.proto" => protox::file::File::from_source(name, CANONICAL),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

mod limits;
mod properties;
mod texts;

fn plans() -> Plans {
    Plans::from_pool(&pool(), false).unwrap()
}

fn read(plans: &Plans, name: &str, json: &str) -> Result<Vec<u8>, String> {
    let mut wire = Vec::new();
    let id = plans.message(name).unwrap();
    plans.read(id, json.as_bytes(), Mode::Strict, &mut wire).map_err(|error| error.to_string())?;
    Ok(wire)
}

fn write(plans: &Plans, name: &str, wire: &[u8]) -> String {
    let mut out = Vec::new();
    plans.write(plans.message(name).unwrap(), wire, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn any_document_comes_back_as_it_was() {
    let plans = plans();
    let base = r#""always":null,"index":0,"content":null"#;
    for members in [
        r#""f_double":0.1234567890123456"#,
        r#""f_double":1e300"#,
        r#""f_double":3"#,
        r#""f_float":0.1"#,
        r#""f_int32":-2147483648"#,
        r#""f_int64":-9223372036854775808"#,
        r#""f_uint64":18446744073709551615"#,
        r#""f_sint32":-5,"f_sint64":-6,"f_fixed32":7,"f_fixed64":8,"f_sfixed32":-9,"f_sfixed64":-10"#,
        r#""f_bool":false,"f_string":"","f_bytes":"AAH/","f_color":"red""#,
        r#""f_string":"a\"b\\c\n\u0000é\ud83d\ude00""#,
        r#""child":{"always":null,"index":0,"content":null},"children":[{"always":"x","index":1,"content":"t"}]"#,
        r#""numbers":[1,-2,3],"words":["a","b"]"#,
        r#""words":["alone"]"#,
        r#""words":"scalar""#,
        r#""words":[],"numbers":[],"weights":{}"#,
        r#""weights":{"50256":-100,"a":0.5}"#,
        r#""by_number":{"-3":{"always":null,"index":0,"content":null}},"by_bool":{"true":"yes"}"#,
        r#""raw":{"z":1.0,"a":[1e5,100000000000000000000000]}"#,
        r#""raw":null"#,
        r#""f_string":null,"child":null,"numbers":null"#,
        r#""unknown":{"deep":[1,2.50,{"x":null}]},"another":"text""#,
        r#""left":"l""#,
        r#""right":0"#,
        r#""at":"2026-01-31T12:00:00.500Z","after":"-1.500s""#,
        r#""object":{"a":[1,"two",null,true,{"b":{}}]},"any_value":null"#,
        r#""any_value":[1,{"x":"y"}],"wrapped":"5","mask":"fooBar,baz""#,
        r#""any":{"@type":"type.googleapis.com/t.Image","url":"u"}"#,
        r#""any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"3s"}"#,
    ] {
        let document = format!("{{{base},{members}}}");
        let wire = read(&plans, "t.All", &document).unwrap_or_else(|error| panic!("{document}: {error}"));
        let back = write(&plans, "t.All", &wire);
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(&back), parse(&document), "{back}");
        if members.contains("\"raw\":{") {
            assert!(back.contains(r#"{"z":1.0,"a":[1e5,100000000000000000000000]}"#), "raw text changed: {back}");
        }
    }
}

#[test]
fn a_union_takes_each_json_type() {
    let plans = plans();
    for content in [
        r#""text""#,
        r#"[]"#,
        r#"[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"u","detail":"low"}}]"#,
        r#"[{"type":"nothing"},{"type":"video_url","video_url":{"url":"v"},"extra":1}]"#,
        r#"{"url":"u","more":[1]}"#,
        "true",
        "1.5",
        "null",
    ] {
        let document = format!(r#"{{"always":null,"index":0,"content":{content}}}"#);
        let wire = read(&plans, "t.All", &document).unwrap_or_else(|error| panic!("{document}: {error}"));
        let back = write(&plans, "t.All", &wire);
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(&back), parse(&document), "{back}");
    }
}

#[test]
fn a_bare_union_is_the_value_itself() {
    let plans = plans();
    for document in [
        r#"{"input":["a","b"]}"#,
        r#"{"input":"a"}"#,
        r#"{"input":["1","2"]}"#,
        r#"{"input":[["1"],["2","3"]],"one":["4"]}"#,
        r#"{"one":""}"#,
    ] {
        let wire = read(&plans, "c.Items", document).unwrap_or_else(|error| panic!("{document}: {error}"));
        assert_eq!(write(&plans, "c.Items", &wire).replace(['"', ' '], ""), document.replace(['"', ' '], ""));
    }
    let numbers = read(&plans, "c.Items", r#"{"input":[1,2]}"#).unwrap();
    assert_eq!(numbers, [0x0a, 2, 0x10, 1, 0x0a, 2, 0x10, 2]);
    for wrong in [r#"{"input":[{}]}"#, r#"{"input":[true]}"#, r#"{"input":true}"#, r#"{"input":[null]}"#] {
        assert!(read(&plans, "c.Items", wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_union_without_strings_takes_numbers_that_are_not_finite() {
    let plans = plans();
    for number in ["\"NaN\"", "\"-Infinity\"", "1.5"] {
        let document = format!(r#"{{"value":{number}}}"#);
        let wire = read(&plans, "c.Union", &document).unwrap();
        assert_eq!(write(&plans, "c.Union", &wire), document);
    }
    assert!(read(&plans, "c.Union", r#"{"value":"1.5"}"#).is_err(), "the JSON type tells");
}

#[test]
fn of_a_oneof_the_last_member_counts_and_what_stood_before_another_is_gone() {
    let plans = plans();
    let part = |json: &str| read(&plans, "c.Plain", json).unwrap();
    for (parts, expected) in [
        ([r#"{"c":{"text":"x"}}"#, r#"{"c":{"flag":true}}"#, "{}"], r#"{"c":{"text":"x","flag":true}}"#),
        ([r#"{"c":{"text":"x"}}"#, r#"{"a":"y"}"#, r#"{"c":{"flag":true}}"#], r#"{"c":{"flag":true}}"#),
        ([r#"{"c":{"text":"x"}}"#, r#"{"c":{}}"#, r#"{"b":0}"#], r#"{"b":0}"#),
    ] {
        assert_eq!(write(&plans, "c.Plain", &parts.map(part).concat()), expected);
    }
}

#[test]
fn a_packed_list_of_no_elements_is_unset_and_one_of_several_is_no_scalar() {
    let plans = plans();
    let empty = [8 << 3 | 2, 0];
    assert_eq!(write(&plans, "c.Plain", &[&empty[..], &empty].concat()), "{}");
    let note = |name: &str| read(&plans, "c.Scalars", &format!(r#"{{"{name}":7,"~":1}}"#)).unwrap();
    assert_eq!(write(&plans, "c.Scalars", &note("many")), r#"{"many":7,"~":1}"#);
    let further = [note("many"), vec![1 << 3 | 2, 0]].concat();
    assert_eq!(write(&plans, "c.Scalars", &further), r#"{"many":[7],"~":1}"#, "parts are not a scalar");
    let keep = note("many")[3..].to_vec();
    for (packed, expected) in [(&[10, 0][..], r#"{"~":1}"#), (&[10, 2, 7, 8], r#"{"many":[7,8],"~":1}"#)] {
        assert_eq!(write(&plans, "c.Scalars", &[packed, &keep].concat()), expected);
    }
}

#[test]
fn a_field_path_that_json_would_read_as_another_is_not_written() {
    let plans = plans();
    let id = plans.message("google.protobuf.FieldMask").unwrap();
    for (paths, expected) in [
        (&["a_b", "c.d_e"][..], Some("\"aB,c.dE\"")),
        (&["", "a", ""], Some("\"a\"")),
        (&["a,b"], None),
        (&["aB"], None),
        (&["a_1"], None),
        (&["a_"], None),
        (&["a__b"], None),
    ] {
        let wire: Vec<u8> = paths.iter().flat_map(|path| [&[10, path.len() as u8], path.as_bytes()].concat()).collect();
        let mut out = Vec::new();
        let written = plans.write(id, &wire, &mut out).ok().map(|()| String::from_utf8(out).unwrap());
        assert_eq!(written.as_deref(), expected, "{paths:?}");
    }
}

#[test]
fn a_group_is_skipped_unless_it_stands_for_a_field_that_is_none() {
    let plans = plans();
    let id = plans.message("c.Plain").unwrap();
    let group = |number: u8| [number << 3 | 3, number << 3 | 4];
    assert_eq!(plans.check(id, &[0xf3, 1, 0xf4, 1]).err(), None, "field 30 is not known");
    let error = plans.check(id, &group(10)).unwrap_err();
    assert_eq!((error.field_path(), error.message()), ("child", "the wire type is wrong, expected an object"));
    assert!(plans.check(id, &[0xf3, 1, 0, 0xf4, 1]).is_err(), "a group holds no field of number 0");
}

#[test]
fn raw_bytes_that_are_not_json_do_not_pass_the_check() {
    let plans = plans();
    let id = plans.message("c.Scalars").unwrap();
    for (bytes, passes) in [("{}", true), ("\"a\"", true), ("", true), ("{", false), ("1}", false), ("a", false)] {
        let wire = [&[2 << 3 | 2, bytes.len() as u8], bytes.as_bytes()].concat();
        assert_eq!(plans.check(id, &wire).is_ok(), passes, "{bytes}");
    }
}

#[test]
fn absence_and_null_are_told_apart() {
    let plans = plans();
    for document in [r#"{}"#, r#"{"always":null}"#, r#"{"index":0}"#, r#"{"content":null}"#, r#"{"f_string":null}"#] {
        assert_eq!(write(&plans, "t.All", &read(&plans, "t.All", document).unwrap()), document);
    }
}

#[test]
fn errors_name_the_field_path() {
    let plans = plans();
    for (document, expected) in [
        (r#"{"children":[{},{"f_int32":"x"}]}"#, "children[1].f_int32: "),
        (r#"{"f_color":"green"}"#, "f_color: unknown value \"green\", expected one of "),
        (r#"{"content":[{"type":"text","text":5}]}"#, "content[0].text: "),
        (
            r#"{"content":[{"type":"image_url"}]}"#,
            "content[0]: `type` is \"image_url\", but the member `image_url` is missing",
        ),
        (r#"{"content":[{"type":"text","text":"a","image_url":{}}]}"#, "content[0].image_url: only one of "),
        (r#"{"left":"a","right":1}"#, "right: only one of left, right may be set"),
        (r#"{"f_int32":2147483648}"#, "f_int32: 2147483648 is out of range"),
        (r#"{"f_uint32":-1}"#, "f_uint32: -1 is out of range"),
        (r#"{"f_int32":1.5}"#, "f_int32: "),
        (r#"{"f_bool":"true"}"#, "f_bool: "),
        (r#"{"f_string":5}"#, "f_string: "),
        (r#"{"f_bytes":"*"}"#, "f_bytes: expected a base64 string"),
        (r#"{"weights":{"a":"b"}}"#, "weights[\"a\"]: "),
        (r#"{"at":"yesterday"}"#, "at: expected an RFC 3339 time"),
        (r#"{"index":1,"index":2}"#, "the member `index` stands in the object twice"),
        (r#"{"numbers":[1,null]}"#, "numbers[1]: null"),
        ("[]", "invalid type: sequence, expected an object"),
        ("null", "expected an object, not null"),
        ("{", "malformed JSON: "),
        ("{} x", "malformed JSON: trailing characters"),
        ("", "malformed JSON: "),
    ] {
        let error = read(&plans, "t.All", document).unwrap_err();
        assert!(error.starts_with(expected), "{document}: {error}");
    }
}

#[test]
fn deep_nesting_is_refused_typed_raw_and_unknown() {
    let plans = plans();
    let typed = format!("{}{}{}", r#"{"child":"#.repeat(200), "{}", "}".repeat(200));
    let raw = format!(r#"{{"raw":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let unknown = format!(r#"{{"what":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    for document in [typed, raw, unknown] {
        assert!(read(&plans, "t.All", &document).is_err());
    }
}

#[test]
fn invalid_utf8_is_refused() {
    let plans = plans();
    let mut out = vec![1, 2, 3];
    let id = plans.message("t.All").unwrap();
    let error = plans.read(id, b"{\"f_string\":\"\xff\"}", Mode::Strict, &mut out).unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
    assert_eq!(out, [1, 2, 3], "what was there stays");
}

#[test]
fn lenient_reading_keeps_unknown_enum_strings() {
    let plans = plans();
    let id = plans.message("t.All").unwrap();
    let document = r#"{"always":null,"index":0,"content":null,"f_color":"green"}"#;
    let mut wire = Vec::new();
    plans.read(id, document.as_bytes(), Mode::Lenient, &mut wire).unwrap();
    assert_eq!(write(&plans, "t.All", &wire), document);
}

#[test]
fn without_options_the_form_is_canonical() {
    let pool = pool();
    let plans = Plans::from_pool(&pool, false).unwrap();
    let descriptor = pool.get_message_by_name("c.Plain").unwrap();
    for document in [
        r#"{}"#,
        r#"{"smallNumber":1,"big":"-5","text":"t","flag":true,"data":"AAE=","kind":"KIND_ONE","ratio":0.5}"#,
        r#"{"many":["1","2"],"counts":{"a":1},"child":{"maybe":0},"single":0.25,"b":0}"#,
        r#"{"small_number":"7","big":12,"kind":1,"ratio":"NaN"}"#,
        r#"{"smallNumber":null,"ratio":"-Infinity","data":"_-8","many":[3]}"#,
    ] {
        let mut deserializer = serde_json::Deserializer::from_str(document);
        let oracle = DynamicMessage::deserialize(descriptor.clone(), &mut deserializer).unwrap();
        let wire = read(&plans, "c.Plain", document).unwrap();
        // Two recursive dynamic messages cannot be compared directly: their unset children have no end.
        let decoded = DynamicMessage::decode(descriptor.clone(), &*wire).unwrap();
        assert_eq!(serde_json::to_value(&decoded).unwrap(), serde_json::to_value(&oracle).unwrap(), "{document}");
        let ours: serde_json::Value = serde_json::from_str(&write(&plans, "c.Plain", &wire)).unwrap();
        assert_eq!(ours, serde_json::to_value(&oracle).unwrap(), "{document}");
    }
    assert!(read(&plans, "c.Plain", r#"{"nope":1}"#).is_err(), "unknown members are refused without a place for them");
}

#[test]
fn malformed_wire_bytes_are_an_error_at_every_cut() {
    let plans = plans();
    let id = plans.message("t.All").unwrap();
    let wire = read(
        &plans,
        "t.All",
        r#"{"f_string":"hello","child":{"content":[{"type":"text","text":"x"}]},"weights":{"a":1},"raw":[1]}"#,
    )
    .unwrap();
    for cut in 0..wire.len() {
        let mut out = Vec::new();
        if plans.write(id, &wire[..cut], &mut out).is_ok() {
            assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok(), "cut at {cut} gave broken JSON");
        } else {
            assert!(out.is_empty());
        }
    }
}

#[test]
fn split_messages_and_lists_are_merged() {
    let plans = plans();
    let mut wire = read(&plans, "t.All", r#"{"child":{"f_int32":1},"numbers":[1]}"#).unwrap();
    wire.extend(read(&plans, "t.All", r#"{"child":{"f_string":"x"},"f_bool":true}"#).unwrap());
    wire.extend(read(&plans, "t.All", r#"{"numbers":[2]}"#).unwrap());
    let value: serde_json::Value = serde_json::from_str(&write(&plans, "t.All", &wire)).unwrap();
    assert_eq!(value["child"]["f_int32"], 1);
    assert_eq!(value["child"]["f_string"], "x");
    assert_eq!(value["numbers"], serde_json::json!([1, 2]));
}
