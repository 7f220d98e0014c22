//! Claims about the local model's request.

use sabir_proto::v1::{
    AudioOptions, ContentParts, FunctionDefinition, ImageUrl, InputAudio, InputFile, NamedToolChoice, Prediction, Tool,
    ToolCall, WebSearchOptions,
    response_format::{AnyJsonObject, JsonSchema},
};

use super::*;
use crate::upstream::OnUnsupported;

fn user(text: &str) -> ChatMessage {
    ChatMessage { role: Role::User.into(), content: Some(Content::Text(text.to_owned())), ..Default::default() }
}

fn request() -> CreateChatCompletionRequest {
    CreateChatCompletionRequest { model: "tiny".to_owned(), messages: vec![user("hi")], ..Default::default() }
}

fn param(request: &CreateChatCompletionRequest) -> String {
    let mut unsupported = Unsupported::new(OnUnsupported::Refuse, "the local model");
    if let Err(error) = leave_out_the_impossible(request, &mut unsupported) {
        return error.param.unwrap_or_default();
    }
    match translate(request, 100, None) {
        Err(GenerateError::InvalidRequest { param, .. }) => param,
        other => format!("{other:?}"),
    }
}

fn part(part: Part) -> ContentPart {
    ContentPart { part: Some(part), ..Default::default() }
}

fn with_parts(parts: Vec<ContentPart>) -> CreateChatCompletionRequest {
    let content = Some(Content::Parts(ContentParts { parts }));
    CreateChatCompletionRequest { messages: vec![user("a"), ChatMessage { content, ..user("") }], ..request() }
}

#[test]
fn every_parameter_that_cannot_be_honoured_is_refused_by_name() {
    let tool = Tool::default;
    let required = Some(ToolChoice::ToolChoiceMode(ToolChoiceMode::Required.into()));
    let refused: Vec<(&str, CreateChatCompletionRequest)> = vec![
        ("tools", CreateChatCompletionRequest { tools: vec![tool()], ..request() }),
        ("tool_choice", CreateChatCompletionRequest { tool_choice: required, ..request() }),
        (
            "tool_choice",
            CreateChatCompletionRequest {
                tool_choice: Some(ToolChoice::NamedToolChoice(NamedToolChoice::default())),
                ..request()
            },
        ),
        ("functions", CreateChatCompletionRequest { functions: vec![FunctionDefinition::default()], ..request() }),
        ("n", CreateChatCompletionRequest { n: Some(2), ..request() }),
        ("logprobs", CreateChatCompletionRequest { logprobs: Some(true), ..request() }),
        ("top_logprobs", CreateChatCompletionRequest { top_logprobs: Some(3), ..request() }),
        ("prediction", CreateChatCompletionRequest { prediction: Some(Prediction::default()), ..request() }),
        ("modalities", CreateChatCompletionRequest { modalities: vec!["text".into(), "audio".into()], ..request() }),
        ("audio", CreateChatCompletionRequest { audio: Some(AudioOptions::default()), ..request() }),
        (
            "web_search_options",
            CreateChatCompletionRequest { web_search_options: Some(WebSearchOptions::default()), ..request() },
        ),
        (
            "top_k",
            CreateChatCompletionRequest { additional_members: [("top_k".into(), "5".into())].into(), ..request() },
        ),
        (
            "messages[1].content[1]",
            with_parts(vec![part(Part::Text("x".into())), part(Part::ImageUrl(ImageUrl::default()))]),
        ),
        ("messages[1].content[0]", with_parts(vec![part(Part::InputAudio(InputAudio::default()))])),
        ("messages[1].content[0]", with_parts(vec![part(Part::File(InputFile::default()))])),
        (
            "messages[0].role",
            CreateChatCompletionRequest {
                messages: vec![ChatMessage { role: Role::Tool.into(), ..user("42") }],
                ..request()
            },
        ),
        (
            "messages[0].tool_calls",
            CreateChatCompletionRequest {
                messages: vec![ChatMessage {
                    role: Role::Assistant.into(),
                    tool_calls: vec![ToolCall::default()],
                    ..Default::default()
                }],
                ..request()
            },
        ),
        (
            "messages[0].content",
            CreateChatCompletionRequest { messages: vec![ChatMessage { content: None, ..user("") }], ..request() },
        ),
    ];
    for (name, request) in refused {
        assert_eq!(param(&request), name);
    }
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    for (name, request) in [
        ("temperature", CreateChatCompletionRequest { temperature: Some(2.5), ..request() }),
        ("temperature", CreateChatCompletionRequest { temperature: Some(f64::NAN), ..request() }),
        ("top_p", CreateChatCompletionRequest { top_p: Some(-0.1), ..request() }),
        ("presence_penalty", CreateChatCompletionRequest { presence_penalty: Some(3.0), ..request() }),
        ("frequency_penalty", CreateChatCompletionRequest { frequency_penalty: Some(-3.0), ..request() }),
        ("max_tokens", CreateChatCompletionRequest { max_tokens: Some(0), ..request() }),
        ("max_completion_tokens", CreateChatCompletionRequest { max_completion_tokens: Some(-1), ..request() }),
        (
            "max_tokens",
            CreateChatCompletionRequest { max_completion_tokens: Some(1), max_tokens: Some(2), ..request() },
        ),
        ("logit_bias", CreateChatCompletionRequest { logit_bias: [("100".into(), 1.0)].into(), ..request() }),
        ("logit_bias", CreateChatCompletionRequest { logit_bias: [("x".into(), 1.0)].into(), ..request() }),
        ("logit_bias", CreateChatCompletionRequest { logit_bias: [("1".into(), 101.0)].into(), ..request() }),
        ("stop", CreateChatCompletionRequest { stop: vec!["x".into(); 17], ..request() }),
    ] {
        assert_eq!(param(&request), name);
    }
}

