//! Which models each provider lists, fetched in the background and remembered for a while.
//!
//! A list is never fetched on anybody's time: who asks gets what is known. Only right after the start, before any
//! provider had time to answer, a short wait beats an empty list.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use sabir_proto::v1::Model;
use sabir_providers::ModelInfo;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::Provider;

use crate::telemetry::event;

/// How long a list is fresh.
const FRESH: Duration = Duration::from_secs(300);

/// How soon a provider that failed is asked again.
const RETRY: Duration = Duration::from_secs(30);

/// How long a provider may take to list its models.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long after its first fetch has begun callers wait for a provider that has not been heard of yet.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// One provider's list.
#[derive(Debug)]
pub(super) struct Listing {
    state: watch::Sender<State>,
    first_asked: OnceLock<Instant>,
    fetching: AtomicBool,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// The last list that came; kept when a later fetch fails.
    models: Option<Arc<[ModelInfo]>>,
    /// When to fetch again; `None` before the first fetch has ended.
    stale_at: Option<Instant>,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            first_asked: OnceLock::new(),
            fetching: AtomicBool::new(false),
        }
    }
}

impl Listing {
    /// The models, if the provider ever listed them.
    pub(super) fn models(&self) -> Option<Arc<[ModelInfo]>> {
        self.state.borrow().models.clone()
    }

    fn is_stale(&self) -> bool {
        self.state.borrow().stale_at.is_none_or(|stale_at| stale_at <= Instant::now())
    }

    /// Until when callers wait for the first fetch to end.
    fn patience(&self) -> Instant {
        *self.first_asked.get_or_init(Instant::now) + FIRST_WAIT
    }

    /// Resolves when the first fetch has ended, well or not.
    async fn settled(&self) {
        let mut state = self.state.subscribe();
        // The sender is `self`, so that waiting cannot fail.
        let _ = state.wait_for(|state| state.stale_at.is_some()).await;
    }
}

impl Provider {
    /// The models of this provider as callers see them.
    pub(super) fn entries(&self) -> Vec<Model> {
        let models = self.listing.models().unwrap_or_default();
        models.iter().map(|listed| self.entry(&format!("{}/{}", self.name, listed.id), Some(listed))).collect()
    }

    /// One model as callers see it, under this name.
    pub(super) fn entry(&self, id: &str, listed: Option<&ModelInfo>) -> Model {
        let listed = listed.cloned().unwrap_or_default();
        Model {
            id: id.to_owned(),
            object: "model".to_owned(),
            created: listed.created.unwrap_or(0),
            owned_by: listed.owned_by.unwrap_or_else(|| self.name.to_string()),
            description: listed.description,
            ..Model::default()
        }
    }

    /// Fetches the list now and logs what changed.
    async fn fetch(&self) {
        let before = self.listing.models();
        let outcome = timeout(FETCH_TIMEOUT, self.upstream.models()).await;
        let (models, next) = match outcome {
            Ok(Ok(models)) => (Some(Arc::from(models)), FRESH),
            Ok(Err(error)) => {
                tracing::warn!(
                    event = event::MODELS_UNLISTED, provider = %self.name, %error,
                    "the provider does not list its models"
                );
                (None, RETRY)
            }
            Err(_) => {
                tracing::warn!(
                    event = event::MODELS_UNLISTED, provider = %self.name, limit = ?FETCH_TIMEOUT,
                    "the provider does not list its models in time"
                );
                (None, RETRY)
            }
        };
        if let Some(models) = models.as_ref().filter(|models| before.as_ref() != Some(models)) {
            let names: &Arc<[ModelInfo]> = models;
            let first: Vec<String> = names.iter().take(3).map(|model| format!("{}/{}", self.name, model.id)).collect();
            tracing::info!(
                event = event::MODELS_FOUND,
                provider = %self.name, from = %self.origin, count = names.len(), first = first.join(", "),
                "models found"
            );
        }
        self.listing.state.send_modify(|state| {
            state.models = models.or_else(|| state.models.take());
            state.stale_at = Some(Instant::now() + next);
        });
    }
}

/// Fetches every list in the background, unless that is under way.
pub(super) fn refresh_all(providers: &[Arc<Provider>]) {
    for provider in providers {
        provider.listing.patience();
        if !provider.listing.fetching.swap(true, Ordering::AcqRel) {
            let provider = Arc::clone(provider);
            tokio::spawn(async move {
                let _fetching = Fetching(&provider.listing.fetching);
                provider.fetch().await;
            });
        }
    }
}

/// Fetches the lists that are out of date, in the background. Waits a moment for those that were never there.
pub(super) async fn refresh_stale(providers: &[Arc<Provider>]) {
    let stale: Vec<Arc<Provider>> = providers.iter().filter(|provider| provider.listing.is_stale()).cloned().collect();
    if !stale.is_empty() {
        refresh_all(&stale);
        // Providers whose first fetch has ended are settled, so that this waits for none of them.
        if let Some(patience) = stale.iter().map(|provider| provider.listing.patience()).max() {
            let _ = timeout_at(patience, settled(&stale)).await;
        }
    }
}

/// Resolves when every provider has been heard of, or has failed.
pub(super) async fn settled(providers: &[Arc<Provider>]) {
    join_all(providers.iter().map(|provider| provider.listing.settled())).await;
}

/// Says that a fetch is over, also when it was dropped or panicked.
struct Fetching<'f>(&'f AtomicBool);

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
