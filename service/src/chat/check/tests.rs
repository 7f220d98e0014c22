//! Each rule, broken.

use sabir_proto::v1::create_chat_completion_request::{FunctionCall, ToolChoice};
use sabir_proto::v1::custom_tool_format::Format as TextFormat;
use sabir_proto::v1::named_tool_choice::Choice;
use sabir_proto::v1::response_format::{Format, JsonSchema};
use sabir_proto::v1::{
    ContentPart, ContentParts, CustomTool, CustomToolFormat, FunctionDefinition, NamedTool, NamedToolChoice,
    ResponseFormat, Tool, ToolCall, tool,
};

use super::*;

type Request = CreateChatCompletionRequest;

type Change = fn(&mut Request);

fn message(role: Role, text: Option<&str>) -> ChatMessage {
    ChatMessage { role: role.into(), content: text.map(|text| Content::Text(text.to_owned())), ..Default::default() }
}

fn good() -> Request {
    Request { model: "openai/gpt".to_owned(), messages: vec![message(Role::User, Some("hi"))], ..Default::default() }
}

/// The fields that are wrong after the change.
fn wrong(change: impl FnOnce(&mut Request)) -> Vec<String> {
    let mut request = good();
    change(&mut request);
    check(&request).into_iter().map(|violation| violation.field).collect()
}

fn function(name: &str, parameters: &str) -> Tool {
    let function =
        FunctionDefinition { name: name.to_owned(), parameters: parameters.to_owned(), ..Default::default() };
    Tool { tool: Some(tool::Tool::Function(function)), ..Default::default() }
}

#[test]
fn an_ordinary_request_is_right() {
    assert_eq!(check(&good()), []);
}

#[test]
fn everything_wrong_is_named_at_once() {
    assert_eq!(
        wrong(|request| *request = Request { temperature: Some(3.0), n: Some(0), ..Default::default() }),
        ["model", "messages", "temperature", "n"]
    );
}

#[test]
fn numbers_outside_their_range_are_refused() {
    let cases: &[(Change, &str)] = &[
        (|request| request.temperature = Some(f64::NAN), "temperature"),
        (|request| request.temperature = Some(f64::INFINITY), "temperature"),
        (|request| request.top_p = Some(-0.1), "top_p"),
        (|request| request.presence_penalty = Some(2.1), "presence_penalty"),
        (|request| request.frequency_penalty = Some(-2.1), "frequency_penalty"),
        (|request| request.n = Some(129), "n"),
        (|request| request.max_tokens = Some(0), "max_tokens"),
        (|request| request.max_completion_tokens = Some(-1), "max_completion_tokens"),
        (|request| request.top_logprobs = Some(1), "top_logprobs"),
        (|request| (request.logprobs, request.top_logprobs) = (Some(true), Some(21)), "top_logprobs"),
        (|request| request.logit_bias = [("50256".to_owned(), 101.0)].into(), "logit_bias.50256"),
        (|request| request.model = "m".repeat(257), "model"),
    ];
    for (change, field) in cases {
        assert_eq!(wrong(change), [*field]);
    }
    assert!(
        wrong(|request| (request.temperature, request.top_p, request.n) = (Some(2.0), Some(0.0), Some(128))).is_empty()
    );
}

#[test]
fn messages_must_say_who_speaks_and_what() {
    assert_eq!(wrong(|request| request.messages.push(message(Role::Unspecified, Some("x")))), ["messages[1].role"]);
    assert_eq!(wrong(|request| request.messages[0].role = 99), ["messages[0].role"]);
    assert_eq!(wrong(|request| request.messages.push(message(Role::System, None))), ["messages[1].content"]);
    assert_eq!(wrong(|request| request.messages.push(message(Role::Tool, Some("4")))), ["messages[1].tool_call_id"]);
    assert_eq!(wrong(|request| request.messages.push(message(Role::Function, Some("4")))), ["messages[1].name"]);
    assert_eq!(wrong(|request| request.messages.push(message(Role::Assistant, None))), ["messages[1].content"]);
    let calls = ChatMessage { tool_calls: vec![ToolCall::default()], ..message(Role::Assistant, None) };
    assert_eq!(wrong(|request| request.messages.push(calls)), ["messages[1].tool_calls[0]"]);
    let parts = ContentParts { parts: vec![ContentPart::default()] };
    assert_eq!(wrong(|request| request.messages[0].content = Some(Content::Parts(parts))), ["messages[0].content[0]"]);
}

