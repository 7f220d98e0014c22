//! For tests: which member of a request each protocol can say, as `docs/providers.md` tells it. The table is made by asking
//! the protocols, so that it cannot be wrong.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::anthropic::Anthropic;
use crate::bedrock::Bedrock;
use crate::cohere::Cohere;
use crate::gemini::Gemini;
use crate::golden::{PLANS, asked};
use crate::ollama::Ollama;
use crate::openai::{OpenAi, Quirks};
use crate::protocol::Protocol;
use crate::responses::Responses;
use crate::upstream::OnUnsupported;

/// A member, and a request that has it. The model is one that thinks.
const PROBES: &[(&str, &str)] = &[
    ("max_completion_tokens", r#""max_completion_tokens":2000"#),
    ("max_tokens", r#""max_tokens":2000"#),
    ("temperature", r#""temperature":0.5"#),
    ("top_p", r#""top_p":0.5"#),
    ("stop", r#""stop":["END"]"#),
    ("n", r#""n":2"#),
    ("seed", r#""seed":7"#),
    ("presence_penalty", r#""presence_penalty":0.5"#),
    ("frequency_penalty", r#""frequency_penalty":0.5"#),
    ("logit_bias", r#""logit_bias":{"7":1}"#),
    ("logprobs", r#""logprobs":true"#),
    ("top_logprobs", r#""logprobs":true,"top_logprobs":2"#),
    ("tools", r#""tools":[{"type":"function","function":{"name":"f"}}]"#),
    ("tool_choice: required", r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required""#),
    (
        "tool_choice: a function",
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}}"#,
    ),
    (
        "tool_choice: allowed_tools",
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
    ),
    ("tools: custom", r#""tools":[{"type":"custom","custom":{"name":"c"}}]"#),
    (
        "parallel_tool_calls: false",
        r#""tools":[{"type":"function","function":{"name":"f"}}],"parallel_tool_calls":false"#,
    ),
    ("response_format: json_object", r#""response_format":{"type":"json_object"}"#),
    (
        "response_format: json_schema",
        r#""response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"}}}"#,
    ),
    ("reasoning_effort", r#""max_tokens":20000,"reasoning_effort":"high""#),
    ("reasoning: max_tokens", r#""max_tokens":20000,"reasoning":{"max_tokens":2000}"#),
    ("verbosity", r#""verbosity":"low""#),
    ("modalities: audio", r#""modalities":["text","audio"]"#),
    ("audio", r#""audio":{"voice":"alloy","format":"mp3"}"#),
    ("prediction", r#""prediction":{"type":"content","content":"x"}"#),
    ("web_search_options", r#""web_search_options":{}"#),
    ("service_tier: flex", r#""service_tier":"flex""#),
    ("prompt_cache_key", r#""prompt_cache_key":"k""#),
    ("prompt_cache_retention", r#""prompt_cache_retention":"24h""#),
    ("user", r#""user":"u""#),
    ("safety_identifier", r#""safety_identifier":"s""#),
    ("metadata", r#""metadata":{"a":"b"}"#),
    ("store: true", r#""store":true"#),
    ("moderation", r#""moderation":{"model":"m"}"#),
    ("functions", r#""functions":[{"name":"f"}]"#),
    ("a member of the vendor's own", r#""top_k":5"#),
];

/// The same for what a message may hold.
const CONTENT: &[(&str, &str)] = &[
    ("an image, in the request", r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}"#),
    ("an image, by address", r#"{"type":"image_url","image_url":{"url":"https://example.com/x.png"}}"#),
    ("image detail", r#"{"type":"image_url","image_url":{"url":"https://example.com/x.png","detail":"high"}}"#),
    ("audio", r#"{"type":"input_audio","input_audio":{"data":"QQ==","format":"wav"}}"#),
    (
        "a PDF, in the request",
        r#"{"type":"file","file":{"filename":"x.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}"#,
    ),
    ("a file, by id", r#"{"type":"file","file":{"file_id":"file_1"}}"#),
];

/// How a protocol takes a request: what it sends, or the refusal.
type Asking = Box<dyn Fn(&str) -> Result<String, String>>;

fn asking<P: Protocol>(protocol: P) -> Asking {
    Box::new(move |json| match asked(&protocol, json, OnUnsupported::Refuse) {
        refused if refused.starts_with("error ") => Err(refused),
        sent => Ok(sent),
    })
}

/// The protocols, each with a model of its own that can do the most.
fn protocols() -> Vec<(&'static str, &'static str, Asking)> {
    vec![
        ("openai", "m", asking(OpenAi::new(Arc::clone(&PLANS), Quirks::NONE).unwrap())),
        ("responses", "m", asking(Responses::new(Arc::clone(&PLANS)).unwrap())),
        ("anthropic", "claude-sonnet-4-5", asking(Anthropic::new(Arc::clone(&PLANS)).unwrap())),
        ("gemini", "gemini-3-flash-preview", asking(Gemini::DEVELOPER)),
        ("vertex", "gemini-3-flash-preview", asking(Gemini::VERTEX)),
        ("ollama", "m", asking(Ollama)),
        ("cohere", "command-a-reasoning-08-2025", asking(Cohere)),
        ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", asking(Bedrock)),
    ]
}

fn request(model: &str, content: &str, member: &str) -> String {
    let comma = if member.is_empty() { "" } else { "," };
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":{content}}}]{comma}{member}}}"#)
}

/// What becomes of a probe: `yes` if it changes what is sent.
fn verdict(asking: &Asking, plain: &str, probe: &str) -> &'static str {
    match (asking(plain), asking(probe)) {
        (Ok(plain), Ok(sent)) if plain != sent => "yes",
        (Ok(_), Ok(_)) => panic!("dropped in silence: {probe}"),
        (_, Err(refused)) => {
            assert!(!refused.contains("param -"), "a refusal names its member: {refused}");
            "refused"
        }
        (Err(refused), _) => panic!("{plain}: {refused}"),
    }
}

fn table() -> String {
    let protocols = protocols();
    let names: Vec<String> = protocols.iter().map(|(name, ..)| format!("`{name}`")).collect();
    let mut lines =
        vec![format!("| member | {} |", names.join(" | ")), format!("|---|{}", "---|".repeat(protocols.len()))];
    let row = |what: &str, content: &str, member: &str| {
        let verdicts = protocols
            .iter()
            .map(|(_, model, asking)| verdict(asking, &request(model, r#""x""#, ""), &request(model, content, member)));
        format!("| {what} | {} |", verdicts.collect::<Vec<_>>().join(" | "))
    };
    lines.extend(PROBES.iter().map(|(name, member)| row(&format!("`{name}`"), r#""x""#, member)));
    lines.extend(CONTENT.iter().map(|(name, part)| row(name, &format!("[{part}]"), "")));
    lines.join("\n") + "\n"
}

#[test]
fn the_table_of_what_each_protocol_can_say_is_what_it_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once("<!-- matrix -->\n").unwrap();
    let (written, after) = rest.split_once("<!-- end -->").unwrap();
    let table = table();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, format!("{before}<!-- matrix -->\n{table}<!-- end -->{after}")).unwrap();
        return;
    }
    assert_eq!(written, table, "UPDATE_GOLDEN=1 writes it anew");
}
