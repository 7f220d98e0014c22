//! The rival's chat request.
//!
//! Each struct is a serde struct and a prost message at once, so nothing is moved from one to the other: the fastest
//! form of typed structs there is. Unions read themselves through visitors or plain members, because serde's own
//! `untagged`, `tag` and `flatten` buffer the value first. The rival does less than the converter: it forgets members
//! that it does not name and the difference between null and absent, and its errors name no field path.

use std::collections::BTreeMap;
use std::fmt;

use prost::{Message, Oneof};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::names;

#[derive(Clone, PartialEq, Message, Deserialize)]
pub(crate) struct Request {
    #[prost(string, tag = "1")]
    model: String,
    #[prost(message, repeated, tag = "2")]
    messages: Vec<ChatMessage>,
    #[prost(bool, optional, tag = "3")]
    stream: Option<bool>,
    #[prost(message, optional, tag = "4")]
    stream_options: Option<StreamOptions>,
    #[prost(int32, optional, tag = "5")]
    max_completion_tokens: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    max_tokens: Option<i32>,
    #[prost(double, optional, tag = "7")]
    temperature: Option<f64>,
    #[prost(double, optional, tag = "8")]
    top_p: Option<f64>,
    #[prost(string, repeated, tag = "9")]
    #[serde(default, deserialize_with = "one_or_many")]
    stop: Vec<String>,
    #[prost(message, repeated, tag = "10")]
    #[serde(default)]
    tools: Vec<Tool>,
    #[prost(oneof = "ToolChoice", tags = "11, 12")]
    tool_choice: Option<ToolChoice>,
    #[prost(bool, optional, tag = "13")]
    parallel_tool_calls: Option<bool>,
    #[prost(message, optional, tag = "14")]
    response_format: Option<ResponseFormat>,
    #[prost(int32, optional, tag = "15")]
    n: Option<i32>,
    #[prost(int64, optional, tag = "16")]
    seed: Option<i64>,
    #[prost(double, optional, tag = "17")]
    presence_penalty: Option<f64>,
    #[prost(double, optional, tag = "18")]
    frequency_penalty: Option<f64>,
    #[prost(btree_map = "string, double", tag = "19")]
    #[serde(default)]
    logit_bias: BTreeMap<String, f64>,
    #[prost(bool, optional, tag = "20")]
    logprobs: Option<bool>,
    #[prost(int32, optional, tag = "21")]
    top_logprobs: Option<i32>,
    #[prost(btree_map = "string, string", tag = "22")]
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[prost(string, optional, tag = "23")]
    reasoning_effort: Option<String>,
    #[prost(string, optional, tag = "24")]
    verbosity: Option<String>,
    #[prost(string, optional, tag = "28")]
    service_tier: Option<String>,
    #[prost(string, optional, tag = "30")]
    prompt_cache_key: Option<String>,
    #[prost(string, optional, tag = "33")]
    safety_identifier: Option<String>,
    #[prost(string, optional, tag = "34")]
    user: Option<String>,
    #[prost(bool, optional, tag = "35")]
    store: Option<bool>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct StreamOptions {
    #[prost(bool, optional, tag = "1")]
    include_usage: Option<bool>,
    #[prost(bool, optional, tag = "2")]
    include_obfuscation: Option<bool>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct ChatMessage {
    #[prost(int32, tag = "1")]
    #[serde(deserialize_with = "names::read_role")]
    role: i32,
    #[prost(oneof = "Content", tags = "2, 3")]
    content: Option<Content>,
    #[prost(string, optional, tag = "4")]
    name: Option<String>,
    #[prost(message, repeated, tag = "5")]
    #[serde(default)]
    tool_calls: Vec<ToolCall>,
    #[prost(string, optional, tag = "6")]
    tool_call_id: Option<String>,
    #[prost(string, optional, tag = "7")]
    refusal: Option<String>,
    #[prost(string, optional, tag = "8")]
    reasoning_content: Option<String>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Content {
    #[prost(string, tag = "2")]
    Text(String),
    #[prost(message, tag = "3")]
    Parts(ContentParts),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByType;
        impl<'de> Visitor<'de> for ByType {
            type Value = Content;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string or an array")
            }
            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Content, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = elements.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(ContentParts { parts }))
            }
        }
        deserializer.deserialize_any(ByType)
    }
}

