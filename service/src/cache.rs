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

use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;
use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::{ChatCompletion, FinishReason};

pub use self::config::{Config, Scope};
pub(crate) use self::control::Control;
use self::flight::{Flight, Flights, Join};
pub(crate) use self::key::Key;
pub(crate) use self::record::Recorder;
pub(crate) use self::replay::replay;

/// The header that says whether an answer was kept: `hit` or `miss`. An answer that nobody looked for has none.
pub(crate) const CACHE: &str = "sabir-cache";

/// The header that says how old a kept answer is, in seconds. Source: RFC 9111, section 5.1.
pub(crate) const AGE: &str = "age";

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
    scope: Scope,
    longest: usize,
}

/// What became of looking for an answer.
#[derive(Debug)]
pub(crate) enum Found {
    /// It is there.
    Kept(Arc<Entry>),
    /// It is not; who asks now may keep what comes of it.
    Missing(Lead),
}

/// The right to keep an answer, for which others may be waiting. Dropped without one, it lets the next of them ask.
#[derive(Debug)]
pub(crate) struct Lead {
    cache: Cache,
    key: Key,
    model: Option<String>,
    flight: Option<Flight>,
}

impl Cache {
    /// One of this kind; `None` if nothing is to be kept.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        let weight = |_: &Key, entry: &Arc<Entry>| u32::try_from(entry.answer.encoded_len()).unwrap_or(u32::MAX);
        let kept = moka::sync::Cache::builder()
            .max_capacity(u64::try_from(config.memory).unwrap_or(u64::MAX))
            .weigher(weight)
            .time_to_live(config.ttl)
            .build();
        let inner = Inner { kept, flights: Flights::default(), scope: config.scope, longest: config.longest };
        config.enabled.then(|| Self { inner: Arc::new(inner) })
    }

    /// Among whom answers are shared.
    pub(crate) fn scope(&self) -> Scope {
        self.inner.scope
    }

    /// Looks for the answer to a question, and waits for it if somebody is asking it already.
    pub(crate) async fn look_up(&self, key: Key, control: Control) -> Found {
        loop {
            let kept = self.inner.kept.get(&key).filter(|entry| control.takes(entry.age()));
            if let Some(entry) = kept {
                return Found::Kept(entry);
            }
            let lead = |flight| Lead { cache: self.clone(), key, model: None, flight };
            // Who wants a new answer does not wait for somebody's who began before.
            if control.is_fresh_only() {
                return Found::Missing(lead(None));
            }
            match self.inner.flights.join(key) {
                Join::Lead(flight) => return Found::Missing(lead(Some(flight))),
                Join::Wait(mut end) => {
                    // Whatever came of it: it is kept now, or the next one asks.
                    let _ = end.changed().await;
                }
            }
        }
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
            self.cache.inner.kept.insert(self.key, Arc::new(entry));
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
