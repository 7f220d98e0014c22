//! Claims about the rules, over wire bytes.

use std::sync::Arc;

use super::*;
use crate::json::Mode;

/// The descriptor set of one proto file, which may import annotations.
pub(crate) fn descriptors(source: &str) -> Vec<u8> {
    struct Memory(String);
    impl protox::file::FileResolver for Memory {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            match name {
                "v.proto" => protox::file::File::from_source(name, &self.0),
                _ => Err(protox::Error::file_not_found(name)),
            }
        }
    }
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(protox::file::IncludeFileResolver::new(crate::PROTO_DIR.into()));
    resolver.add(Memory(source.to_owned()));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("v.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

const HEAD: &str = r#"syntax = "proto3"; package v;
import "buf/validate/validate.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "transcode/v1/options.proto";
"#;

fn build(schema: &str) -> Result<Validator, crate::BuildError> {
    Validator::new(&descriptors(&format!("{HEAD}{schema}")), &["v.M"], None)
}

fn validator(schema: &str) -> Validator {
    build(schema).unwrap_or_else(|error| panic!("{error}"))
}

/// Field and rule of everything that is wrong with bytes.
fn wrong(validator: &Validator, wire: &[u8]) -> Vec<(String, String)> {
    let violations = validator.violations(validator.plans().message("v.M").unwrap(), wire).unwrap();
    violations.into_iter().map(|violation| (violation.field, violation.rule)).collect()
}

/// The same for the message that a JSON text is, as `field rule`.
fn wrong_json(validator: &Validator, json: &str) -> Vec<String> {
    let mut wire = Vec::new();
    let message = validator.plans().message("v.M").unwrap();
    validator.plans().read(message, json.as_bytes(), Mode::Strict, &mut wire).unwrap();
    wrong(validator, &wire).into_iter().map(|(field, rule)| format!("{field} {rule}")).collect()
}

#[test]
fn every_broken_rule_is_named_with_its_path_in_order() {
    let validator = validator(
        r#"
        message M {
          string name = 1 [(buf.validate.field).string = {min_len: 1, max_len: 3}];
          repeated Item items = 2 [(buf.validate.field).repeated = {min_items: 1, max_items: 2}];
          map<string, int32> numbers = 3 [(buf.validate.field).map = {
            max_pairs: 2, keys: {string: {pattern: "^[a-z]+$"}}, values: {int32: {gt: 0}}}];
          Item one = 4 [(buf.validate.field).required = true];
          optional double ratio = 5 [(buf.validate.field).double = {gte: 0, lte: 1}];
          repeated sint64 many = 6 [(buf.validate.field).repeated = {unique: true, items: {sint64: {lt: 9}}}];
          google.protobuf.StringValue text = 7 [(buf.validate.field).string.prefix = "x"];
          bytes raw = 8 [(buf.validate.field).bytes.len = 2, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE];
          Kind kind = 9 [(buf.validate.field).enum = {defined_only: true, not_in: [0]}];
        }
        message Item {
          string id = 1 [(buf.validate.field).required = true];
          oneof what { option (buf.validate.oneof).required = true; string a = 2; Item b = 3; }
        }
        enum Kind { NONE = 0; SOME = 1; }
        "#,
    );
    let good = r#"{"name": "x", "items": [{"id": "i", "a": ""}], "one": {"id": "i", "a": "x"}, "kind": "SOME"}"#;
    assert_eq!(wrong_json(&validator, good), [""; 0]);
    let empty = ["name string.min_len", "items repeated.min_items", "one required", "kind enum.not_in"];
    assert_eq!(wrong_json(&validator, "{}"), empty);
    let bad = r#"{
        "name": "long", "items": [{"id": "i"}, {"b": {"a": "x"}}, {"id": "i", "a": "x"}],
        "numbers": {"ok": 0, "NO": 1, "x": 1}, "one": {"id": "i", "b": {"id": "j"}}, "ratio": "NaN",
        "many": [1, 10, 1], "text": "y", "raw": "AAAA", "kind": 7}"#;
    let expected = [
        "name string.max_len",
        "items repeated.max_items",
        "items[0].what required",
        "items[1].id required",
        "items[1].b.id required",
        "numbers map.max_pairs",
        "numbers[\"NO\"] string.pattern",
        "numbers[\"ok\"] int32.gt",
        "one.b.what required",
        "ratio double.gte_lte",
        "many repeated.unique",
        "many[1] sint64.lt",
        "text string.prefix",
        "raw bytes.len",
        "kind enum.defined_only",
    ];
    assert_eq!(wrong_json(&validator, bad), expected);
}

