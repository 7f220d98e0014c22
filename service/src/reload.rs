//! The configuration, read again while the server runs: by SIGHUP, and when one of its files has changed.
//!
//! All of it is checked before any of it counts. What cannot be used is told of, and everything stays as it was. Providers,
//! their keys, aliases, routes, prices and the limits for each of a kind change; what else differs is told of, because it
//! needs a restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sabir_store::StoreErrorKind;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use transcode::json::Plans;

use crate::budget::{Prices, PricesError};
use crate::config::{Config, ConfigError, Source};
use crate::limit::Limiter;
use crate::live::Live;
use crate::telemetry::event;
use crate::upstream::{BuildError, Registry};

/// How often the files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Why a configuration does not count.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Upstream(#[from] BuildError),
    #[error(transparent)]
    Prices(#[from] PricesError),
}

impl ReloadError {
    /// Whether the same files may count the next time they are tried: it was the database that did not answer.
    fn passes(&self) -> bool {
        matches!(self, Self::Prices(PricesError::Store(error)) if error.kind() == StoreErrorKind::Unavailable)
    }
}

/// What changes with the configuration.
pub(crate) struct Parts {
    /// How the contract's messages look as JSON.
    pub(crate) plans: Arc<Plans>,
    /// The models.
    pub(crate) registry: Live<Registry>,
    /// What they cost.
    pub(crate) prices: Arc<Prices>,
    /// What callers are held to.
    pub(crate) limiter: Limiter,
}

/// The task that looks after it. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Reload {
    task: JoinHandle<()>,
}

impl Reload {
    /// Starts it, on the Tokio runtime this is called in, with the configuration that is in force. `None` if it cannot be
    /// read again, because it came from no place of its own.
    ///
    /// # Errors
    /// What the system says if the signal cannot be listened to.
    pub(crate) fn start(config: &Config, parts: Parts) -> std::io::Result<Option<Self>> {
        let Some(source) = config.source.clone() else { return Ok(None) };
        let mut asked = signal(SignalKind::hangup())?;
        let task = tokio::spawn(async move {
            let mut source = source;
            let mut seen = State::of(&source);
            // Whether what the files say now could not count for a reason that passes.
            let mut owed = false;
            loop {
                let by_signal = tokio::select! {
                    _ = asked.recv() => true,
                    () = tokio::time::sleep(LOOK_AGAIN) => false,
                };
                // Before anything is read: what changes from here on is seen the next time.
                let now = State::of(&source);
                if !by_signal && !owed && now == seen {
                    continue;
                }
                let again = owed && !by_signal && now == seen;
                seen = now;
                match parts.apply(&source).await {
                    Ok(applied) => {
                        source = applied;
                        // Files may be named now that were not before.
                        seen = seen.with_files_of(&source);
                        owed = false;
                    }
                    Err(error) => {
                        owed = error.passes();
                        if again {
                            tracing::debug!(%error, "the new configuration still does not count");
                        } else {
                            tracing::error!(
                                event = event::CONFIG_UNUSABLE,
                                tried_again = owed,
                                %error,
                                "the new configuration does not count; the old one stays"
                            );
                        }
                    }
                }
            }
        });
        Ok(Some(Self { task }))
    }
}

impl Drop for Reload {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Parts {
    /// Reads the configuration and has it count.
    async fn apply(&self, source: &Source) -> Result<Source, ReloadError> {
        let config = source.read()?;
        let registry = config.upstream.rebuild(Arc::clone(&self.plans), &self.registry.get()).await?;
        self.prices.adopt(&config.prices).await?;
        self.limiter.set_defaults(config.limits.defaults());
        registry.start_listing();
        self.registry.set(registry);
        // What was read from a place has one.
        let applied = config.source.unwrap_or_else(|| source.clone());
        let restart = source.needs_restart(&applied);
        tracing::info!(event = event::CONFIG_READ, "the configuration has been read again");
        if !restart.is_empty() {
            tracing::warn!(
                event = event::CONFIG_NEEDS_RESTART,
                sections = restart.join(", "),
                "changes in these sections need a restart and do not count yet"
            );
        }
        Ok(applied)
    }
}

/// What tells that files have changed, without reading them. Links are followed, so that a mount that is swapped is seen.
#[derive(Debug, PartialEq, Eq)]
struct State(BTreeMap<PathBuf, Option<(SystemTime, u64, PathBuf)>>);

impl State {
    fn of(source: &Source) -> Self {
        Self(source.files().iter().map(|path| (path.clone(), Self::of_file(path))).collect())
    }

    fn of_file(path: &Path) -> Option<(SystemTime, u64, PathBuf)> {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len(), std::fs::canonicalize(path).ok()?))
    }

    /// The same for the files of another source: those that were known as they were, the others as they are now.
    fn with_files_of(mut self, source: &Source) -> Self {
        let known = |path: &PathBuf| {
            let state = self.0.remove(path).unwrap_or_else(|| Self::of_file(path));
            (path.clone(), state)
        };
        Self(source.files().iter().map(known).collect())
    }
}
