//! The models that can be asked: from a name to the upstream that answers, and the list of all names.
//!
//! It knows providers by name and by the `Upstream` trait. How one is spoken to is theirs.

mod build;
mod catalogue;
mod config;
mod name;
mod route;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sabir_proto::v1::Model;
use sabir_providers::Upstream;

pub use build::BuildError;
use catalogue::Listing;
pub use config::{Config, LocalConfig, ModelsConfig, ProviderConfig, TransportConfig};
pub(crate) use name::ModelName;

pub use route::RoutesConfig;
use route::{Health, Route, Rule, Weighted};
pub(crate) use route::{InFlight, Plan, random};

use crate::chat::Caller;
use crate::nearest::nearest;
use crate::telemetry::event;

/// How many names a message about an unknown model offers.
const OFFERED: usize = 3;

/// Where a call goes.
#[derive(Clone)]
pub(crate) struct Target {
    /// The provider's name in the configuration.
    pub(crate) provider: Arc<str>,
    /// The model's name at the provider.
    pub(crate) model: String,
    /// The name as `provider/model`.
    pub(crate) full_name: String,
    /// Who answers.
    pub(crate) upstream: Arc<dyn Upstream>,
    /// How it has done of late, if it is one of several that a route chooses among.
    pub(crate) health: Option<Arc<Health>>,
    /// The host and port it is asked at, if it is asked over a network.
    pub(crate) address: Option<Arc<str>>,
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Target({})", self.full_name)
    }
}

/// A name that stands for no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct UnknownModel {
    /// What was asked for.
    pub(crate) asked: String,
    /// Names that are close to it, closest first.
    pub(crate) near: Vec<String>,
}

impl fmt::Display for UnknownModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "there is no model \"{}\"", self.asked)?;
        match self.near.split_first() {
            None => formatter.write_str("; ListModels (GET /v1/models) names every model"),
            Some((first, rest)) => {
                write!(formatter, "; did you mean \"{first}\"")?;
                rest.iter().try_for_each(|name| write!(formatter, " or \"{name}\""))?;
                formatter.write_str("?")
            }
        }
    }
}

/// One provider that can be asked.
pub(crate) struct Provider {
    name: Arc<str>,
    upstream: Arc<dyn Upstream>,
    /// Where we know of it from, for the log: a variable, the configuration, the program itself.
    origin: String,
    /// Whether its list names every model that it has. Hosted providers know more names than they list.
    closed: bool,
    /// The host and port it is asked at.
    address: Option<Arc<str>>,
    listing: Listing,
}

impl Provider {
    /// A provider whose list may leave names out.
    pub(crate) fn open(name: &str, upstream: Arc<dyn Upstream>, origin: impl Into<String>) -> Self {
        let (name, origin, listing) = (Arc::from(name), origin.into(), Listing::default());
        Self { name, upstream, origin, closed: false, address: None, listing }
    }

    /// The same provider, asked at this host and port.
    pub(crate) fn at(self, address: &str) -> Self {
        Self { address: Some(Arc::from(address)), ..self }
    }

    /// A provider whose list is complete.
    #[cfg(any(test, feature = "local"))]
    pub(crate) fn closed(name: &str, upstream: Arc<dyn Upstream>, origin: impl Into<String>) -> Self {
        Self { closed: true, ..Self::open(name, upstream, origin) }
    }

    /// Whether it lists this model; `None` while its list is not known.
    fn lists(&self, model: &str) -> Option<bool> {
        Some(self.listing.models()?.iter().any(|listed| listed.id == model))
    }

    fn target(&self, model: &str) -> Target {
        Target {
            provider: Arc::clone(&self.name),
            model: model.to_owned(),
            full_name: format!("{}/{model}", self.name),
            upstream: Arc::clone(&self.upstream),
            health: None,
            address: self.address.clone(),
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Provider({})", self.name)
    }
}

/// How targets have done of late, by their full names.
type Healths = BTreeMap<String, Arc<Health>>;

/// All models that can be asked.
#[derive(Debug)]
pub(crate) struct Registry {
    /// In the order in which they are listed.
    providers: Vec<Arc<Provider>>,
    aliases: BTreeMap<String, ModelName>,
    routes: BTreeMap<String, Route>,
    healths: Healths,
    default: Option<Arc<Provider>>,
    /// How many attempts a call has whose name stands for one model.
    attempts: usize,
}

impl Registry {
    /// A registry of these providers. Names without a provider go to `default`, if there is one of that name.
    #[cfg(test)]
    pub(crate) fn new(providers: Vec<Provider>, aliases: BTreeMap<String, ModelName>, default: Option<&str>) -> Self {
        Self::of(providers.into_iter().map(Arc::new).collect(), aliases, default)
    }

