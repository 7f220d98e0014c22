//! The shapes of a request's messages. Source: <https://docs.cohere.com/v2/reference/chat>.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::verbatim::Members;

/// A message.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) role: &'static str,
    pub(super) content: Vec<Block>,
    pub(super) tool_calls: Vec<Called>,
    pub(super) tool_call_id: Option<String>,
    pub(super) members: Members,
}

impl Message {
    /// Goes on with what another message says.
    pub(super) fn append(&mut self, other: Self) {
        self.content.extend(other.content);
        for (name, value) in other.members {
            if !self.members.contains(&name) {
                self.members.push(name, value);
            }
        }
    }
}

/// A piece of a message.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) members: Members,
}

#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    Thinking(String),
    Image(Picture),
    /// What only the vendor knows.
    Own,
}

#[derive(Debug, Serialize)]
pub(super) struct Picture {
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

/// A call that the model made.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) id: String,
    pub(super) function: Function,
}

#[derive(Debug, Serialize)]
pub(super) struct Function {
    pub(super) name: String,
    /// As JSON text.
    pub(super) arguments: String,
}

impl From<Kind> for Block {
    fn from(kind: Kind) -> Self {
        Self { kind, members: Members::default() }
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("role", self.role)?;
        if let Some(id) = &self.tool_call_id {
            object.serialize_entry("tool_call_id", id)?;
        }
        match self.content.as_slice() {
            // Calls may stand without words, nothing else may.
            [] if !self.tool_calls.is_empty() => {}
            [] => object.serialize_entry("content", "")?,
            [Block { kind: Kind::Text(text), members }] if members.is_empty() => {
                object.serialize_entry("content", text)?;
            }
            blocks => object.serialize_entry("content", blocks)?,
        }
        if !self.tool_calls.is_empty() {
            object.serialize_entry("tool_calls", &self.tool_calls)?;
        }
        self.members.write(&mut object)?;
        object.end()
    }
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        match &self.kind {
            Kind::Text(text) => {
                object.serialize_entry("type", "text")?;
                object.serialize_entry("text", text)?;
            }
            Kind::Thinking(text) => {
                object.serialize_entry("type", "thinking")?;
                object.serialize_entry("thinking", text)?;
            }
            Kind::Image(image) => {
                object.serialize_entry("type", "image_url")?;
                object.serialize_entry("image_url", image)?;
            }
            Kind::Own => {}
        }
        self.members.write(&mut object)?;
        object.end()
    }
}

impl Serialize for Called {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(3))?;
        object.serialize_entry("id", &self.id)?;
        object.serialize_entry("type", "function")?;
        object.serialize_entry("function", &self.function)?;
        object.end()
    }
}