#[derive(Clone, PartialEq, Message)]
struct ContentParts {
    #[prost(message, repeated, tag = "1")]
    parts: Vec<ContentPart>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(try_from = "PartMembers")]
struct ContentPart {
    #[prost(oneof = "Part", tags = "1, 2")]
    part: Option<Part>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Part {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(message, tag = "2")]
    ImageUrl(ImageUrl),
}

#[derive(Deserialize)]
struct PartMembers<'a> {
    r#type: &'a str,
    text: Option<String>,
    image_url: Option<ImageUrl>,
}

impl TryFrom<PartMembers<'_>> for ContentPart {
    type Error = &'static str;
    fn try_from(members: PartMembers<'_>) -> Result<Self, Self::Error> {
        let part = match members.r#type {
            "text" => members.text.map(Part::Text),
            "image_url" => members.image_url.map(Part::ImageUrl),
            _ => return Err("unknown type of content"),
        };
        Ok(Self { part: Some(part.ok_or("the member that the type names is missing")?) })
    }
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct ImageUrl {
    #[prost(string, tag = "1")]
    url: String,
    #[prost(string, optional, tag = "2")]
    detail: Option<String>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(try_from = "ToolCallMembers")]
struct ToolCall {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    function: Option<FunctionCall>,
}

#[derive(Deserialize)]
struct ToolCallMembers<'a> {
    id: String,
    r#type: &'a str,
    function: Option<FunctionCall>,
}

impl TryFrom<ToolCallMembers<'_>> for ToolCall {
    type Error = &'static str;
    fn try_from(members: ToolCallMembers<'_>) -> Result<Self, Self::Error> {
        if members.r#type != "function" {
            return Err("unknown type of tool");
        }
        Ok(Self { id: members.id, function: members.function })
    }
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct FunctionCall {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    arguments: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(try_from = "ToolMembers")]
struct Tool {
    #[prost(message, optional, tag = "1")]
    function: Option<FunctionDefinition>,
}

#[derive(Deserialize)]
struct ToolMembers<'a> {
    r#type: &'a str,
    function: Option<FunctionDefinition>,
}

impl TryFrom<ToolMembers<'_>> for Tool {
    type Error = &'static str;
    fn try_from(members: ToolMembers<'_>) -> Result<Self, Self::Error> {
        if members.r#type != "function" {
            return Err("unknown type of tool");
        }
        Ok(Self { function: members.function })
    }
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct FunctionDefinition {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, optional, tag = "2")]
    description: Option<String>,
    #[prost(string, tag = "3")]
    #[serde(default, deserialize_with = "read_raw")]
    parameters: String,
    #[prost(bool, optional, tag = "4")]
    strict: Option<bool>,
}

#[derive(Clone, PartialEq, Oneof)]
enum ToolChoice {
    #[prost(int32, tag = "11")]
    Mode(i32),
    #[prost(message, tag = "12")]
    Named(Tool),
}

impl<'de> Deserialize<'de> for ToolChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByType;
        impl<'de> Visitor<'de> for ByType {
            type Value = ToolChoice;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string or an object")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ToolChoice, E> {
                let modes = ["none", "auto", "required"];
                let mode = modes.iter().position(|mode| *mode == text).ok_or_else(|| E::unknown_variant(text, &[]))?;
                Ok(ToolChoice::Mode(mode as i32 + 1))
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<ToolChoice, A::Error> {
                Tool::deserialize(MapAccessDeserializer::new(members)).map(ToolChoice::Named)
            }
        }
        deserializer.deserialize_any(ByType)
    }
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct ResponseFormat {
    #[prost(string, tag = "1")]
    r#type: String,
}

fn read_raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(<&RawValue>::deserialize(deserializer)?.get().to_owned())
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct ByType;
    impl<'de> Visitor<'de> for ByType {
        type Value = Vec<String>;
        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a string or an array")
        }
        fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<String>, A::Error> {
            let mut all = Vec::new();
            while let Some(text) = elements.next_element()? {
                all.push(text);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(ByType)
}
