//! Each rule, broken.

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::create_chat_completion_request::{FunctionCall, ToolChoice};
use sabir_proto::v1::named_tool_choice::Choice;
use sabir_proto::v1::{FunctionDefinition, NamedTool, NamedToolChoice, Tool, tool};

use super::*;

type Request = CreateChatCompletionRequest;

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
    let change = |request: &mut Request| {
        request.messages.push(message(Role::Tool, None));
        request.top_logprobs = Some(1);
    };
    assert_eq!(wrong(change), ["messages[1].tool_call_id", "messages[1].content", "top_logprobs"]);
}

#[test]
fn messages_must_say_what_their_role_asks_for() {
    assert_eq!(wrong(|request| request.messages.push(message(Role::System, None))), ["messages[1].content"]);
    assert_eq!(wrong(|request| request.messages.push(message(Role::Tool, Some("4")))), ["messages[1].tool_call_id"]);
    assert_eq!(wrong(|request| request.messages.push(message(Role::Function, Some("4")))), ["messages[1].name"]);
    assert_eq!(wrong(|request| request.messages.push(message(Role::Assistant, None))), ["messages[1].content"]);
}

#[test]
fn the_parameters_of_a_function_are_an_object() {
    assert_eq!(wrong(|request| request.tools = vec![function("f", "[]")]), ["tools[0].function.parameters"]);
    assert!(wrong(|request| request.tools = vec![function("get_weather-2", r#" {"type":"object"}"#)]).is_empty());
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
    let call = Some(FunctionCall::NamedFunction(named("f")));
    assert_eq!(wrong(|request| request.function_call = call.clone()), ["function_call.name"]);
    let defined = FunctionDefinition { name: "f".to_owned(), ..Default::default() };
    assert!(wrong(|request| (request.functions, request.function_call) = (vec![defined], call)).is_empty());
}