#[test]
fn absence_breaks_only_what_it_must() {
    let validator = validator(
        r#"
        message M {
          string implicit = 1 [(buf.validate.field).string.min_len = 1];
          optional string explicit = 2 [(buf.validate.field).string.min_len = 1];
          string ignored = 3 [(buf.validate.field).string.min_len = 1, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE];
          string never = 4 [(buf.validate.field).string.min_len = 9, (buf.validate.field).ignore = IGNORE_ALWAYS];
          oneof one { string member = 5 [(buf.validate.field).string.min_len = 1]; int32 other = 6; }
          repeated string list = 7 [(buf.validate.field).repeated.items = {
            string: {min_len: 2}, ignore: IGNORE_IF_ZERO_VALUE}];
          google.protobuf.Int32Value wrapped = 8 [(buf.validate.field).int32.gt = 0];
          N below = 9 [(buf.validate.field).ignore = IGNORE_ALWAYS];
        }
        message N { string text = 1 [(buf.validate.field).required = true]; }
        "#,
    );
    assert_eq!(wrong_json(&validator, "{}"), ["implicit string.min_len"]);
    let empty = r#"{"implicit": "x", "explicit": "", "ignored": "", "never": "x", "member": "",
        "list": ["", "a"], "wrapped": 0, "below": {}}"#;
    let expected = ["explicit string.min_len", "member string.min_len", "list[1] string.min_len", "wrapped int32.gt"];
    assert_eq!(wrong_json(&validator, empty), expected);
}

