//! Claims about the validation rules of the contract: what the gate finds wrong with a chat request is what protovalidate
//! finds, by path and by rule.

use serde_json::{Value, json};
use transcode::json::Mode;
use transcode::validate::{Engine as _, Validator, Violation};
use transcode_protovalidate::Protovalidate;

const REQUEST: &str = "sabir.v1.CreateChatCompletionRequest";

/// A request in which most fields are set.
fn request() -> Value {
    json!({
        "model": "vendor/model",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        ],
        "temperature": 1.0, "top_p": 0.5, "presence_penalty": 0, "frequency_penalty": 0, "n": 1, "max_tokens": 64,
        "stop": ["a", "b"], "logprobs": true, "top_logprobs": 2, "logit_bias": {"1": 5}, "metadata": {"key": "value"},
        "tools": [
            {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}},
            {"type": "custom", "custom": {"name": "say", "format": {"type": "grammar",
                "grammar": {"definition": "a", "syntax": "regex"}}}},
        ],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function"}]}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}},
    })
}

/// Places in the request, and values for each that break a rule, or do not.
fn changes() -> Vec<(&'static str, Vec<Value>)> {
    let many =
        |count: usize| (0..count).map(|at| (at.to_string(), Value::from("x"))).collect::<serde_json::Map<_, _>>();
    vec![
        ("/model", vec![json!(""), json!("ä".repeat(129)), json!("m".repeat(256))]),
        ("/messages", vec![json!([]), json!([{}]), json!([{"role": "user", "content": []}])]),
        ("/messages/0/role", vec![json!(0), json!(99)]),
        ("/messages/1/content/0", vec![json!({}), json!({"type": "text", "text": ""})]),
        ("/messages/1/content/1/image_url/url", vec![json!("")]),
        ("/messages/1/content/2/input_audio/data", vec![json!("")]),
        ("/messages/2/tool_calls/0", vec![json!({"id": "x"})]),
        ("/temperature", vec![json!(-0.5), json!(2), json!(2.5), json!("NaN"), json!("Infinity")]),
        ("/top_p", vec![json!(0), json!(1.01)]),
        ("/presence_penalty", vec![json!(-2.01), json!(2)]),
        ("/frequency_penalty", vec![json!(2.01), json!(-2)]),
        ("/n", vec![json!(0), json!(128), json!(129)]),
        ("/max_tokens", vec![json!(0), json!(-1)]),
        ("/stop", vec![json!([]), json!(["a", "b", "c", "d", "e"]), json!(["", "b", ""])]),
        ("/top_logprobs", vec![json!(-1), json!(0), json!(21)]),
        ("/logit_bias", vec![json!({"1": 101, "2": -101, "3": 100}), json!({})]),
        ("/metadata", vec![Value::Object(many(17)), json!({"": "x"}), json!({"k".repeat(65): "v".repeat(513)})]),
        ("/tools/0", vec![json!({}), json!({"type": "function", "function": {}})]),
        ("/tools/0/function/name", vec![json!("a b"), json!("n".repeat(65)), json!("n".repeat(64))]),
        ("/tools/1/custom/format", vec![json!({})]),
        ("/tools/1/custom/format/grammar", vec![json!({})]),
        ("/tool_choice", vec![json!({}), json!("auto"), json!({"type": "function", "function": {}})]),
        ("/tool_choice/allowed_tools", vec![json!({})]),
        ("/response_format", vec![json!({}), json!({"type": "text"})]),
        ("/response_format/json_schema/name", vec![json!(""), json!("ü")]),
    ]
}

fn sorted(found: Vec<Violation>) -> Vec<(String, String)> {
    let mut found: Vec<_> = found.into_iter().map(|violation| (violation.path, violation.rule)).collect();
    found.sort();
    found
}

#[test]
fn the_gate_and_protovalidate_find_the_same_wrong_with_a_request() {
    let native = Validator::new(sabir_proto::FILE_DESCRIPTOR_SET, &[REQUEST], None).unwrap();
    let oracle = Protovalidate::new(sabir_proto::FILE_DESCRIPTOR_SET).unwrap();
    let message = native.plans().message(REQUEST).unwrap();
    let compare = |request: &Value| {
        let mut wire = Vec::new();
        native.plans().read(message, request.to_string().as_bytes(), Mode::Strict, &mut wire).unwrap();
        let found = sorted(native.violations(message, &wire).unwrap());
        assert_eq!(found, sorted(oracle.violations(REQUEST, &wire).unwrap()), "{request}");
        found.len()
    };
    assert_eq!(compare(&request()), 0);
    let changes: Vec<(&str, Value)> =
        changes().into_iter().flat_map(|(at, values)| values.into_iter().map(move |value| (at, value))).collect();
    let mut broken = 0;
    for (index, (at, value)) in changes.iter().enumerate() {
        let mut one = request();
        *one.pointer_mut(at).unwrap() = value.clone();
        broken += usize::from(compare(&one) > 0);
        for (at, value) in &changes[index + 1..] {
            let mut two = one.clone();
            // What the first change has taken away cannot be changed any more.
            if let Some(place) = two.pointer_mut(at) {
                *place = value.clone();
                compare(&two);
            }
        }
    }
    assert!(broken > changes.len() / 2, "{broken} of {} changes break a rule", changes.len());
}
