//! Schemas of answers for models that cannot be given one: said as a tool that has to be called, or as an instruction.
//!
//! It stands around any upstream and speaks only our own words. Whether an answer follows its schema is not decided here.

mod answer;
mod question;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::StreamExt as _;
use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};
use serde::Deserialize;

use self::answer::{Called, complete};
use self::question::put;
use crate::upstream::{ChatCall, ChatFuture, ChunkStream, EmbedCall, ModelInfo, Reply, Upstream};

/// How the models of a provider are told which schema their answer has to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schemas {
    /// In the protocol's own words.
    #[default]
    Native,
    /// As a tool that has to be called, whose arguments are the answer. A call that has tools of its own, and a schema of
    /// something else than an object, are put as an instruction.
    Tool,
    /// As an instruction, beside `response_format: json_object`.
    JsonObject,
    /// As an instruction alone.
    Instruction,
}

/// An upstream whose models are told of schemas in other words than its protocol's.
struct Reworded {
    upstream: Arc<dyn Upstream>,
    schemas: Schemas,
}

impl Schemas {
    /// The upstream with its models told in this way.
    pub fn around(self, upstream: Arc<dyn Upstream>) -> Arc<dyn Upstream> {
        match self {
            Self::Native => upstream,
            _ => Arc::new(Reworded { upstream, schemas: self }),
        }
    }
}

impl Upstream for Reworded {
    fn chat(&self, mut call: ChatCall) -> ChatFuture<Reply<ChatCompletion>> {
        let tool = put(&mut call.request, self.schemas);
        let answer = self.upstream.chat(call);
        match tool {
            None => answer,
            Some(tool) => Box::pin(async move {
                let mut reply = answer.await?;
                complete(&mut reply.body, &tool);
                Ok(reply)
            }),
        }
    }

    fn stream_chat(&self, mut call: ChatCall) -> ChatFuture<Reply<ChunkStream>> {
        let tool = put(&mut call.request, self.schemas);
        let answer = self.upstream.stream_chat(call);
        match tool {
            None => answer,
            Some(tool) => Box::pin(async move {
                let Reply { body, dropped } = answer.await?;
                let mut called = Called::new(tool);
                let chunks = body.map(move |item| item.map(|chunk| called.chunk(chunk)));
                Ok(Reply { body: Box::pin(chunks) as ChunkStream, dropped })
            }),
        }
    }

    fn embed(&self, call: EmbedCall) -> ChatFuture<Reply<CreateEmbeddingResponse>> {
        self.upstream.embed(call)
    }

    fn models(&self) -> ChatFuture<Vec<ModelInfo>> {
        self.upstream.models()
    }
}