#[test]
fn a_set_of_fields_of_which_one_may_be_set() {
    let validator = validator(
        r#"
        message M {
          option (buf.validate.message).oneof = { fields: ["a", "list"], required: true };
          string a = 1 [(buf.validate.field).string.min_len = 2];
          repeated int32 list = 2;
        }
        "#,
    );
    assert_eq!(wrong_json(&validator, "{}"), [" message.oneof"]);
    assert_eq!(wrong_json(&validator, r#"{"a": "xy", "list": [1]}"#), [" message.oneof"]);
    assert_eq!(wrong_json(&validator, r#"{"a": "x"}"#), ["a string.min_len"]);
    assert_eq!(wrong_json(&validator, r#"{"list": [1]}"#), [""; 0]);
}

#[test]
fn well_known_types_have_rules_of_their_own() {
    let validator = validator(
        r#"
        message M {
          google.protobuf.Duration wait = 1 [(buf.validate.field).duration = {gt: {}, lte: {seconds: 60}}];
          google.protobuf.Timestamp past = 2 [(buf.validate.field).timestamp.lt_now = true];
          google.protobuf.Timestamp near = 3 [(buf.validate.field).timestamp.within = {seconds: 60}];
          google.protobuf.FieldMask mask = 4 [(buf.validate.field).field_mask = {in: ["a", "b.c"]}];
          google.protobuf.Any any = 5 [(buf.validate.field).any.in = "type.googleapis.com/v.N"];
          google.protobuf.Timestamp future = 6 [(buf.validate.field).timestamp.gt_now = true];
        }
        message N {}
        "#,
    );
    assert_eq!(wrong_json(&validator, "{}"), [""; 0]);
    let good = r#"{"wait": "60s", "past": "1970-01-01T00:00:00Z", "mask": "a.x,b.c", "future": "9999-01-01T00:00:00Z",
        "any": {"@type": "type.googleapis.com/v.N"}}"#;
    assert_eq!(wrong_json(&validator, good), [""; 0]);
    let bad = r#"{"wait": "0s", "past": "9999-01-01T00:00:00Z", "near": "1970-01-01T00:00:00Z", "mask": "ab",
        "future": "1970-01-01T00:00:00Z", "any": {"@type": "type.googleapis.com/v.M"}}"#;
    let expected = [
        "wait duration.gt_lte",
        "past timestamp.lt_now",
        "near timestamp.within",
        "mask field_mask.in",
        "any any.in",
        "future timestamp.gt_now",
    ];
    assert_eq!(wrong_json(&validator, bad), expected);
}

#[test]
fn paths_follow_the_shape_of_the_document() {
    let validator = validator(
        r#"
        message M {
          repeated N ns = 1;
          oneof choice {
            option (transcode.v1.oneof) = {by_json_type: true};
            string word = 2 [(buf.validate.field).string.min_len = 1];
            Parts parts = 3;
          }
        }
        message Parts { repeated N items = 1 [(buf.validate.field).repeated.min_items = 1]; }
        message N {
          oneof kind {
            option (transcode.v1.oneof) = {tag: "type"};
            option (buf.validate.oneof).required = true;
            string text = 1 [(buf.validate.field).string.min_len = 1];
          }
        }
        "#,
    );
    let both = |wire: &[u8]| -> Vec<(String, String)> {
        let violations = validator.violations(validator.plans().message("v.M").unwrap(), wire).unwrap();
        violations.into_iter().map(|violation| (violation.field, violation.path)).collect()
    };
    let pair = |field: &str, path: &str| (field.to_owned(), path.to_owned());
    // ns: [{}], word: ""
    assert_eq!(both(b"\x0a\x00\x12\x00"), [pair("ns[0]", "ns[0].kind"), pair("choice", "word")]);
    // parts: []
    assert_eq!(both(b"\x1a\x00"), [pair("choice", "parts.items")]);
    // parts: [{}, {text: ""}]
    let expected = [pair("choice[0]", "parts.items[0].kind"), pair("choice[1].text", "parts.items[1].text")];
    assert_eq!(both(b"\x1a\x06\x0a\x00\x0a\x02\x0a\x00"), expected);
}

#[test]
fn rules_hold_for_what_a_decoder_makes_of_the_bytes() {
    let validator = validator(
        r#"
        message M {
          string name = 1 [(buf.validate.field).string.max_len = 1];
          N n = 2 [(buf.validate.field).required = true];
          oneof one { string a = 3 [(buf.validate.field).string.min_len = 2]; N b = 4; }
          map<string, string> map = 5 [(buf.validate.field).map = {max_pairs: 1, values: {string: {max_len: 1}}}];
          repeated int32 list = 6 [(buf.validate.field).repeated = {max_items: 3, items: {int32: {gt: 0}}}];
        }
        message N {
          string x = 1 [(buf.validate.field).required = true];
          string y = 2 [(buf.validate.field).required = true];
        }
        "#,
    );
    let n = b"\x12\x06\x0a\x01x\x12\x01y";
    let with_n = |bytes: &[u8]| wrong(&validator, &[&n[..], bytes].concat());
    assert_eq!(with_n(b""), []);
    // The last value wins, also where it is the default.
    assert_eq!(with_n(b"\x0a\x02xx\x0a\x01x"), []);
    assert_eq!(with_n(b"\x0a\x02xx\x0a\x00"), []);
    assert_eq!(with_n(b"\x0a\x00\x0a\x02xx"), [("name".to_owned(), "string.max_len".to_owned())]);
    // A message in parts is one.
    assert_eq!(wrong(&validator, b"\x12\x03\x0a\x01x\x12\x03\x12\x01y"), []);
    // A later member of a oneof pushes out an earlier one.
    assert_eq!(with_n(b"\x1a\x01x\x22\x06\x0a\x01x\x12\x01y"), []);
    assert_eq!(with_n(b"\x22\x00\x1a\x01x"), [("a".to_owned(), "string.min_len".to_owned())]);
    // A later entry of a map, too.
    assert_eq!(with_n(b"\x2a\x07\x0a\x01k\x12\x02vv\x2a\x06\x0a\x01k\x12\x01v"), []);
    assert_eq!(with_n(b"\x2a\x00\x2a\x03\x0a\x01k"), [("map".to_owned(), "map.max_pairs".to_owned())]);
    // Packed and not packed, in any mixture.
    assert_eq!(with_n(b"\x30\x01\x32\x02\x02\x03"), []);
    let mixed = with_n(b"\x30\x01\x32\x03\x02\x00\x03");
    let expected = [("list", "repeated.max_items"), ("list[2]", "int32.gt")];
    assert_eq!(mixed, expected.map(|(field, rule)| (field.to_owned(), rule.to_owned())));
}

#[test]
fn bytes_in_parts_at_every_level_are_merged_in_good_time() {
    let validator =
        validator("message M { M m = 1; string text = 2 [(buf.validate.field).string.max_len = 1]; string pad = 3; }");
    let mut wire = b"\x12\x02xx".to_vec();
    for _ in 0..90 {
        let mut outer = Vec::new();
        for part in [&wire[..], b""] {
            outer.push(0x0a);
            crate::json::wire::put_bytes(&mut outer, part);
        }
        wire = outer;
    }
    let path = "m.".repeat(90) + "text";
    let started = std::time::Instant::now();
    assert_eq!(wrong(&validator, &wire), [(path, "string.max_len".to_owned())]);
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn violations_are_many_but_not_without_end() {
    let validator =
        validator("message M { repeated int32 list = 1 [(buf.validate.field).repeated.items.int32.gt = 5]; }");
    let wire = [&[0x0a, 0xe8, 0x07][..], &[1; 1000]].concat();
    let found = wrong(&validator, &wire);
    assert_eq!(found.len(), VIOLATION_LIMIT);
    assert_eq!(found[99].0, "list[99]");
}

#[test]
fn a_rule_that_does_not_fit_is_an_error_that_names_the_field() {
    for (field, problem) in [
        ("string s = 1 [(buf.validate.field).int32.gt = 1]", "v.M.s: its rules are for int32"),
        ("repeated string s = 1 [(buf.validate.field).string.min_len = 1]", "v.M.s: its rules are for string"),
        ("map<string, string> s = 1 [(buf.validate.field).map.values.bool.const = true]", "its rules are for bool"),
        ("string s = 1 [(buf.validate.field).string.pattern = \"[\"]", "v.M.s: regex parse error"),
        ("repeated M s = 1 [(buf.validate.field).repeated.unique = true]", "v.M.s: repeated.unique"),
        ("M s = 1 [(buf.validate.field).string.min_len = 1]", "v.M.s: its rules are for string"),
        ("option (buf.validate.message).oneof = { fields: [\"x\"] }", "v.M: the oneof rule names x, which is no field"),
        ("option (buf.validate.message).oneof = { fields: [] }", "v.M: the oneof rule names no field"),
    ] {
        let error = build(&format!("message M {{ {field}; }}")).unwrap_err().to_string();
        assert!(error.contains(problem), "{field}: {error}");
    }
}

#[test]
fn an_expression_is_never_passed_over() {
    let expression = r#"cel = { id: "x", expression: "true" }"#;
    for schema in [
        format!("message M {{ string s = 1 [(buf.validate.field).{expression}]; }}"),
        format!("message M {{ repeated N n = 1; }} message N {{ string s = 1 [(buf.validate.field).{expression}]; }}"),
        format!("message M {{ map<string, N> n = 1; }} message N {{ option (buf.validate.message).{expression}; }}"),
        "message M { string s = 1 [(buf.validate.field).cel_expression = \"this != ''\"]; }".to_owned(),
        format!("message M {{ repeated string s = 1 [(buf.validate.field).repeated.items.{expression}]; }}"),
    ] {
        let error = build(&schema).unwrap_err().to_string();
        assert!(error.contains("is an expression"), "{schema}: {error}");
    }
    // What no request leads to may say what it likes.
    let apart = format!("message M {{}} message N {{ string s = 1 [(buf.validate.field).{expression}]; }}");
    assert!(build(&apart).is_ok());
}

/// Says one thing of every message, and what bytes it was given.
#[derive(Debug)]
pub(crate) struct Complaint;

impl Engine for Complaint {
    fn prepare(&self, message: &str) -> Result<(), String> {
        if message == "v.Wrong" { Err("the expression is wrong".to_owned()) } else { Ok(()) }
    }

    fn violations(&self, message: &str, wire: &[u8]) -> Result<Vec<Violation>, String> {
        let path = "s".to_owned();
        let description = format!("{message} of {} bytes", wire.len());
        Ok(vec![Violation { field: path.clone(), path, rule: "mine".to_owned(), description }])
    }
}

#[test]
fn an_engine_sees_the_messages_with_expressions_and_no_others() {
    let schema = r#"
        message M { repeated N n = 1; string t = 2 [(buf.validate.field).string.min_len = 1]; Wrong wrong = 3; }
        message N { string s = 1 [(buf.validate.field).cel = { id: "x", expression: "true" }]; }
        message Wrong { string s = 1; }
    "#;
    let build = |schema: &str| {
        let descriptors = descriptors(&format!("{HEAD}{schema}"));
        Validator::new(&descriptors, &["v.M"], Some(Arc::new(Complaint)))
    };
    let validator = build(schema).unwrap();
    let violations = validator.violations(validator.plans().message("v.M").unwrap(), b"\x0a\x03\x0a\x01x").unwrap();
    let said: Vec<_> = violations.iter().map(|one| (&*one.field, &*one.path, &*one.rule, &*one.description)).collect();
    let expected = [("n[0].s", "n[0].s", "mine", "v.N of 3 bytes"), ("t", "t", "string.min_len", "must not be empty")];
    assert_eq!(said, expected);
    let wrong =
        schema.replace("Wrong { string s = 1", "Wrong { string s = 1 [(buf.validate.field).cel_expression = \"?\"]");
    assert_eq!(build(&wrong).unwrap_err().to_string(), "v.Wrong.s: the expression is wrong");
}

#[test]
fn the_status_names_the_first_violation_and_details_all() {
    let validator = validator(
        "message M { string a = 1 [(buf.validate.field).required = true];
         int32 b = 2 [(buf.validate.field).int32.gte = 1]; }",
    );
    let message = validator.plans().message("v.M").unwrap();
    let status = validator.validate(message, b"").unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "a: is required (and 1 more)"));
    let details = status.get_details_bad_request().unwrap().field_violations;
    let details: Vec<_> = details.iter().map(|one| (&*one.field, &*one.description, &*one.reason)).collect();
    assert_eq!(details, [("a", "is required", "required"), ("b", "must be at least 1", "int32.gte")]);
    let status = validator.validate_item(message, b"\x0a\x01x", 7).unwrap_err();
    assert_eq!(status.message(), "[7].b: must be at least 1");
    assert!(validator.validate(message, b"\x0a\x01x\x10\x01").is_ok());
}

#[test]
fn bytes_that_are_no_message_are_an_error_and_no_panic() {
    let validator =
        validator("message M { repeated M m = 1; string s = 2 [(buf.validate.field).string.min_len = 1]; }");
    let message = validator.plans().message("v.M").unwrap();
    for wire in [&b"\x0a"[..], b"\x0a\x05", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0f"] {
        assert_eq!(validator.violations(message, wire).unwrap_err().code(), Code::InvalidArgument);
    }
}
