//! Answers that are given again to the same question.
//!
//! What is kept is the whole answer, however it came; it is given whole or as a stream, as the next caller wants it. While
//! somebody is asking a question, others with the same one wait for the answer instead of asking as well.

mod config;
mod control;
mod flight;
mod key;
mod record;
mod replay;
mod shared;
mod similar;

use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;
use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::{ChatCompletion, CreateChatCompletionRequest, FinishReason};
use sabir_providers::{OnUnsupported, Origin, UpstreamError};
use sabir_store::AnswerStore;

pub use self::config::{Config, Scope};
pub(crate) use self::control::Control;
use self::flight::{Flight, Flights, Join};
use self::key::Key;
pub(crate) use self::record::Recorder;
pub(crate) use self::replay::replay;
use self::shared::Shared;
use self::similar::{Near, Place, Similar, without_last_text};
use crate::auth::Principal;
use crate::upstream::{Plan, Target};

/// The header that says whether an answer was kept: `hit`, `similar` for one to a question much like it, or `miss`. An answer that nobody looked for has none.
pub(crate) const CACHE: &str = "sabir-cache";

/// The header that says how old a kept answer is, in seconds. Source: RFC 9111, section 5.1.
pub(crate) const AGE: &str = "age";

/// The header that says how much alike two questions are of which one answer serves both, as a cosine up to 1.
pub(crate) const SIMILARITY: &str = "sabir-cache-similarity";

/// An answer that is kept.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The answer.
    pub(crate) answer: ChatCompletion,
    /// Who gave it, as `provider/model`.
    pub(crate) model: String,
    /// When it was given.
    at: Instant,
}

impl Entry {
    /// How old it is.
    pub(crate) fn age(&self) -> Duration {
        self.at.elapsed()
    }
}

/// The answers that are kept. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kept: moka::sync::Cache<Key, Arc<Entry>>,
    flights: Flights,
    shared: Option<Shared>,
    similar: Option<Similar>,
    scope: Scope,
    ttl: Duration,
    longest: usize,
}

/// A question as it is looked for.
#[derive(Debug)]
pub(crate) struct Asked {
    key: Key,
    /// What is compared with others, if one like it will do.
    near: Option<Near>,
}

/// What became of looking for an answer.
#[derive(Debug)]
pub(crate) enum Found {
    /// It is there, or that to a question so much like it.
    Kept(Arc<Entry>, Option<f32>),
    /// It is not; who asks now may keep what comes of it.
    Missing(Lead),
}

/// The right to keep an answer, for which others may be waiting. Dropped without one, it lets the next of them ask.
#[derive(Debug)]
pub(crate) struct Lead {
    cache: Cache,
    key: Key,
    /// Where the question is remembered for those like it.
    place: Option<Place>,
    model: Option<String>,
    flight: Option<Flight>,
}

impl Cache {
    /// One of this kind; `None` if nothing is to be kept. Answers are shared through `store` if so configured, on the
    /// runtime this is called in, and questions compared by `comparer`, if there is one.
    pub(crate) fn new(config: &Config, store: Arc<dyn AnswerStore>, comparer: Option<Target>) -> Option<Self> {
        if !config.enabled {
            return None;
        }
        let weight = |_: &Key, entry: &Arc<Entry>| u32::try_from(entry.answer.encoded_len()).unwrap_or(u32::MAX);
        let kept = moka::sync::Cache::builder()
            .max_capacity(u64::try_from(config.memory).unwrap_or(u64::MAX))
            .weigher(weight)
            .time_to_live(config.ttl)
            .build();
        let inner = Inner {
            kept,
            flights: Flights::default(),
            shared: config.shared.then(|| Shared::start(store)),
            similar: comparer.map(|model| Similar::new(model, config.memory, config.ttl)),
            scope: config.scope,
            ttl: config.ttl,
            longest: config.longest,
        };
        Some(Self { inner: Arc::new(inner) })
    }

    /// Whether questions can be compared, if they are to be.
    ///
    /// # Errors
    /// What the model says that compares them.
    pub(crate) async fn check(&self) -> Result<(), UpstreamError> {
        match &self.inner.similar {
            Some(similar) => similar.check().await,
            None => Ok(()),
        }
    }

