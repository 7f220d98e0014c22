//! Claims about how much of a document is read.

use super::{plans, read};
use crate::json::{Limits, Mode, ReadErrorKind, Reading};

/// The kind and the path of the error, if `json` is not read as a `t.All`.
fn refused(json: &str, how: impl Into<Reading>) -> Option<(ReadErrorKind, String)> {
    let plans = plans();
    let mut out = vec![7];
    let read = plans.read(plans.message("t.All").unwrap(), json.as_bytes(), how, &mut out);
    let error = read.err()?;
    assert_eq!(out, [7], "what was there stays");
    Some((error.kind(), error.field_path().to_owned()))
}

fn depth(max_depth: usize) -> Limits {
    Limits { max_depth, ..Limits::default() }
}

fn items(max_items: usize) -> Limits {
    Limits { max_items, ..Limits::default() }
}

#[test]
fn nesting_beyond_the_limit_is_an_error_that_names_the_place() {
    for (json, levels, path) in [
        (r#"{"child":{"child":{}}}"#, 3, "child.child"),
        (r#"{"children":[{},{"f_int32":1}]}"#, 3, "children[0]"),
        (r#"{"numbers":[1]}"#, 2, "numbers"),
        (r#"{"by_number":{"1":{}}}"#, 3, "by_number[\"1\"]"),
        (r#"{"content":[{"type":"nothing"}]}"#, 3, "content[0]"),
        (r#"{"raw":[[1]]}"#, 3, "raw"),
        (r#"{"what":[[1]]}"#, 3, "[\"what\"]"),
        (r#"{"any_value":[1]}"#, 4, "any_value[0]"),
        (r#"{"any_value":{"a":1}}"#, 5, "any_value[\"a\"]"),
        (r#"{"object":{"a":1}}"#, 4, "object[\"a\"]"),
        (r#"{"any":{"@type":"x/t.All","child":{}}}"#, 3, "any.child"),
    ] {
        assert_eq!(refused(json, depth(levels)), None, "{json}");
        assert_eq!(refused(json, depth(levels - 1)), Some((ReadErrorKind::TooDeep, path.to_owned())), "{json}");
    }
}

#[test]
fn a_struct_counts_as_deep_as_it_stands_on_the_wire() {
    let plans = plans();
    let nested = |levels: usize| format!(r#"{{"object":{}1{}}}"#, r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let mut deepest = 0;
    for levels in 1..60 {
        let Ok(wire) = read(&plans, "t.All", &nested(levels)) else {
            break;
        };
        deepest = levels;
        plans.check(plans.message("t.All").unwrap(), &wire).unwrap();
        plans.write(plans.message("t.All").unwrap(), &wire, &mut Vec::new()).unwrap();
    }
    assert_eq!(deepest, 33);
}

#[test]
fn no_limit_reads_deeper_than_the_stack_allows() {
    let deep = format!("{}{}{}", r#"{"child":"#.repeat(500), "{}", "}".repeat(500));
    let (kind, path) = refused(&deep, depth(usize::MAX)).unwrap();
    assert_eq!(kind, ReadErrorKind::TooDeep);
    assert!(path.starts_with("child.child."), "{path}");
}

#[test]
fn items_are_counted_over_the_whole_document() {
    for (json, count, path) in [
        (r#"{"numbers":[1,2,3],"words":["a","b"]}"#, 5, "words[1]"),
        (r#"{"weights":{"a":1,"b":2}}"#, 2, "weights[\"b\"]"),
        (r#"{"children":[{"numbers":[1]},{"numbers":[1,2]}]}"#, 5, "children[1]"),
        (r#"{"any_value":[1,{"a":[2]}]}"#, 4, "any_value[1]"),
        (r#"{"content":[{"type":"nothing"},{"type":"nothing"}]}"#, 2, "content[1]"),
    ] {
        assert_eq!(refused(json, items(count)), None, "{json}");
        assert_eq!(refused(json, items(count - 1)), Some((ReadErrorKind::TooManyItems, path.to_owned())), "{json}");
    }
    let many = format!(r#"{{"numbers":[{}1]}}"#, "1,".repeat(100_000));
    assert_eq!(refused(&many, Mode::Strict).map(|(kind, _)| kind), Some(ReadErrorKind::TooManyItems));
    assert_eq!(refused(&many, Mode::Lenient), None, "what another server says is bounded by its size");
}

#[test]
fn each_error_is_of_its_kind() {
    for (json, kind) in [
        (r#"{"f_int32":"x"}"#, ReadErrorKind::Invalid),
        (r#"{"f_string":1}"#, ReadErrorKind::Invalid),
        ("{", ReadErrorKind::Malformed),
        ("{} {}", ReadErrorKind::Malformed),
        ("null", ReadErrorKind::Invalid),
    ] {
        assert_eq!(refused(json, Mode::Strict).map(|(kind, _)| kind), Some(kind), "{json}");
    }
}