#[test]
fn parameters_without_bearing_are_taken() {
    let none = Some(ToolChoice::ToolChoiceMode(ToolChoiceMode::None.into()));
    let request = CreateChatCompletionRequest {
        tools: vec![Tool::default()],
        tool_choice: none,
        n: Some(1),
        logprobs: Some(false),
        top_logprobs: Some(0),
        user: Some("u".into()),
        store: Some(true),
        service_tier: Some("auto".into()),
        reasoning_effort: Some("low".into()),
        verbosity: Some("low".into()),
        prompt_cache_key: Some("k".into()),
        safety_identifier: Some("s".into()),
        metadata: [("a".into(), "b".into())].into(),
        modalities: vec!["text".into()],
        parallel_tool_calls: Some(true),
        additional_members: [("stop".into(), String::new()), ("future".into(), "null".into())].into(),
        ..request()
    };
    let mut unsupported = Unsupported::new(OnUnsupported::Refuse, "the local model");
    assert_eq!(leave_out_the_impossible(&request, &mut unsupported), Ok(()));
    assert!(translate(&request, 100, None).is_ok(), "{:?}", translate(&request, 100, None));
}

#[test]
fn messages_become_turns() {
    let developer = ChatMessage { role: Role::Developer.into(), ..user("be kind") };
    let refusal = ChatMessage { role: Role::Assistant.into(), content: None, refusal: Some("no".into()), ..user("") };
    let parts =
        Some(Content::Parts(ContentParts { parts: vec![part(Part::Text("a".into())), part(Part::Text("b".into()))] }));
    let request = CreateChatCompletionRequest {
        messages: vec![developer, refusal, ChatMessage { content: parts, ..user("") }],
        ..request()
    };
    let turns: Vec<_> =
        translate(&request, 100, None).unwrap().messages.into_iter().map(|turn| (turn.role, turn.content)).collect();
    assert_eq!(turns, [("system", "be kind".into()), ("assistant", "no".into()), ("user", "a\nb".to_owned())]);
}

#[test]
fn sampling_parameters_arrive() {
    let request = CreateChatCompletionRequest {
        temperature: Some(0.5),
        seed: Some(-1),
        presence_penalty: Some(0.25),
        frequency_penalty: Some(0.75),
        logit_bias: [("7".into(), -100.0)].into(),
        max_tokens: Some(9),
        stop: vec!["END".into()],
        ..request()
    };
    let translated = translate(&request, 100, None).unwrap();
    assert_eq!((translated.max_tokens, translated.stop.as_slice()), (Some(9), &["END".to_owned()][..]));
    assert_eq!(
        translated.sampling,
        Sampling {
            temperature: 0.5,
            top_p: 1.0,
            seed: Some(u64::MAX),
            presence_penalty: 0.25,
            frequency_penalty: 0.75,
            logit_bias: vec![(7, -100.0)],
            ..Sampling::default()
        }
    );
    let defaults = translate(&self::request(), 100, None).unwrap();
    assert_eq!((defaults.sampling, defaults.max_tokens), (Sampling::default(), None));
}

#[test]
fn response_formats_arrive_verbatim() {
    let with = |format| CreateChatCompletionRequest {
        response_format: Some(ResponseFormat { format: Some(format), ..Default::default() }),
        ..request()
    };
    let format = |request: &CreateChatCompletionRequest| translate(request, 100, None).map(|request| request.format);
    assert_eq!(format(&with(WireFormat::JsonObject(AnyJsonObject {}))), Ok(Format::JsonObject));
    let schema = r#"{ "z": 1, "a": 1.0 }"#.to_owned();
    let json_schema = WireFormat::JsonSchema(JsonSchema { schema: schema.clone(), ..Default::default() });
    assert_eq!(format(&with(json_schema)), Ok(Format::JsonSchema(schema)));
    assert_eq!(param(&with(WireFormat::JsonSchema(JsonSchema::default()))), "response_format.json_schema.schema");
}
