//! Claims about values given as the text of a path variable or a query parameter, and about the case of enum names.

use super::{plans, pool, read, write};
use crate::json::{Mode, Plans};

/// What a `t.All` is in JSON whose field `name` was read from `text`.
fn text(plans: &Plans, name: &str, text: &str) -> Result<serde_json::Value, String> {
    let message = plans.message("t.All").unwrap();
    let mut wire = Vec::new();
    let field = plans.field(message, name).unwrap();
    assert!(plans.is_query_text(message, field), "{name}");
    plans.read_text(message, field, text, &mut wire).map_err(|error| error.to_string())?;
    let all: serde_json::Value = serde_json::from_str(&write(plans, "t.All", &wire)).unwrap();
    Ok(all[name].clone())
}

fn entry(plans: &Plans, name: &str, key: &str, value: &str) -> Result<serde_json::Value, String> {
    let message = plans.message("t.All").unwrap();
    let mut wire = Vec::new();
    let field = plans.field(message, name).unwrap();
    assert!(plans.is_map(message, field), "{name}");
    plans.read_entry(message, field, key, value, &mut wire).map_err(|error| error.to_string())?;
    let all: serde_json::Value = serde_json::from_str(&write(plans, "t.All", &wire)).unwrap();
    Ok(all[name].clone())
}