    /// A registry of these providers, which others may have too. Names without a provider go to `default`, if there is one of
    /// that name.
    fn of(providers: Vec<Arc<Provider>>, aliases: BTreeMap<String, ModelName>, default: Option<&str>) -> Self {
        let default = providers.iter().find(|provider| Some(&*provider.name) == default).cloned();
        Self { providers, aliases, routes: BTreeMap::new(), healths: Healths::new(), default, attempts: 1 }
    }

    /// The same registry with these routes, whose models it must know.
    #[cfg(test)]
    pub(crate) fn with_routes(self, routes: &RoutesConfig) -> Self {
        self.with_routes_and(routes, &Healths::new())
    }

    /// The same, where this is known already of how targets have done of late.
    fn with_routes_and(mut self, routes: &RoutesConfig, known: &Healths) -> Self {
        let mut healths = Healths::new();
        let mut weighted = |targets: &[(ModelName, f64)]| -> Vec<Weighted> {
            let found = targets.iter().filter_map(|(name, weight)| {
                let target = self.at_provider(&name.provider, &name.model)?;
                let health = healths.entry(target.full_name.clone()).or_insert_with(|| {
                    known.get(&target.full_name).cloned().unwrap_or_else(|| Health::new(&target.full_name))
                });
                let health = Arc::clone(health);
                Some(Weighted {
                    target: Target { health: Some(Arc::clone(&health)), ..target },
                    health,
                    weight: *weight,
                })
            });
            found.collect()
        };
        let mut made = BTreeMap::new();
        for (name, config) in routes {
            let targets = weighted(&config.targets);
            let rules = config
                .rules
                .iter()
                .map(|(condition, targets)| Rule { condition: condition.clone(), targets: weighted(targets) });
            made.insert(name.clone(), Route::new(targets, rules.collect(), config.policy.clone()));
        }
        self.routes = made;
        self.healths = healths;
        self
    }

    /// The same registry, in which a call whose name stands for one model has this many attempts.
    pub(crate) fn with_attempts(mut self, attempts: usize) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The models in this process.
    fn local(&self) -> Option<Arc<Provider>> {
        self.providers.iter().find(|provider| provider.closed).cloned()
    }

    /// How the targets of routes have done of late.
    fn healths(&self) -> &Healths {
        &self.healths
    }

    /// Whether any route looks at the headers of calls.
    pub(crate) fn reads_headers(&self) -> bool {
        self.routes.values().any(Route::reads_headers)
    }

    /// The targets of routes, and whether each is left alone for now.
    pub(crate) fn breakers(&self) -> impl Iterator<Item = (&str, bool)> {
        let mut targets = BTreeMap::new();
        for target in self.routes.values().flat_map(Route::targets) {
            if let Some(health) = &target.health {
                targets.insert(target.full_name.as_str(), health.is_open());
            }
        }
        targets.into_iter()
    }

    /// Whether somebody has configured this target, or its provider lists it: whether its name is more than what a
    /// caller wrote.
    pub(crate) fn knows(&self, target: &Target) -> bool {
        let named = |name: &ModelName| name.provider == *target.provider && name.model == target.model;
        target.health.is_some()
            || self.aliases.values().any(named)
            || self.provider(&target.provider).is_some_and(|provider| provider.lists(&target.model) == Some(true))
    }

    /// Where a call of this caller goes, with what it falls back to.
    ///
    /// # Errors
    /// A name that stands for nothing.
    pub(crate) fn plan(&self, name: &str, caller: &Caller, streamed: bool) -> Result<Plan, UnknownModel> {
        match self.routes.get(name) {
            Some(route) => Ok(route.plan(&caller.principal, caller.headers.as_deref(), streamed)),
            None => Ok(Plan::of(self.resolve(name)?, self.attempts)),
        }
    }

    /// Where calls for this model go: an alias stands for its model; `provider/model` says it all; another name belongs
    /// to the default provider, with slashes only if that provider lists it.
    ///
    /// # Errors
    /// A name that is none of these.
    pub(crate) fn resolve(&self, name: &str) -> Result<Target, UnknownModel> {
        if let Some(target) = self.routes.get(name).and_then(|route| route.targets().next()) {
            return Ok(target.clone());
        }
        if let Some(target) = self.aliases.get(name).and_then(|alias| self.at_provider(&alias.provider, &alias.model)) {
            return Ok(target);
        }
        let found = match ModelName::split(name) {
            Some((provider, model)) if self.provider(provider).is_some() => self.at_provider(provider, model),
            _ => self.default.as_ref().and_then(|default| {
                let listed = default.lists(name);
                let taken = match (name.contains('/'), default.closed) {
                    (true, _) => listed == Some(true),
                    (false, true) => listed != Some(false),
                    (false, false) => !name.is_empty(),
                };
                taken.then(|| default.target(name))
            }),
        };
        found.ok_or_else(|| self.unknown(name))
    }

