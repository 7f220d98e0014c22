//! The models in the process behind one name: one that answers, one that turns texts into vectors, or both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sabir_proto::v1::embedding::Embedding as Written;
use sabir_proto::v1::embedding_input::Input;
use sabir_proto::v1::{
    ChatCompletion, CreateEmbeddingRequest, CreateEmbeddingResponse, Embedding, EmbeddingInput, EmbeddingUsage, Vector,
};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::embedder::{EmbedError, Embedded, Embedder};
use super::upstream::LocalModel;
use crate::unsupported::{Unsupported, foreign_members};
use crate::vectors::write_base64;
use crate::{
    ChatCall, ChatFuture, ChunkStream, EmbedCall, ModelInfo, Reply, Upstream, UpstreamError, UpstreamErrorKind,
};

/// How many calls for vectors may wait while one is being answered.
const QUEUE: usize = 64;

/// How long a caller should wait when the queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The models in this process. Cheap to clone.
#[derive(Clone)]
pub struct LocalModels {
    chat: Option<LocalModel>,
    embedder: Option<Arc<Embedder>>,
    /// One at a time computes: the arithmetic uses every core by itself.
    turn: Arc<Semaphore>,
    /// Those who compute or wait.
    places: Arc<Semaphore>,
}

impl LocalModels {
    /// These models.
    pub fn new(chat: Option<LocalModel>, embedder: Option<Embedder>) -> Self {
        Self {
            chat,
            embedder: embedder.map(Arc::new),
            turn: Arc::new(Semaphore::new(1)),
            places: Arc::new(Semaphore::new(QUEUE + 1)),
        }
    }

    async fn vectors(self, call: EmbedCall) -> Result<Reply<CreateEmbeddingResponse>, UpstreamError> {
        let embedder = self.embedder.clone().filter(|embedder| embedder.name() == call.model);
        let Some(embedder) = embedder else { return Err(self.cannot(&call.model, "turn texts into vectors")) };
        let mut unsupported = Unsupported::new(call.on_unsupported, "the local model");
        let CreateEmbeddingRequest { model: _, input, encoding_format, dimensions, user: _, additional_members } =
            *call.request;
        let own = i32::try_from(embedder.dimensions()).ok();
        unsupported.unless(dimensions.is_none() || dimensions == own, "dimensions")?;
        for (name, _) in foreign_members(additional_members) {
            unsupported.unless(false, name)?;
        }
        let mut texts = Vec::with_capacity(input.len());
        for (index, EmbeddingInput { input }) in input.into_iter().enumerate() {
            let Some(Input::Text(text)) = input else {
                let message = "the local model reads texts, not tokens";
                let error = UpstreamError::new(UpstreamErrorKind::InvalidRequest, message);
                return Err(error.with_param(format!("input[{index}]")));
            };
            texts.push(text);
        }
        let Embedded { vectors, tokens } = self.compute(embedder, texts, call.deadline).await?;
        let data = vectors.into_iter().zip(0..).map(|(values, index)| Embedding {
            object: "embedding".to_owned(),
            index,
            embedding: Some(Written::Vector(Vector { values })),
            ..Embedding::default()
        });
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let mut body = CreateEmbeddingResponse {
            object: "list".to_owned(),
            data: data.collect(),
            model: call.model,
            usage: Some(EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens, ..EmbeddingUsage::default() }),
            ..CreateEmbeddingResponse::default()
        };
        if encoding_format.as_deref() == Some("base64") {
            write_base64(&mut body);
        }
        Ok(Reply { body, dropped: unsupported.into_dropped() })
    }

    /// Waits for its turn, off the runtime's threads for as long as it computes.
    async fn compute(
        &self,
        embedder: Arc<Embedder>,
        texts: Vec<String>,
        deadline: Option<Instant>,
    ) -> Result<Embedded, UpstreamError> {
        let internal = |error: String| UpstreamError::new(UpstreamErrorKind::Internal, error);
        let Ok(_place) = self.places.try_acquire() else {
            let message = "too many texts are waiting for the local model";
            let error = UpstreamError::new(UpstreamErrorKind::Overloaded, message);
            return Err(UpstreamError { retry_after: Some(RETRY_AFTER), ..error });
        };
        let turn = Arc::clone(&self.turn).acquire_owned();
        let turn = match deadline {
            None => turn.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), turn).await {
                Ok(turn) => turn,
                Err(_) => return Err(UpstreamError::new(UpstreamErrorKind::Timeout, "the deadline passed")),
            },
        };
        let turn = turn.map_err(|error| internal(error.to_string()))?;
        let computed = spawn_blocking(move || {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let embedded = embedder.embed(&texts);
            drop(turn);
            embedded
        });
        computed.await.map_err(|error| internal(error.to_string()))?.map_err(UpstreamError::from)
    }

    /// The error of a model that is not there, or cannot do this.
    fn cannot(&self, model: &str, what: &str) -> UpstreamError {
        let is_there = self.infos().iter().any(|info| info.id == model);
        if is_there {
            let error = UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("this model does not {what}"));
            return error.with_param("model").with_code("model_not_supported");
        }
        let message = format!("there is no local model `{model}` that could {what}");
        UpstreamError::new(UpstreamErrorKind::NotFound, message).with_code("model_not_found")
    }

    fn infos(&self) -> Vec<ModelInfo> {
        let vectors = self.embedder.as_ref().map(|embedder| ModelInfo {
            id: embedder.name().to_owned(),
            owned_by: Some("local".to_owned()),
            description: Some(format!(
                "Local model for embeddings: {} numbers a text, {} tokens at most.",
                embedder.dimensions(),
                embedder.limit()
            )),
            ..ModelInfo::default()
        });
        self.chat.as_ref().map(LocalModel::info).into_iter().chain(vectors).collect()
    }
}

impl Upstream for LocalModels {
    fn chat(&self, call: ChatCall) -> ChatFuture<Reply<ChatCompletion>> {
        match self.answering(&call.model) {
            Ok(chat) => chat.chat(call),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn stream_chat(&self, call: ChatCall) -> ChatFuture<Reply<ChunkStream>> {
        match self.answering(&call.model) {
            Ok(chat) => chat.stream_chat(call),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn embed(&self, call: EmbedCall) -> ChatFuture<Reply<CreateEmbeddingResponse>> {
        Box::pin(self.clone().vectors(call))
    }

    fn models(&self) -> ChatFuture<Vec<ModelInfo>> {
        Box::pin(std::future::ready(Ok(self.infos())))
    }
}

impl LocalModels {
    /// The model that answers, unless another one is asked for.
    fn answering(&self, model: &str) -> Result<&LocalModel, UpstreamError> {
        let embeds = self.embedder.as_ref().is_some_and(|embedder| embedder.name() == model);
        self.chat.as_ref().filter(|_| !embeds).ok_or_else(|| self.cannot(model, "answer"))
    }
}

impl From<EmbedError> for UpstreamError {
    fn from(error: EmbedError) -> Self {
        let message = error.to_string();
        match error {
            EmbedError::TooLong { index, .. } => Self::new(UpstreamErrorKind::ContextLength, message)
                .with_param(format!("input[{index}]"))
                .with_code("context_length_exceeded"),
            EmbedError::Internal(_) => Self::new(UpstreamErrorKind::Internal, message),
        }
    }
}