#[test]
fn every_type_that_has_a_text_is_read_from_it() {
    let plans = plans();
    for (name, given, expected) in [
        ("f_double", "1e3", "1000"),
        ("f_double", "-Infinity", "\"-Infinity\""),
        ("f_float", "0.5", "0.5"),
        ("f_int32", "-7", "-7"),
        ("f_int64", "-9223372036854775808", "-9223372036854775808"),
        ("f_uint64", "18446744073709551615", "18446744073709551615"),
        ("f_bool", "true", "true"),
        ("f_string", "true", "\"true\""),
        ("f_string", "", "\"\""),
        ("f_bytes", "_-8", "\"/+8=\""),
        ("f_color", "red", "\"red\""),
        ("f_color", "COLOR_RED", "\"red\""),
        ("f_color", "2", "\"blue\""),
        ("f_color", "9", "9"),
        ("at", "2026-01-31T12:00:00Z", "\"2026-01-31T12:00:00Z\""),
        ("after", "1.5s", "\"1.500s\""),
        ("mask", "a,fooBar", "\"a,fooBar\""),
        ("wrapped", "5", "\"5\""),
        ("wrapped_text", "true", "\"true\""),
        ("wrapped_text", "null", "\"null\""),
        ("wrapped_flag", "true", "true"),
        ("object", r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        ("any_value", r#"[1,"x",null]"#, r#"[1,"x",null]"#),
        ("any_value", "null", "null"),
        ("any_value", "5", "5"),
        ("list", "[]", "[]"),
        ("raw", r#"{"z": 1.0}"#, r#"{"z":1.0}"#),
        ("numbers", "4", "[4]"),
    ] {
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(text(&plans, name, given), Ok(expected), "{name}={given}");
    }
}

#[test]
fn text_of_another_type_is_an_error() {
    let plans = plans();
    for (name, given) in [
        ("f_int32", "1.5"),
        ("f_int32", ""),
        ("f_int32", " 1"),
        ("f_int32", "2147483648"),
        ("f_uint32", "-1"),
        ("f_bool", "TRUE"),
        ("f_color", "RED"),
        ("at", "now"),
        ("wrapped", "x"),
        ("wrapped_flag", "1"),
        ("object", "[]"),
        ("object", "a"),
        ("object", "{} {}"),
        ("list", "{}"),
        ("any_value", "hello"),
        ("raw", "hello"),
    ] {
        assert!(text(&plans, name, given).is_err(), "{name}={given}");
    }
}

#[test]
fn an_entry_of_a_map_is_read_from_two_texts() {
    let plans = plans();
    for (name, key, value, expected) in [
        ("weights", "a b", "0.5", r#"{"a b":0.5}"#),
        ("by_bool", "true", "yes", r#"{"true":"yes"}"#),
        ("values", "k", r#"{"x":null}"#, r#"{"k":{"x":null}}"#),
    ] {
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(entry(&plans, name, key, value), Ok(expected), "{name}[{key}]={value}");
    }
    assert!(entry(&plans, "by_bool", "1", "yes").unwrap_err().starts_with("by_bool[\"1\"]: "));
    assert!(entry(&plans, "weights", "a", "b").unwrap_err().starts_with("weights[\"a\"]: "));
    let message = plans.message("t.All").unwrap();
    let of_messages = plans.field(message, "by_number").unwrap();
    assert!(!plans.is_query_text(message, of_messages), "a message has no text");
    assert!(plans.read_entry(message, of_messages, "1", "x", &mut Vec::new()).is_err());
}

#[test]
fn enum_names_are_read_in_any_case_where_that_is_asked_for() {
    let folding = Plans::from_pool(&pool(), true).unwrap();
    for name in ["red", "RED", "Color_Red", "COLOR_RED"] {
        let expected = serde_json::json!("red");
        assert_eq!(text(&folding, "f_color", name), Ok(expected.clone()), "{name}");
        let wire = read(&folding, "t.All", &format!(r#"{{"f_color":"{name}"}}"#)).unwrap();
        let all: serde_json::Value = serde_json::from_str(&write(&folding, "t.All", &wire)).unwrap();
        assert_eq!(all["f_color"], expected, "{name}");
    }
    assert!(text(&folding, "f_color", "reds").is_err());
    assert!(text(&plans(), "f_color", "Red").is_err(), "not by default");
}

#[test]
fn names_that_differ_in_case_alone_are_told_apart_even_then() {
    let plans = Plans::from_pool(&pool(), true).unwrap();
    let message = plans.message("c.Cased").unwrap();
    for (name, number) in [("Left", "1"), ("LEFT", "2"), ("right", "3"), ("RIGHT", "3")] {
        let mut wire = Vec::new();
        plans.read(message, format!(r#"{{"cased":"{name}"}}"#).as_bytes(), Mode::Strict, &mut wire).unwrap();
        assert_eq!(wire, [8, number.parse::<u8>().unwrap()], "{name}");
    }
    assert!(plans.read(message, br#"{"cased":"left"}"#, Mode::Strict, &mut Vec::new()).is_err(), "either is meant");
}

#[test]
fn an_any_is_read_wherever_its_type_stands() {
    let plans = plans();
    for (given, expected) in [
        (r#"{"url":"u","@type":"x.com/t.Image"}"#, r#"{"@type":"x.com/t.Image","url":"u"}"#),
        (
            r#"{"value":"3s","@type":"x.com/google.protobuf.Duration"}"#,
            r#"{"@type":"x.com/google.protobuf.Duration","value":"3s"}"#,
        ),
        (
            r#"{"value":{"url":"u","@type":"a/t.Image"},"@type":"a/google.protobuf.Any"}"#,
            r#"{"@type":"a/google.protobuf.Any","value":{"@type":"a/t.Image","url":"u"}}"#,
        ),
        (r#"{"@type":"a/google.protobuf.Empty"}"#, r#"{"@type":"a/google.protobuf.Empty"}"#),
        (r#"{"@type":"a/google.protobuf.Empty","value":{}}"#, r#"{"@type":"a/google.protobuf.Empty"}"#),
        ("{}", "{}"),
    ] {
        let wire = read(&plans, "google.protobuf.Any", given).unwrap_or_else(|error| panic!("{given}: {error}"));
        assert_eq!(write(&plans, "google.protobuf.Any", &wire), expected);
    }
    for (given, problem) in [
        (r#"{"url":"u"}"#, "the member `@type` is missing"),
        (r#"{"@type":"t.Image"}"#, "the type \"t.Image\" is not known here"),
        (r#"{"@type":"x/t.Nowhere"}"#, "the type \"x/t.Nowhere\" is not known here"),
        (r#"{"@type":5}"#, "invalid type"),
        (r#"{"@type":"x/google.protobuf.Duration"}"#, "expected a member `value` beside `@type`"),
        (r#"{"@type":"x/google.protobuf.Duration","value":null}"#, "`value` is null"),
        (r#"{"@type":"x/google.protobuf.Duration","value":"1s","more":1}"#, "unknown member `more`"),
        (r#"{"@type":"x/google.protobuf.Empty","value":{"a":1}}"#, "unknown member `a`"),
        (r#"{"@type":"x/google.protobuf.Empty","a":1}"#, "expected a member `value`"),
        (r#"{"url":"u","@type":"x/c.Plain"}"#, "unknown member `url`"),
        (r#"{"text":1,"@type":"x/c.Plain"}"#, "text: invalid type"),
    ] {
        let error = read(&plans, "google.protobuf.Any", given).unwrap_err();
        assert!(error.starts_with(problem), "{given}: {error}");
    }
    let nested = |levels: usize| {
        let open = r#"{"value":"#.repeat(levels);
        let close = r#","@type":"x/google.protobuf.Any"}"#.repeat(levels);
        format!("{open}{{}}{close}")
    };
    assert!(read(&plans, "google.protobuf.Any", &nested(8)).is_ok());
    assert!(read(&plans, "google.protobuf.Any", &nested(10)).unwrap_err().contains("nested deeper"));
}
