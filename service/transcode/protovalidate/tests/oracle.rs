//! The transcoder's own rules against protovalidate's: over generated rules and generated messages, both find the same.
#![expect(clippy::panic, reason = "tests")]

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};
use transcode::json::Mode;
use transcode::validate::{Engine as _, Validator};
use transcode_protovalidate::Protovalidate;

const HEAD: &str = r#"syntax = "proto3"; package o;
import "buf/validate/validate.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Kind { NONE = 0; ONE = 1; FIVE = 5; }
message Leaf { option (buf.validate.message).oneof = { fields: ["a", "list"], required: true };
  string a = 1 [(buf.validate.field).string.min_len = 2]; repeated int32 list = 2; int32 free = 3; }
"#;

/// The descriptor set of a proto file.
fn descriptors(source: &str) -> Vec<u8> {
    struct Memory(String);
    impl protox::file::FileResolver for Memory {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            match name {
                "o.proto" => protox::file::File::from_source(name, &self.0),
                _ => Err(protox::Error::file_not_found(name)),
            }
        }
    }
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(protox::file::IncludeFileResolver::new(transcode::PROTO_DIR.into()));
    resolver.add(Memory(source.to_owned()));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("o.proto").unwrap_or_else(|error| panic!("{error:?}\n{source}"));
    compiler.encode_file_descriptor_set()
}

