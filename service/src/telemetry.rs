//! What the server says of itself: metrics, traces, logs. None of them carries prompts, answers or credentials.
//!
//! Metrics are always kept, for `/metrics`; they are a few additions to numbers that each call finds once. Traces, logs and
//! metrics are sent over OTLP if the configuration says where to. Everything that can be measured or logged is declared in
//! [`catalogue`] and [`event`], and listed in `docs/operations.md`.

mod attempt;
mod call;
pub(crate) mod catalogue;
mod config;
mod context;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod document;
mod error_type;
pub(crate) mod event;
mod family;
mod histogram;
mod layer;
mod log;
mod models;
mod otlp;
mod process;
mod requests;
mod text;
mod tracer;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};

use sabir_store::UsageWriter;
use uuid::Uuid;

pub(crate) use self::attempt::{Attempt, Ending};
pub(crate) use self::call::Call;
pub use self::config::Config;
pub(crate) use self::error_type::ErrorType;
use self::family::{Family, Value};
pub(crate) use self::layer::{CallsLayer, EdgeLayer, TwinLayer};
pub use self::log::{Config as LogConfig, Format};
use self::models::{Models, entry_of};
pub use self::otlp::{Export, ExportError};
use self::requests::Requests;
pub(crate) use self::text::Form;
use self::tracer::Tracer;
use crate::live::Live;
use crate::upstream::Registry;

/// How many teams' costs are told apart; what is beyond is added up under `other`.
const TEAMS: usize = 1000;

/// What is measured, and where spans go. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: Requests,
    models: Models,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    /// In billionths of a dollar, by team.
    costs: RwLock<HashMap<Uuid, Arc<AtomicU64>>>,
    /// Those of calls that count for no team.
    costs_of_nobody: AtomicU64,
    /// Those of teams beyond the number that is told apart.
    costs_of_others: AtomicU64,
    connections: OpenConnections,
    exports_failed: AtomicU64,
    tracer: Option<Arc<Tracer>>,
    /// Those who are asked for their figures when somebody wants to see them.
    sources: OnceLock<Sources>,
}

/// Parts of the server that know figures of their own.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Knows how targets do.
    pub(crate) registry: Live<Registry>,
    /// Knows the usage rows that wait.
    pub(crate) usage: UsageWriter,
}

impl Telemetry {
    /// Nothing measured yet. Spans go where `export` sends them.
    pub(crate) fn new(requests: Requests, max_models: usize, export: &Export) -> Self {
        Self(Arc::new(Inner {
            requests,
            models: Models::new(max_models),
            cache_hits: AtomicU64::new(0),
            cache_misses: AtomicU64::new(0),
            costs: RwLock::default(),
            costs_of_nobody: AtomicU64::new(0),
            costs_of_others: AtomicU64::new(0),
            connections: OpenConnections::default(),
            exports_failed: AtomicU64::new(0),
            tracer: export.tracer.clone(),
            sources: OnceLock::new(),
        }))
    }