    /// A question as it is looked for: who asks what of whom.
    pub(crate) fn asked(
        &self,
        principal: &Principal,
        plan: &Plan,
        on_unsupported: OnUnsupported,
        origin: Origin,
        request: &mut CreateChatCompletionRequest,
    ) -> Asked {
        let key = |request: &mut _| Key::of(self.inner.scope, principal, plan, on_unsupported, origin, request);
        let near = plan.cache_similarity.filter(|_| self.inner.similar.is_some()).and_then(|least| {
            let (context, text) = without_last_text(request, key)?;
            Some(Near { context, text, least })
        });
        Asked { key: key(request), near }
    }

    /// Looks for the answer to a question, and waits for it if somebody is asking it already.
    pub(crate) async fn look_up(&self, asked: Asked, control: Control) -> Found {
        let Asked { key, near } = asked;
        let lead = |place, flight| Lead { cache: self.clone(), key, place, model: None, flight };
        // Who wants a new answer does not wait for somebody's who began before.
        if control.is_fresh_only() {
            return Found::Missing(lead(None, None));
        }
        let flight = loop {
            if let Some(entry) = self.kept(&key, control) {
                return Found::Kept(entry, None);
            }
            match self.inner.flights.join(key) {
                Join::Lead(flight) => break flight,
                Join::Wait(mut end) => {
                    // Whatever came of it: it is kept now, or the next one asks.
                    let _ = end.changed().await;
                }
            }
        };
        if let Some(shared) = &self.inner.shared
            && let Some(entry) = shared.get(&key).await
        {
            self.inner.kept.insert(key, Arc::new(entry));
            if let Some(entry) = self.kept(&key, control) {
                return Found::Kept(entry, None);
            }
        }
        let mut place = None;
        if let (Some(similar), Some(near)) = (&self.inner.similar, near)
            && let Some((alike, own)) = similar.find(&near).await
        {
            let found = alike.into_iter().find_map(|(key, cosine)| Some((self.kept(&key, control)?, cosine)));
            if let Some((entry, cosine)) = found {
                self.inner.kept.insert(key, Arc::clone(&entry));
                return Found::Kept(entry, Some(cosine));
            }
            place = Some(own);
        }
        Found::Missing(lead(place, Some(flight)))
    }

    fn kept(&self, key: &Key, control: Control) -> Option<Arc<Entry>> {
        // An answer may be older here than its place: it came from the store, or from a question like this one.
        self.inner.kept.get(key).filter(|entry| entry.age() < self.inner.ttl && control.takes(entry.age()))
    }
}

impl Lead {
    /// Notes who gives the answer, as `provider/model`.
    pub(crate) fn given_by(&mut self, model: String) {
        self.model = Some(model);
    }

    /// The longest answer that is kept, in bytes of its wire form.
    pub(super) fn longest(&self) -> usize {
        self.cache.inner.longest
    }

    /// Keeps an answer, if it is one that may be given again, and tells those who wait for it.
    pub(crate) fn keep(self, answer: &ChatCompletion) {
        let Some(model) = self.model else { return };
        if is_good(answer) && answer.encoded_len() <= self.cache.inner.longest {
            let entry = Entry { answer: answer.clone(), model, at: Instant::now() };
            let Inner { kept, shared, similar, ttl, .. } = &*self.cache.inner;
            if let Some(shared) = shared {
                shared.put(&self.key, &entry, *ttl);
            }
            kept.insert(self.key, Arc::new(entry));
            if let (Some(similar), Some(place)) = (similar, self.place) {
                similar.remember(place, self.key);
            }
        }
        drop(self.flight);
    }
}

/// Whether the model finished what it had to say. What was filtered or broken off is asked for anew.
fn is_good(answer: &ChatCompletion) -> bool {
    let finished = |choice: &Choice| {
        use FinishReason::{FunctionCall, Length, Stop, ToolCalls};
        matches!(choice.finish_reason(), Stop | Length | ToolCalls | FunctionCall)
            && choice.message.as_ref().is_some_and(|message| message.audio.is_none())
    };
    !answer.choices.is_empty() && answer.choices.iter().all(finished)
}

#[cfg(test)]
mod tests;