/// A type, what its rules are called, rules for it as text, and values.
#[derive(Debug, Clone)]
struct Type {
    name: &'static str,
    rules: &'static str,
    options: Vec<String>,
    values: Vec<Value>,
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn types() -> Vec<Type> {
    let mut types = Vec::new();
    let numbers = [
        "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64",
        "float", "double",
    ];
    let bounds = texts(&[
        "const: 3",
        "lt: 3",
        "lte: 3",
        "gt: 3",
        "gte: 3",
        "gt: 1, lt: 5",
        "gte: 1, lt: 5",
        "gt: 1, lte: 5",
        "gte: 1, lte: 5",
        "gt: 5, lt: 1",
        "gte: 5, lt: 1",
        "gt: 5, lte: 1",
        "gte: 5, lte: 1",
        "gte: 3, lte: 3",
        "in: [1, 3]",
        "not_in: [0, 3]",
        "gt: 0, not_in: [3], in: [1, 3, 5]",
    ]);
    for name in numbers {
        let mut values: Vec<Value> = (0..7).map(Value::from).collect();
        let mut options = bounds.clone();
        if !name.starts_with('u') && !name.starts_with('f') || name == "float" {
            values.extend([json!(-1), json!(-3)]);
            options.extend(texts(&["gt: -2, lt: 2", "const: -1", "not_in: [-3]"]));
        }
        if ["float", "double"].contains(&name) {
            values.extend([json!(0.5), json!("NaN"), json!("Infinity"), json!("-Infinity"), json!(2.9999)]);
            // One rule at a time, where values may be no number: there the two differ in how many they report.
            options.retain(|option| !option.contains("in: [1, 3, 5]"));
            options.push("finite: true".to_owned());
        }
        types.push(Type { name, rules: name, options, values });
    }
    let words = [
        "",
        "a",
        "ab",
        "abc",
        "abcd",
        "äö",
        "😀",
        "x@y.org",
        "x@",
        "host.example",
        "host.1",
        "-host",
        "1.2.3.4",
        "1.2.3",
        "::1",
        "fe80::1%en0",
        "https://a.org/b?c#d",
        "http://[::1]:8/",
        "/rel",
        "a b",
        "10.0.0.0/8",
        "10.0.0.1/8",
        "2001:db8::/32",
        "a.org:80",
        "[::1]:80",
        "a:b",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "01234567-89ab-cdef-0123-456789abcdef",
        "0123456789abcdef0123456789abcdef",
        "content-type",
        ":path",
        "a\tb",
        "a\u{7}",
        "pkg.Name",
        ".pkg.Name",
        "1pkg",
        "AB",
        "zzz",
    ];
    let text_rules = [
        "const: 'abc'",
        "len: 2",
        "min_len: 2",
        "max_len: 2",
        "len_bytes: 4",
        "min_bytes: 3",
        "max_bytes: 3",
        "pattern: '^[a-z]{1,3}$'",
        "pattern: 'b+'",
        "prefix: 'a'",
        "suffix: 'c'",
        "contains: 'b'",
        "not_contains: 'b'",
        "in: ['a', 'abc']",
        "not_in: ['a', 'abc', '']",
        "email: true",
        "hostname: true",
        "ip: true",
        "ipv4: true",
        "ipv6: true",
        "uri: true",
        "address: true",
        "uuid: true",
        "tuuid: true",
        "ip_with_prefixlen: true",
        "ipv4_with_prefixlen: true",
        "ipv6_with_prefixlen: true",
        "ip_prefix: true",
        "ipv4_prefix: true",
        "ipv6_prefix: true",
        "host_and_port: true",
        "ulid: true",
        "protobuf_fqn: true",
        "protobuf_dot_fqn: true",
        "well_known_regex: KNOWN_REGEX_HTTP_HEADER_NAME",
        "well_known_regex: KNOWN_REGEX_HTTP_HEADER_VALUE",
        "well_known_regex: KNOWN_REGEX_HTTP_HEADER_NAME, strict: false",
        "well_known_regex: KNOWN_REGEX_HTTP_HEADER_VALUE, strict: false",
        "min_len: 2, max_len: 3, prefix: 'a'",
        "email: false",
    ];
    types.push(Type {
        name: "string",
        rules: "string",
        options: texts(&text_rules),
        values: words.iter().map(|word| json!(word)).collect(),
    });
    let octets = ["", "YQ==", "YWI=", "YWJj", "AAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA=="];
    let octet_rules = [
        "const: 'ab'",
        "len: 2",
        "min_len: 2",
        "max_len: 2",
        "pattern: '^[a-z]+$'",
        "prefix: 'a'",
        "suffix: 'c'",
        "contains: 'b'",
        "in: ['a', 'ab']",
        "not_in: ['a', 'ab']",
        "ip: true",
        "ipv4: true",
        "ipv6: true",
        "uuid: true",
    ];
    types.push(Type {
        name: "bytes",
        rules: "bytes",
        options: texts(&octet_rules),
        values: octets.iter().map(|word| json!(word)).collect(),
    });
    types.push(Type {
        name: "bool",
        rules: "bool",
        options: texts(&["const: true", "const: false"]),
        values: vec![json!(true), json!(false)],
    });
    types.push(Type {
        name: "Kind",
        rules: "enum",
        options: texts(&[
            "const: 1",
            "defined_only: true",
            "in: [1, 5]",
            "not_in: [0, 5]",
            "defined_only: true, not_in: [0]",
        ]),
        values: [0, 1, 5, 7, -1].map(Value::from).to_vec(),
    });
    types
}

/// Types that are messages, whose fields tell presence and which no map has as a key.
fn messages() -> Vec<Type> {
    let plain = types();
    let of = |name: &str| plain.iter().find(|one| one.name == name).unwrap_or_else(|| panic!("{name}")).clone();
    let mut types = vec![
        Type { name: "google.protobuf.StringValue", ..of("string") },
        Type { name: "google.protobuf.Int64Value", ..of("int64") },
        Type { name: "google.protobuf.DoubleValue", ..of("double") },
        Type { name: "google.protobuf.BoolValue", ..of("bool") },
        Type { name: "google.protobuf.BytesValue", ..of("bytes") },
    ];
    types.push(Type {
        name: "google.protobuf.Duration",
        rules: "duration",
        options: texts(&[
            "const: {seconds: 1}",
            "gt: {seconds: 1}",
            "gte: {nanos: 5}, lt: {seconds: 2}",
            "gt: {seconds: 2}, lte: {seconds: 1}",
            "in: [{seconds: 1}, {seconds: 3}]",
            "not_in: [{seconds: 1}]",
        ]),
        values: ["0s", "1s", "1.5s", "2s", "3s", "-1s", "0.000000005s"].map(Value::from).to_vec(),
    });
    types.push(Type {
        name: "google.protobuf.Timestamp",
        rules: "timestamp",
        options: texts(&[
            "const: {seconds: 1}",
            "gt: {seconds: 1}",
            "gte: {seconds: 1}, lt: {seconds: 5}",
            "lt_now: true",
            "gt_now: true",
            "within: {seconds: 3600}",
            "lt_now: true, gt: {seconds: 2}",
        ]),
        values: ["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z", "1970-01-01T00:00:09.5Z", "9999-01-01T00:00:00Z"]
            .map(Value::from)
            .to_vec(),
    });
    types.push(Type {
        name: "google.protobuf.FieldMask",
        rules: "field_mask",
        options: texts(&["const: {paths: ['a', 'b']}", "in: ['a', 'b.c']", "not_in: ['a.b', 'c']"]),
        values: ["", "a", "a,b", "a.b", "b.c.d", "ab", "c"].map(Value::from).to_vec(),
    });
    types.push(Type {
        name: "google.protobuf.Any",
        rules: "any",
        options: texts(&["in: ['x/o.Leaf']", "not_in: ['x/o.Leaf']"]),
        values: vec![json!({"@type": "x/o.Leaf"}), json!({"@type": "x/o.M"})],
    });
    types
}

/// One field of the message: its declaration, and values for it as JSON.
#[derive(Debug, Clone)]
struct Field {
    declaration: String,
    values: Vec<Value>,
}

fn options(parts: &[String]) -> String {
    let parts: Vec<String> =
        parts.iter().filter(|part| !part.is_empty()).map(|part| format!("(buf.validate.field).{part}")).collect();
    if parts.is_empty() { String::new() } else { format!(" [{}]", parts.join(", ")) }
}

fn field(number: usize) -> impl Strategy<Value = Field> {
    let ignore = select(vec!["", "", "ignore: IGNORE_IF_ZERO_VALUE", "ignore: IGNORE_ALWAYS"]);
    let all = select([types(), messages()].concat());
    let mut keys: Vec<Type> = types();
    keys.retain(|one| ["string", "int32", "uint64", "sint64"].contains(&one.name));
    // The library takes a key with a bracket in it for a field of its own.
    keys.iter_mut().for_each(|one| one.values.retain(|value| !value.to_string().contains('[')));
    let label = select(vec!["", "", "optional", "repeated", "repeated", "map", "map"]);
    let list = select(vec!["", "min_items: 2", "max_items: 2", "min_items: 1, max_items: 3", "unique: true"]);
    let pairs = select(vec!["", "min_pairs: 2", "max_pairs: 2"]);
    let picks = prop::collection::vec(any::<prop::sample::Index>(), 12);
    (all, select(keys), label, ignore, list, pairs, any::<bool>(), picks).prop_map(
        move |(kind, key, label, ignore, list, pairs, required, picks)| {
            let pick = |at: usize, list: &[String]| picks[at].get(list).clone();
            let (rule, key_rule) = (pick(0, &kind.options), pick(1, &key.options));
            let is_message = kind.name.contains('.');
            let nested = |rules: &str, rule: &str| match ignore {
                "" => format!("{{{rules}: {{{rule}}}}}"),
                ignore => format!("{{{rules}: {{{rule}}}, {ignore}}}"),
            };
            let required = if required { "required = true".to_owned() } else { String::new() };
            let value = |at: usize| picks[at].get(&kind.values).clone();
            let own = ignore.replace(": ", " = ");
            let name = format!("f{number}");
            match label {
                "repeated" => {
                    let list = if list.contains("unique") && is_message { "" } else { list };
                    let rules = format!("repeated = {{items: {} {list}}}", nested(kind.rules, &rule));
                    let declaration =
                        format!("repeated {} {name} = {number}{};", kind.name, options(&[required, rules]));
                    let values = (0..5).map(|length| (0..length).map(|at| value(4 + at)).collect()).collect();
                    Field { declaration, values }
                }
                "map" => {
                    let (keys, of) = (nested(key.rules, &key_rule), nested(kind.rules, &rule));
                    let rules = format!("map = {{keys: {keys} values: {of} {pairs}}}");
                    let declaration =
                        format!("map<{}, {}> {name} = {number}{};", key.name, kind.name, options(&[required, rules]));
                    let entry = |at: usize| {
                        let key = picks[8 - at].get(&key.values).clone();
                        (key.as_str().map_or_else(|| key.to_string(), str::to_owned), value(4 + at))
                    };
                    let values =
                        (0..4).map(|length| Value::Object((0..length).map(entry).collect::<Map<_, _>>())).collect();
                    Field { declaration, values }
                }
                label => {
                    let label = if is_message { "" } else { label };
                    let rules = format!("{} = {{{rule}}}", kind.rules);
                    let declaration =
                        format!("{label} {} {name} = {number}{};", kind.name, options(&[required, own, rules]));
                    Field { declaration, values: (4..10).map(value).collect() }
                }
            }
        },
    )
}

fn schema() -> impl Strategy<Value = (String, Vec<Vec<Value>>)> {
    let fields: Vec<_> = (1..=8).map(field).collect();
    let oneof = select(vec![
        "oneof choice { option (buf.validate.oneof).required = true; string o1 = 21 [(buf.validate.field).string.min_len = 1]; Leaf o2 = 22; }",
        "oneof choice { string o1 = 21 [(buf.validate.field).required = true]; Leaf o2 = 22 [(buf.validate.field).required = true]; }",
    ]);
    (fields, oneof).prop_map(|(fields, oneof)| {
        let declared: Vec<&str> = fields.iter().map(|field| field.declaration.as_str()).collect();
        let schema = format!(
            "{HEAD}message M {{\n{}\n{oneof}\nM child = 30; repeated Leaf leaves = 31; map<string, Leaf> by_name = 32;\n}}\n",
            declared.join("\n")
        );
        (schema, fields.into_iter().map(|field| field.values).collect())
    })
}

/// A message with some of the fields, and perhaps one like it inside.
fn document(values: &[Vec<Value>], picks: &[usize]) -> Value {
    let mut members = Map::new();
    for (at, values) in values.iter().enumerate() {
        if !picks[at].is_multiple_of(3) {
            members.insert(format!("f{}", at + 1), values[picks[at] / 3 % values.len()].clone());
        }
    }
    let leaf = |pick: usize| match pick % 5 {
        0 => json!({}),
        1 => json!({"a": "x"}),
        2 => json!({"a": "xy", "list": [1]}),
        3 => json!({"list": [1, 2]}),
        _ => json!({"free": 1, "a": "xyz"}),
    };
    match picks[8] % 4 {
        0 => drop(members.insert("o1".to_owned(), json!(""))),
        1 => drop(members.insert("o1".to_owned(), json!("x"))),
        2 => drop(members.insert("o2".to_owned(), leaf(picks[9]))),
        _ => {}
    }
    if picks[9].is_multiple_of(2) {
        members.insert("leaves".to_owned(), json!([leaf(picks[10]), leaf(picks[11])]));
        members.insert("byName".to_owned(), json!({"k\"": leaf(picks[10]), "": leaf(picks[11])}));
    }
    if picks.len() > 12 {
        members.insert("child".to_owned(), document(values, &picks[12..]));
    }
    Value::Object(members)
}

/// Path and rule of everything that one of the two finds, in an order that both share.
fn sorted(found: Vec<transcode::validate::Violation>) -> Vec<(String, String)> {
    let mut found: Vec<_> = found.into_iter().map(|violation| (violation.path, violation.rule)).collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_find_the_same(
        (schema, values) in schema(),
        picks in prop::collection::vec(prop::collection::vec(0..1000_usize, 36), 24),
        doubled in subsequence((0..24).collect::<Vec<_>>(), 6),
    ) {
        let descriptors = descriptors(&schema);
        let native = Validator::new(&descriptors, &["o.M"], None).unwrap_or_else(|error| panic!("{error}\n{schema}"));
        let oracle = Protovalidate::new(&descriptors).unwrap();
        let message = native.plans().message("o.M").unwrap();
        for (at, picks) in picks.iter().enumerate() {
            let json = document(&values, picks).to_string();
            let mut wire = Vec::new();
            native.plans().read(message, json.as_bytes(), Mode::Strict, &mut wire).unwrap();
            if doubled.contains(&at) {
                // The same message said twice in parts: what a decoder makes of it is what counts.
                let again = document(&values, &picks[12..]).to_string();
                native.plans().read(message, again.as_bytes(), Mode::Strict, &mut wire).unwrap();
            }
            let expected = oracle.violations("o.M", &wire).unwrap();
            let found = native.violations(message, &wire).unwrap();
            prop_assume!(expected.len() < 100);
            prop_assert_eq!(sorted(found), sorted(expected), "{}\n{}", schema, json);
        }
    }
}
