//! The local model behind the same trait as every other model.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::StreamExt;
use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{
    engine::{Engine, Facts, Generation, LocalOptions},
    error::{GenerateError, LoadError},
    request::{leave_out_the_impossible, translate},
    response::{Stamp, collect, cut},
    stream::chunks,
};
use crate::unsupported::Unsupported;
use crate::{
    ChatCall, ChatFuture, ChunkStream, Dropped, EmbedCall, ModelInfo, Reply, Upstream, UpstreamError, UpstreamErrorKind,
};

/// Below this, a model is good for demonstrations and little else.
const DEMO_GRADE: u64 = 1_000_000_000;

/// How long a caller should wait when the queue is full: about as long as a short answer takes.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// A model in this process. Cheap to clone; the last clone takes the model with it.
#[derive(Clone)]
pub struct LocalModel {
    engine: Arc<Engine>,
}

impl LocalModel {
    /// Reads the model. Blocks for about a second: call it before the runtime starts, or from `spawn_blocking`.
    ///
    /// # Errors
    /// If the file cannot be read, is not GGUF, or is a model that this engine would run wrongly.
    pub fn open(options: LocalOptions) -> Result<Self, LoadError> {
        Ok(Self { engine: Arc::new(Engine::open(options)?) })
    }

    /// What there is to know of the model.
    pub fn facts(&self) -> &Facts {
        self.engine.facts()
    }

    /// What `/v1/models` says of the model.
    pub fn info(&self) -> ModelInfo {
        let Facts { name, title, parameters, quantisation, context_length, .. } = self.facts();
        let grade = if *parameters < DEMO_GRADE {
            "Demo-grade local model: fluent and often wrong, there to try everything out without a key"
        } else {
            "Local model"
        };
        let millions = parameters / 1_000_000;
        ModelInfo {
            id: name.clone(),
            owned_by: Some("local".to_owned()),
            description: Some(format!(
                "{grade}. {title}: {millions} million parameters ({quantisation}), {context_length} tokens of context, \
                 text only, no tools."
            )),
            ..ModelInfo::default()
        }
    }

    /// Checks the request and queues it, off the runtime's threads: tokens and grammars take milliseconds to compute.
    async fn start(self, call: ChatCall) -> Result<Started, UpstreamError> {
        let facts = self.facts();
        if call.model != facts.name {
            let message = format!("the local model is called `{}`, not `{}`", facts.name, call.model);
            return Err(UpstreamError::new(UpstreamErrorKind::NotFound, message).with_code("model_not_found"));
        }
        let stamp = Stamp {
            id: format!("chatcmpl-{}", Uuid::now_v7().simple()),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs() as i64),
            model: call.model,
            system_fingerprint: format!("fp_{:016x}_{}", facts.fingerprint, facts.quantisation.to_lowercase()),
        };
        let mut unsupported = Unsupported::new(call.on_unsupported, "the local model");
        leave_out_the_impossible(&call.request, &mut unsupported)?;
        let (request, deadline, engine) = (call.request, call.deadline, self.engine);
        let admit = move || engine.generate(translate(&request, engine.vocabulary_size(), deadline)?);
        let generation = spawn_blocking(admit).await.map_err(|error| GenerateError::Internal(error.to_string()))??;
        Ok(Started { stamp, generation, dropped: unsupported.into_dropped() })
    }
}

/// An answer that is being made.
struct Started {
    stamp: Stamp,
    generation: Generation,
    /// What the model was not told of.
    dropped: Dropped,
}

impl Upstream for LocalModel {
    fn chat(&self, call: ChatCall) -> ChatFuture<Reply<ChatCompletion>> {
        let model = self.clone();
        Box::pin(async move {
            let Started { stamp, generation, dropped } = model.start(call).await?;
            Ok(Reply { body: collect(stamp, generation).await?, dropped })
        })
    }

    fn stream_chat(&self, call: ChatCall) -> ChatFuture<Reply<ChunkStream>> {
        let model = self.clone();
        Box::pin(async move {
            let Started { stamp, mut generation, dropped } = model.start(call).await?;
            let first = generation.next().await.unwrap_or_else(|| Err(cut()))?;
            let stream: ChunkStream = Box::pin(chunks(stamp, first, generation).map(|chunk| Ok(chunk?)));
            Ok(Reply { body: stream, dropped })
        })
    }

    fn embed(&self, _: EmbedCall) -> ChatFuture<Reply<CreateEmbeddingResponse>> {
        let error = UpstreamError::new(UpstreamErrorKind::InvalidRequest, "this model answers; it does not embed");
        Box::pin(std::future::ready(Err(error.with_param("model").with_code("model_not_supported"))))
    }

    fn models(&self) -> ChatFuture<Vec<ModelInfo>> {
        let info = self.info();
        Box::pin(async move { Ok(vec![info]) })
    }
}

impl From<GenerateError> for UpstreamError {
    fn from(error: GenerateError) -> Self {
        let message = error.to_string();
        match error {
            GenerateError::InvalidRequest { param, .. } => {
                Self::new(UpstreamErrorKind::InvalidRequest, message).with_param(param)
            }
            GenerateError::ContextLength { .. } => Self::new(UpstreamErrorKind::ContextLength, message)
                .with_param("messages")
                .with_code("context_length_exceeded"),
            GenerateError::Overloaded { .. } => {
                Self { retry_after: Some(RETRY_AFTER), ..Self::new(UpstreamErrorKind::Overloaded, message) }
            }
            GenerateError::DeadlineExceeded => Self::new(UpstreamErrorKind::Timeout, message),
            GenerateError::ShutDown => Self::new(UpstreamErrorKind::Unavailable, message),
            GenerateError::Internal(_) => Self::new(UpstreamErrorKind::Internal, message),
        }
    }
}

#[cfg(test)]
mod tests;