    /// Every model that is known now. Never waits for an upstream that is dead; one that has not answered yet since the
    /// start gets a moment.
    pub(crate) async fn list(&self) -> Vec<Model> {
        catalogue::refresh_stale(&self.providers).await;
        let aliases = self.aliases.iter().filter(|(_, name)| self.at_provider(&name.provider, &name.model).is_some());
        let aliases = aliases.map(|(alias, name)| self.alias_entry(alias, name));
        let routes = self.routes.iter().map(|(name, route)| self.route_entry(name, route));
        aliases.chain(routes).chain(self.providers.iter().flat_map(|provider| provider.entries())).collect()
    }

    /// What is known of one model.
    ///
    /// # Errors
    /// A name that no call could use, or that a provider with a known list does not list.
    pub(crate) async fn get(&self, name: &str) -> Result<Model, UnknownModel> {
        catalogue::refresh_stale(&self.providers).await;
        if let Some(alias) = self.aliases.get(name) {
            return Ok(self.alias_entry(name, alias));
        }
        if let Some(route) = self.routes.get(name) {
            return Ok(self.route_entry(name, route));
        }
        let target = self.resolve(name)?;
        let provider = self.provider(&target.provider).ok_or_else(|| self.unknown(name))?;
        match provider.listing.models() {
            None => Ok(provider.entry(name, None)),
            Some(models) => models
                .iter()
                .find(|listed| listed.id == target.model)
                .map(|listed| provider.entry(name, Some(listed)))
                .ok_or_else(|| self.unknown(name)),
        }
    }

    /// Asks every provider for its list, in the background, and logs what comes.
    pub(crate) fn start_listing(&self) {
        for provider in &self.providers {
            tracing::info!(
                event = event::PROVIDER_FOUND, provider = %provider.name, from = %provider.origin,
                "provider found"
            );
        }
        catalogue::refresh_all(&self.providers);
    }

    /// A good model for a first question, once every provider has been heard of: the local one, which needs no network;
    /// else one that somebody chose to give a name to; else the first in a list.
    pub(crate) async fn first_model(&self) -> Option<String> {
        catalogue::settled(&self.providers).await;
        let local = self.providers.iter().filter(|provider| provider.closed);
        let first_of = |provider: &Arc<Provider>| provider.entries().into_iter().next().map(|model| model.id);
        let alive = |name: &ModelName| {
            self.provider(&name.provider).is_some_and(|provider| provider.listing.models().is_some())
        };
        let alias = || self.aliases.iter().find(|(_, name)| alive(name)).map(|(alias, _)| alias.clone());
        local.filter_map(first_of).next().or_else(alias).or_else(|| self.providers.iter().find_map(first_of))
    }

    fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| &*provider.name == name)
    }

    fn at_provider(&self, provider: &str, model: &str) -> Option<Target> {
        let provider = self.provider(provider)?;
        let absent = provider.closed && provider.lists(model) == Some(false);
        (!absent).then(|| provider.target(model))
    }

    fn alias_entry(&self, alias: &str, name: &ModelName) -> Model {
        let entry = self.provider(&name.provider).map(|provider| {
            let models = provider.listing.models().unwrap_or_default();
            provider.entry(alias, models.iter().find(|listed| listed.id == name.model))
        });
        let entry = entry.unwrap_or_default();
        let own = entry.description.as_deref().map(|text| format!(" {text}")).unwrap_or_default();
        Model { description: Some(format!("Another name for {name}.{own}")), ..entry }
    }

    fn route_entry(&self, name: &str, route: &Route) -> Model {
        let targets: Vec<&str> = route.targets().map(|target| target.full_name.as_str()).collect();
        Model {
            id: name.to_owned(),
            object: "model".to_owned(),
            owned_by: "sabir".to_owned(),
            description: Some(format!("Answered by one of {}.", targets.join(", "))),
            ..Model::default()
        }
    }

    fn unknown(&self, name: &str) -> UnknownModel {
        let mut known: Vec<String> = self.aliases.keys().chain(self.routes.keys()).cloned().collect();
        known.extend(self.providers.iter().flat_map(|provider| provider.entries()).map(|model| model.id));
        let near = nearest(name, known.iter().map(String::as_str), OFFERED).into_iter().map(str::to_owned).collect();
        UnknownModel { asked: name.to_owned(), near }
    }
}

#[cfg(test)]
pub(crate) mod tests;