#[test]
fn stop_texts_are_few_and_not_empty() {
    assert_eq!(wrong(|request| request.stop = vec!["a".to_owned(), String::new()]), ["stop[1]"]);
    assert_eq!(wrong(|request| request.stop = vec!["a".to_owned(); 5]), ["stop"]);
}

#[test]
fn tools_need_a_plain_name_and_an_object() {
    assert_eq!(wrong(|request| request.tools = vec![function("get weather", "")]), ["tools[0].function.name"]);
    assert_eq!(wrong(|request| request.tools = vec![function("f", "[]")]), ["tools[0].function.parameters"]);
    assert_eq!(wrong(|request| request.tools = vec![Tool::default()]), ["tools[0]"]);
    assert!(wrong(|request| request.tools = vec![function("get_weather-2", r#" {"type":"object"}"#)]).is_empty());
}

#[test]
fn a_choice_must_be_made_where_one_is_begun() {
    assert_eq!(wrong(|request| request.tool_choice = Some(ToolChoice::ToolChoiceMode(0))), ["tool_choice"]);
    assert_eq!(
        wrong(|request| request.tool_choice = Some(ToolChoice::NamedToolChoice(Default::default()))),
        ["tool_choice"]
    );
    assert_eq!(wrong(|request| request.response_format = Some(ResponseFormat::default())), ["response_format"]);
    let format = Format::JsonSchema(JsonSchema { name: "a b".to_owned(), ..Default::default() });
    let format = ResponseFormat { format: Some(format), ..Default::default() };
    assert_eq!(wrong(|request| request.response_format = Some(format)), ["response_format.json_schema.name"]);
}

#[test]
fn a_tool_that_has_to_be_called_must_be_there() {
    let choose = |choice: Choice| {
        Some(ToolChoice::NamedToolChoice(NamedToolChoice { choice: Some(choice), ..Default::default() }))
    };
    let named = |name: &str| NamedTool { name: name.to_owned(), ..Default::default() };
    let with_f = |choice: Choice| {
        wrong(|request| (request.tools, request.tool_choice) = (vec![function("f", "")], choose(choice)))
    };
    assert!(with_f(Choice::Function(named("f"))).is_empty());
    assert_eq!(with_f(Choice::Function(named("g"))), ["tool_choice.function.name"]);
    assert_eq!(with_f(Choice::Custom(named("f"))), ["tool_choice.custom.name"]);
    assert_eq!(
        with_f(Choice::AllowedTools(Default::default())),
        ["tool_choice.allowed_tools.mode", "tool_choice.allowed_tools.tools"]
    );
    let call = Some(FunctionCall::NamedFunction(named("f")));
    assert_eq!(wrong(|request| request.function_call = call.clone()), ["function_call.name"]);
    let defined = FunctionDefinition { name: "f".to_owned(), ..Default::default() };
    assert!(wrong(|request| (request.functions, request.function_call) = (vec![defined], call)).is_empty());
}

#[test]
fn the_text_of_a_custom_tool_must_be_known() {
    let custom = |format: Option<TextFormat>| {
        let format = Some(CustomToolFormat { format, ..Default::default() });
        let custom = CustomTool { name: "t".to_owned(), format, ..Default::default() };
        let tool = Tool { tool: Some(tool::Tool::Custom(custom)), ..Default::default() };
        wrong(|request| request.tools = vec![tool])
    };
    assert_eq!(custom(None), ["tools[0].custom.format"]);
    assert!(custom(Some(TextFormat::Text(Default::default()))).is_empty());
    assert_eq!(
        custom(Some(TextFormat::Grammar(Default::default()))),
        ["tools[0].custom.format.grammar.syntax", "tools[0].custom.format.grammar.definition"]
    );
}

#[test]
fn metadata_is_bounded() {
    let many = (0..17).map(|number| (number.to_string(), String::new())).collect();
    assert_eq!(wrong(|request| request.metadata = many), ["metadata"]);
    assert_eq!(wrong(|request| request.metadata = [("k".to_owned(), "v".repeat(513))].into()), ["metadata.k"]);
    assert_eq!(wrong(|request| request.metadata = [("k".repeat(65), String::new())].into()).len(), 1);
}
