//! Claims over the events of an answer.

use sabir_proto::v1::chat_completion_chunk::{Delta, FunctionCallDelta};

use super::*;

fn events(deltas: Vec<Delta>) -> Vec<ResponseEvent> {
    let mut writer = Writer::new(ModelResponse::default());
    for delta in deltas {
        let choice = Choice { delta: Some(delta), ..Choice::default() };
        let id = "chatcmpl-1".to_owned();
        writer.chunk(ChatCompletionChunk { id, choices: vec![choice], ..ChatCompletionChunk::default() });
    }
    writer.end();
    std::iter::from_fn(|| writer.next_event()).collect()
}

/// What was told of items and parts, and the answer at the end.
fn told(events: &[ResponseEvent]) -> (Vec<String>, ModelResponse) {
    let words = events.iter().filter(|event| event.output_index.is_some()).map(|event| {
        let what = event.r#type.trim_start_matches("response.");
        let said = event.delta.as_deref().or(event.text.as_deref()).or(event.arguments.as_deref()).unwrap_or("");
        format!("{} {what} {said}", event.output_index.unwrap_or_default()).trim_end().to_owned()
    });
    (words.collect(), events.last().and_then(|event| event.response.clone()).unwrap_or_default())
}

fn piece(index: u32, name: Option<&str>, arguments: &str) -> Delta {
    let id = name.map(|name| format!("call_{name}"));
    let name = name.map(str::to_owned);
    let function = FunctionCallDelta { name, arguments: Some(arguments.to_owned()), ..Default::default() };
    let call = ToolCallDelta { index: Some(index), id, function: Some(function), ..ToolCallDelta::default() };
    Delta { tool_calls: vec![call], ..Delta::default() }
}

#[test]
fn calls_whose_pieces_come_in_turn_are_told_apart() {
    let events = events(vec![
        piece(0, Some("a"), "{\"x\""),
        piece(1, Some("b"), "{}"),
        piece(0, None, ":1}"),
        piece(2, Some("c"), "[]"),
    ]);
    let (told, response) = told(&events);
    let expected = [
        "0 output_item.added",
        "0 function_call_arguments.delta {\"x\"",
        "1 output_item.added",
        "1 function_call_arguments.delta {}",
        "0 function_call_arguments.delta :1}",
        "0 function_call_arguments.done {\"x\":1}",
        "0 output_item.done",
        "1 function_call_arguments.done {}",
        "1 output_item.done",
        "2 output_item.added",
        "2 function_call_arguments.delta []",
        "2 function_call_arguments.done []",
        "2 output_item.done",
    ];
    assert_eq!(told, expected);
    let calls: Vec<_> = response.output.iter().filter_map(|item| item.call_id.as_deref()).collect();
    assert_eq!(calls, ["call_a", "call_b", "call_c"]);
    let numbers: Vec<_> = events.iter().map(|event| event.sequence_number).collect();
    assert!(numbers.iter().copied().zip(0..).all(|(number, place)| number == place), "{numbers:?}");
}

#[test]
fn a_thought_is_told_and_its_seal_is_in_the_item() {
    let detail = |text: &str, signature: Option<&str>| ReasoningDetail {
        r#type: "reasoning.text".to_owned(),
        text: Some(text.to_owned()).filter(|text| !text.is_empty()),
        signature: signature.map(str::to_owned),
        format: Some("anthropic-claude-v1".to_owned()),
        index: Some(0),
        ..ReasoningDetail::default()
    };
    let thinks = |detail: ReasoningDetail| Delta {
        reasoning_content: detail.text.clone(),
        reasoning_details: vec![detail],
        ..Delta::default()
    };
    let says = Delta { content: Some("Yes.".to_owned()), ..Delta::default() };
    let refuses = Delta { refusal: Some("No.".to_owned()), ..Delta::default() };
    let (told, response) = told(&events(vec![
        thinks(detail("Let ", None)),
        thinks(detail("me see.", None)),
        thinks(detail("", Some("sealed"))),
        says,
        refuses,
    ]));
    let expected = [
        "0 output_item.added",
        "0 content_part.added",
        "0 reasoning_text.delta Let",
        "0 reasoning_text.delta me see.",
        "0 reasoning_text.done Let me see.",
        "0 content_part.done",
        "0 output_item.done",
        "1 output_item.added",
        "1 content_part.added",
        "1 output_text.delta Yes.",
        "1 output_text.done Yes.",
        "1 content_part.done",
        "1 content_part.added",
        "1 refusal.delta No.",
        "1 refusal.done",
        "1 content_part.done",
        "1 output_item.done",
    ];
    assert_eq!(told, expected);
    let mut message = sabir_proto::v1::ChatMessage::default();
    thought::recall(response.output[0].clone(), &mut message);
    assert_eq!(message.reasoning_details, [detail("Let me see.", Some("sealed"))]);
}
