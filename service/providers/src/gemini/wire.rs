//! What the server is sent. Source: <https://ai.google.dev/api/caching#Content>.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::verbatim::Members;

/// A chat request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) contents: Vec<Content>,
    pub(super) system: Option<Content>,
    pub(super) tools: Vec<Tool>,
    pub(super) tool_config: Members,
    pub(super) generation_config: Members,
    pub(super) service_tier: Option<&'static str>,
    /// The vendor's own members.
    pub(super) members: Members,
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("contents", &self.contents)?;
        if let Some(system) = &self.system {
            object.serialize_entry("systemInstruction", system)?;
        }
        if !self.tools.is_empty() {
            object.serialize_entry("tools", &self.tools)?;
        }
        for (name, config) in [("toolConfig", &self.tool_config), ("generationConfig", &self.generation_config)] {
            if !config.is_empty() {
                object.serialize_entry(name, config)?;
            }
        }
        if let Some(tier) = self.service_tier {
            object.serialize_entry("serviceTier", tier)?;
        }
        self.members.write(&mut object)?;
        object.end()
    }
}

/// What one side says until the other speaks.
#[derive(Debug, Serialize)]
pub(super) struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    pub(super) parts: Vec<Part>,
}

/// A piece of content.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) thought: bool,
    pub(super) signature: Option<String>,
    /// The vendor's own members.
    pub(super) members: Members,
}

/// What a piece of content is.
#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    Inline(Blob),
    File(File),
    Call(Call),
    Result(CallResult),
    /// A kind of the vendor's own, which is all in the members.
    Own,
}

impl Part {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, thought: false, signature: None, members: Members::default() }
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::new(Kind::Text(text.into()))
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        match &self.kind {
            Kind::Text(text) => object.serialize_entry("text", text)?,
            Kind::Inline(blob) => object.serialize_entry("inlineData", blob)?,
            Kind::File(file) => object.serialize_entry("fileData", file)?,
            Kind::Call(call) => object.serialize_entry("functionCall", call)?,
            Kind::Result(result) => object.serialize_entry("functionResponse", result)?,
            Kind::Own => {}
        }
        if self.thought {
            object.serialize_entry("thought", &true)?;
        }
        if let Some(signature) = &self.signature {
            object.serialize_entry("thoughtSignature", signature)?;
        }
        self.members.write(&mut object)?;
        object.end()
    }
}

/// Bytes, in base64.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) mime_type: String,
    pub(super) data: String,
    pub(super) members: Members,
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("mimeType", &self.mime_type)?;
        object.serialize_entry("data", &self.data)?;
        self.members.write(&mut object)?;
        object.end()
    }
}

/// Bytes that the server fetches itself.
#[derive(Debug)]
pub(super) struct File {
    pub(super) mime_type: Option<&'static str>,
    pub(super) uri: String,
    pub(super) members: Members,
}

impl Serialize for File {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        if let Some(mime_type) = self.mime_type {
            object.serialize_entry("mimeType", mime_type)?;
        }
        object.serialize_entry("fileUri", &self.uri)?;
        self.members.write(&mut object)?;
        object.end()
    }
}

/// A call that the model made.
#[derive(Debug, Serialize)]
pub(super) struct Call {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) args: Box<RawValue>,
}

/// What came of a call.
#[derive(Debug, Serialize)]
pub(super) struct CallResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) response: Box<RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Part>,
}

/// What the model may use.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Tool {
    #[serde(rename_all = "camelCase")]
    Functions { function_declarations: Vec<Function> },
    #[serde(rename_all = "camelCase")]
    Search { google_search: Empty },
    /// A tool of the vendor's own.
    Own(Members),
}

/// An object that says all by being there.
#[derive(Debug, Serialize)]
pub(super) struct Empty {}

/// A function that the model may call.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) schema: Option<Box<RawValue>>,
    pub(super) members: Members,
}

impl Serialize for Function {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("name", &self.name)?;
        if let Some(description) = &self.description {
            object.serialize_entry("description", description)?;
        }
        if let Some(schema) = &self.schema {
            object.serialize_entry("parametersJsonSchema", schema)?;
        }
        self.members.write(&mut object)?;
        object.end()
    }
}

/// Whether and which functions are called.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig {
    pub(super) function_calling_config: FunctionCalling,
}

/// Whether and which functions are called.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionCalling {
    pub(super) mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) allowed_function_names: Option<Vec<String>>,
}