    /// For the requests of this contract, as these routes serve it.
    pub(crate) fn of_contract<'a>(
        descriptor_set: &[u8],
        routes: impl Iterator<Item = transcode::RouteInfo<'a>>,
        max_models: usize,
        export: &Export,
    ) -> Self {
        Self::new(Requests::new(descriptor_set).with_routes(routes), max_models, export)
    }

    /// Asks these for their figures from now on.
    pub(crate) fn watch(&self, sources: Sources) {
        // It is called once; whoever came first stays.
        let _ = self.0.sources.set(sources);
    }

    /// Who records spans, if anybody does.
    fn tracer(&self) -> Option<&Tracer> {
        self.0.tracer.as_deref()
    }

    /// The count of open connections.
    pub(crate) fn connections(&self) -> OpenConnections {
        self.0.connections.clone()
    }

    /// Somebody looked for an answer that is kept.
    pub(crate) fn looked_up(&self, found: bool) {
        let count = if found { &self.0.cache_hits } else { &self.0.cache_misses };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A call has cost so many billionths of a dollar.
    pub(crate) fn spent(&self, team: Option<Uuid>, nanos: i64) {
        let Some(nanos) = u64::try_from(nanos).ok().filter(|nanos| *nanos > 0) else { return };
        let inner = &self.0;
        let too_many = |costs: &HashMap<Uuid, _>, team| costs.len() >= TEAMS && !costs.contains_key(team);
        match team {
            None => inner.costs_of_nobody.fetch_add(nanos, Ordering::Relaxed),
            Some(team) if inner.costs.read().is_ok_and(|costs| too_many(&costs, &team)) => {
                inner.costs_of_others.fetch_add(nanos, Ordering::Relaxed)
            }
            Some(team) => {
                let costs: Arc<AtomicU64> = entry_of(&inner.costs, &team, Arc::default);
                costs.fetch_add(nanos, Ordering::Relaxed)
            }
        };
    }

    /// Metrics could not be sent.
    fn export_failed(&self) {
        self.0.exports_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything that is measured, as it is now.
    pub(crate) fn read(&self) -> Vec<Family> {
        let inner = &self.0;
        let whole = |count: &AtomicU64| Value::Whole(count.load(Ordering::Relaxed));
        let mut families = inner.requests.read();
        families.push(Family::single(&catalogue::OPEN_CONNECTIONS, inner.connections.read()));
        families.extend(inner.models.read());
        let mut breakers = Family::new(&catalogue::BREAKER_OPEN);
        let mut store_errors = inner.requests.store_errors.load(Ordering::Relaxed);
        let (mut pending, mut lost) = (0, 0);
        if let Some(Sources { registry, usage }) = inner.sources.get() {
            registry.get().breakers().for_each(|(target, open)| breakers.count(&[target], open.into()));
            let figures = usage.figures();
            (pending, lost) = (figures.pending, figures.lost);
            store_errors += figures.failed_writes;
        }
        let mut lookups = Family::new(&catalogue::CACHE_LOOKUPS);
        lookups.count(&["hit"], inner.cache_hits.load(Ordering::Relaxed));
        lookups.count(&["miss"], inner.cache_misses.load(Ordering::Relaxed));
        families.extend([
            breakers,
            lookups,
            self.costs(),
            Family::single(&catalogue::USAGE_PENDING, Value::Whole(pending)),
            Family::single(&catalogue::USAGE_LOST, Value::Whole(lost)),
            Family::single(&catalogue::STORE_ERRORS, Value::Whole(store_errors)),
            Family::single(&catalogue::EXPORTS_FAILED, whole(&inner.exports_failed)),
        ]);
        families.extend(process::read());
        families
    }

    fn costs(&self) -> Family {
        let mut costs = Family::new(&catalogue::COST);
        let micros = |nanos: &AtomicU64| nanos.load(Ordering::Relaxed) / 1000;
        costs.count(&["none"], micros(&self.0.costs_of_nobody));
        if let Ok(teams) = self.0.costs.read() {
            teams.iter().for_each(|(team, nanos)| costs.count(&[&team.to_string()], micros(nanos)));
        }
        match micros(&self.0.costs_of_others) {
            0 => {}
            others => costs.count(&["other"], others),
        }
        costs
    }
}

#[cfg(test)]
impl Default for Telemetry {
    /// For a test that measures nothing.
    fn default() -> Self {
        Self::new(Requests::new(&[]), 10, &Export::none())
    }
}

/// How many connections are open. Clones are the same count.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenConnections(Arc<AtomicI64>);

/// One open connection.
#[derive(Debug)]
pub(crate) struct OpenConnection(OpenConnections);

impl OpenConnections {
    /// Counts one more, until it is dropped.
    pub(crate) fn open(&self) -> OpenConnection {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }

    fn read(&self) -> Value {
        Value::Whole(u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
