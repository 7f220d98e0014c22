//! The shapes of a request. Source:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::RawValue;

use crate::verbatim::Members;

/// What one side says until the other speaks.
#[derive(Debug, Serialize)]
pub(super) struct Turn {
    pub(super) role: &'static str,
    pub(super) content: Vec<Block>,
}

/// A piece of what is said: an object with one member, which names the kind.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block {
    Text(String),
    Image(Media),
    Audio(Media),
    Document(Media),
    ReasoningContent(Thought),
    ToolUse(ToolUse),
    ToolResult(ToolResult),
    CachePoint(CachePoint),
    /// What only the vendor knows.
    #[serde(untagged)]
    Own(Members),
}

/// An image, sound or a document.
#[derive(Debug)]
pub(super) struct Media {
    /// `png`, `mp3`, `pdf`.
    pub(super) format: String,
    /// What a document is called.
    pub(super) name: Option<String>,
    pub(super) source: Source,
    pub(super) members: Members,
}

/// Where the bytes are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Source {
    /// Here, in base64.
    Bytes(String),
    S3Location(S3Location),
}

#[derive(Debug, Serialize)]
pub(super) struct S3Location {
    pub(super) uri: String,
}

/// A thought that the model may see again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Thought {
    ReasoningText {
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// In base64, as it came.
    RedactedContent(String),
}

/// A call that the model made.
#[derive(Debug)]
pub(super) struct ToolUse {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) input: Box<RawValue>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct ToolResult {
    pub(super) id: String,
    pub(super) content: Vec<Block>,
    pub(super) status: Option<&'static str>,
    pub(super) members: Members,
}

/// Up to here the prompt is kept.
#[derive(Debug, Serialize)]
pub(super) struct CachePoint {
    pub(super) r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<String>,
}

impl Serialize for Media {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("format", &self.format)?;
        if let Some(name) = &self.name {
            object.serialize_entry("name", name)?;
        }
        object.serialize_entry("source", &self.source)?;
        self.members.write(&mut object)?;
        object.end()
    }
}

impl Serialize for ToolUse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(3))?;
        object.serialize_entry("toolUseId", &self.id)?;
        object.serialize_entry("name", &self.name)?;
        object.serialize_entry("input", &self.input)?;
        object.end()
    }
}

impl Serialize for ToolResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("toolUseId", &self.id)?;
        object.serialize_entry("content", &self.content)?;
        if let Some(status) = self.status {
            object.serialize_entry("status", status)?;
        }
        self.members.write(&mut object)?;
        object.end()
    }
}
