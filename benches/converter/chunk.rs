//! The rival's stream chunk.
//!
//! Each struct is a serde struct and a prost message at once, so nothing is moved from one to the other: the fastest
//! form of typed structs there is. Like the request, it does less than the converter.

use prost::Message;
use serde::{Deserialize, Serialize};

use crate::names::{read_finish_reason, read_role, write_finish_reason, write_role};

#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
pub(crate) struct Chunk {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    object: String,
    #[prost(int64, tag = "3")]
    created: i64,
    #[prost(string, tag = "4")]
    model: String,
    #[prost(message, repeated, tag = "5")]
    choices: Vec<Choice>,
    #[prost(message, optional, tag = "6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[prost(string, optional, tag = "7")]
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<String>,
    #[prost(string, optional, tag = "8")]
    #[serde(skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<String>,
}

#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
struct Choice {
    #[prost(uint32, tag = "1")]
    index: u32,
    #[prost(message, required, tag = "2")]
    delta: Delta,
    #[prost(message, optional, tag = "3")]
    logprobs: Option<Logprobs>,
    #[prost(int32, tag = "4")]
    #[serde(default, deserialize_with = "read_finish_reason", serialize_with = "write_finish_reason")]
    finish_reason: i32,
}

#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
struct Delta {
    #[prost(int32, tag = "1")]
    #[serde(default, deserialize_with = "read_role", serialize_with = "write_role", skip_serializing_if = "is_zero")]
    role: i32,
    #[prost(string, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[prost(string, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[prost(string, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[prost(message, repeated, tag = "5")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCallDelta>,
}

#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
struct ToolCallDelta {
    #[prost(uint32, optional, tag = "1")]
    index: Option<u32>,
    #[prost(string, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[prost(string, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
}

#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
struct Logprobs {
    #[prost(double, repeated, tag = "1")]
    content: Vec<f64>,
}

#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
struct Usage {
    #[prost(uint32, tag = "1")]
    prompt_tokens: u32,
    #[prost(uint32, tag = "2")]
    completion_tokens: u32,
    #[prost(uint32, tag = "3")]
    total_tokens: u32,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}
