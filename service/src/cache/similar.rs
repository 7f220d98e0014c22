//! Questions that mean the same in other words.
//!
//! Two questions are compared by the vectors of their last text; everything else about them (who asks, which models,
//! parameters, tools, all that was said before) must be equal to the byte, and so must the numbers in the text: a model of
//! meaning takes "2 apples" and "3 apples" for nearly the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::embedding::Embedding;
use sabir_proto::v1::embedding_input::Input;
use sabir_proto::v1::{CreateChatCompletionRequest, CreateEmbeddingRequest, EmbeddingInput, Role};
use sabir_providers::{EmbedCall, OnUnsupported, UpstreamError};

use super::key::Key;
use crate::upstream::Target;

/// The most questions that are remembered of one conversation up to its last text; the oldest is forgotten first.
const MOST: usize = 512;

/// Longer texts are not compared: what is typical of them is not in one vector. In bytes.
const LONGEST: usize = 2_000;

/// How long the model may take for a vector.
const PATIENCE: Duration = Duration::from_secs(2);

/// The questions that were answered, and a model that compares them.
pub(super) struct Similar {
    model: Target,
    /// By what precedes their last text.
    questions: moka::sync::Cache<Key, Arc<[Question]>>,
}

/// A question that was answered.
#[derive(Clone, Debug)]
struct Question {
    vector: Arc<[f32]>,
    numbers: Arc<str>,
    key: Key,
}

/// What is compared of a question.
#[derive(Clone, Debug)]
pub(super) struct Near {
    /// Everything but its last text.
    pub(super) context: Key,
    /// The last text.
    pub(super) text: String,
    /// How much alike another one must be, as the cosine of the two vectors.
    pub(super) least: f64,
}

/// A question that can be compared and remembered.
#[derive(Debug)]
pub(super) struct Place {
    context: Key,
    vector: Arc<[f32]>,
    numbers: Arc<str>,
}

impl Similar {
    /// Compares by this model; remembers as much as `memory` bytes hold for as long as answers live.
    pub(super) fn new(model: Target, memory: usize, ttl: Duration) -> Self {
        let weight = |_: &Key, questions: &Arc<[Question]>| {
            let bytes: usize = questions.iter().map(|question| size_of::<Question>() + question.vector.len() * 4).sum();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let questions = moka::sync::Cache::builder()
            .max_capacity(u64::try_from(memory).unwrap_or(u64::MAX))
            .weigher(weight)
            .time_to_live(ttl)
            .build();
        Self { model, questions }
    }

    /// Whether the model can compare at all.
    ///
    /// # Errors
    /// What the model says.
    pub(super) async fn check(&self) -> Result<(), UpstreamError> {
        self.vector("Hello.").await.map(drop)
    }

    /// The questions like this one, the most similar first, with how much they are alike; and where this one belongs.
    /// `None` if it cannot be compared.
    pub(super) async fn find(&self, near: &Near) -> Option<(Vec<(Key, f32)>, Place)> {
        let vector = match self.vector(&near.text).await {
            Ok(vector) => vector,
            Err(error) => {
                tracing::debug!(kind = error.kind.as_str(), "a question cannot be compared with others");
                return None;
            }
        };
        let place = Place { context: near.context, vector, numbers: numbers(&near.text).into() };
        let known = self.questions.get(&near.context).unwrap_or_default();
        let alike = known.iter().filter(|question| question.numbers == place.numbers);
        let alike = alike.map(|question| (question.key, dot(&question.vector, &place.vector)));
        let mut alike: Vec<_> = alike.filter(|(_, cosine)| f64::from(*cosine) >= near.least).collect();
        alike.sort_by(|one, other| other.1.total_cmp(&one.1));
        Some((alike, place))
    }

    /// Remembers a question whose answer is kept under `key`.
    pub(super) fn remember(&self, place: Place, key: Key) {
        let Place { context, vector, numbers } = place;
        let question = Question { vector, numbers, key };
        self.questions.entry(context).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value).unwrap_or_default();
            let others = known.iter().filter(|other| other.key != key);
            let others: Vec<_> = others.cloned().collect();
            let forgotten = (others.len() + 1).saturating_sub(MOST);
            others.into_iter().skip(forgotten).chain([question]).collect()
        });
    }

    /// The direction of a text: a vector of length 1.
    async fn vector(&self, text: &str) -> Result<Arc<[f32]>, UpstreamError> {
        let request = CreateEmbeddingRequest {
            input: vec![EmbeddingInput { input: Some(Input::Text(text.to_owned())) }],
            ..CreateEmbeddingRequest::default()
        };
        let call = EmbedCall {
            model: self.model.model.clone(),
            request: Box::new(request),
            deadline: Some(Instant::now() + PATIENCE),
            on_unsupported: OnUnsupported::Refuse,
            trace: None,
        };
        let reply = self.model.upstream.embed(call).await?;
        let first = reply.body.data.into_iter().next().and_then(|data| data.embedding);
        let Some(Embedding::Vector(vector)) = first else {
            let message = "the model for vectors gave none";
            return Err(UpstreamError::new(sabir_providers::UpstreamErrorKind::Protocol, message));
        };
        let length = dot(&vector.values, &vector.values).sqrt().max(f32::MIN_POSITIVE);
        Ok(vector.values.iter().map(|value| value / length).collect())
    }
}

impl std::fmt::Debug for Similar {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Similar").field("model", &self.model).finish_non_exhaustive()
    }
}

/// Takes the last text out of a question, if it is one that can be compared, while `rest` looks at what is left of it.
pub(super) fn without_last_text<T>(
    request: &mut CreateChatCompletionRequest,
    rest: impl FnOnce(&mut CreateChatCompletionRequest) -> T,
) -> Option<(T, String)> {
    let last = request.messages.last_mut()?;
    let text = match &mut last.content {
        Some(Content::Text(text)) if last.role == i32::from(Role::User) && text.len() <= LONGEST => {
            std::mem::take(text)
        }
        _ => return None,
    };
    let result = rest(request);
    if let Some(last) = request.messages.last_mut() {
        last.content = Some(Content::Text(text.clone()));
    }
    Some((result, text))
}

/// The numbers in a text, in their order.
fn numbers(text: &str) -> String {
    let runs = text.split(|character: char| !character.is_numeric()).filter(|run| !run.is_empty());
    runs.collect::<Vec<_>>().join(" ")
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_they_stand() {
        assert_eq!(numbers("Is 12.5 % of 80 more than ٣?"), "12 5 80 ٣");
        assert_eq!(numbers("no numbers"), "");
    }
}
