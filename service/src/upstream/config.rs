//! The sections that say which models there are: `[providers]`, `[aliases]`, `[models]`, `[local]` and `[upstream]`.

mod provider;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sabir_providers::vendors;

pub use provider::ProviderConfig;

use super::name::ModelName;
use super::route::{self, RoutesConfig};
use crate::config::{ByteSize, Section};
use crate::nearest::nearest;

/// The name under which the local model is asked for.
pub(crate) const LOCAL: &str = "local";

/// Where the quickstart puts the small model.
const QUICKSTART_MODEL: &str = "models/SmolLM2-135M-Instruct.Q4_1.gguf";

/// The model for embeddings that is used if it is there and no other is named.
const USUAL_EMBEDDING_MODEL: &str = "models/all-MiniLM-L6-v2";

/// Which models there are.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[providers.NAME]`, and providers whose usual variables are set; by name.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// `[local]`: the model in the process.
    pub local: LocalConfig,
    /// `[routes]`: names that stand for several models.
    pub routes: RoutesConfig,
    /// `[models]`, `[aliases]`: how names are understood.
    pub models: ModelsConfig,
    /// `[upstream]`: limits on calls to providers.
    pub transport: TransportConfig,
}

/// The model in the process.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// `local.enabled`: whether to load it.
    pub enabled: bool,
    /// `local.model`: the GGUF file.
    pub model: PathBuf,
    /// Whether the configuration asks for the model in so many words, so that its absence is an error.
    pub required: bool,
    /// `local.embedding_model`: the folder of the model that turns texts into vectors.
    pub embedding_model: PathBuf,
    /// Whether the configuration asks for that model in so many words.
    pub embedding_required: bool,
    /// `local.queue`: how many calls may wait while one is being answered.
    pub queue: usize,
    /// `local.max_tokens`: how long an answer may be, in tokens, when the call does not say.
    pub max_tokens: usize,
}

/// How model names are understood.
#[derive(Clone, Debug)]
pub struct ModelsConfig {
    /// `models.default_provider`: where names without a provider go.
    pub default_provider: Option<String>,
    /// `[aliases]`: further names for models.
    pub(crate) aliases: BTreeMap<String, ModelName>,
    /// `models.attempts`: how many attempts a call has whose name stands for one model.
    pub attempts: usize,
}

/// Limits on calls to providers.
pub type TransportConfig = sabir_providers::TransportConfig;

impl Config {
    /// Whether a route takes a kept answer for a question that is merely much like it.
    pub(crate) fn compares_questions(&self) -> bool {
        self.routes.values().any(|route| route.policy.cache_similarity.is_some())
    }

    /// Reads all of the sections out of the whole configuration. Upstreams have so many pools of connections.
    pub(crate) fn read(root: &mut Section<'_>, pools: usize) -> Self {
        let local = LocalConfig::read(root.section("local"));
        let providers = providers(root);
        let names = Names::of(&providers, &local);
        let models = ModelsConfig::read(root, &names);
        let routes = route::read(root.section("routes"), &|name| names.unknown(name));
        for name in routes.keys().filter(|name| models.aliases.contains_key(*name)) {
            root.problem(&format!("routes.{name}"), "an alias has the same name");
        }
        let transport = transport(root.section("upstream"), pools);
        Self { providers, local, routes, models, transport }
    }
}

impl LocalConfig {
    fn read(mut section: Section<'_>) -> Self {
        let built_in = cfg!(feature = "local");
        let named = section.has("model");
        let asked_for = named || section.has("enabled");
        let config = Self {
            enabled: section.value("enabled", built_in || named),
            model: section.value("model", PathBuf::from(QUICKSTART_MODEL)),
            required: asked_for,
            embedding_required: section.has("embedding_model"),
            embedding_model: section.value("embedding_model", PathBuf::from(USUAL_EMBEDDING_MODEL)),
            queue: section.value("queue", 16),
            max_tokens: section.value("max_tokens", 512),
        };
        if config.enabled && config.required {
            if !built_in {
                let key = if named { "model" } else { "enabled" };
                section.problem(key, "this program was built without the local model (cargo feature `local`)");
            } else if !config.model.is_file() {
                section.problem("model", format!("there is no file {}", config.model.display()));
            }
        }
        if config.enabled && config.embedding_required {
            if !built_in {
                let message = "this program was built without the local models (cargo feature `local`)";
                section.problem("embedding_model", message);
            } else if !config.embedding_model.is_dir() {
                section.problem("embedding_model", format!("there is no folder {}", config.embedding_model.display()));
            }
        }
        if config.queue == 0 {
            section.problem("queue", "must be at least 1");
        }
        if config.max_tokens == 0 {
            section.problem("max_tokens", "must be at least 1");
        }
        section.finish();
        config
    }
}

impl ModelsConfig {
    fn read(root: &mut Section<'_>, names: &Names) -> Self {
        let mut section = root.section("models");
        let default_provider = section.optional::<String>("default_provider");
        if let Some(hint) = default_provider.as_deref().and_then(|name| names.unknown(name)) {
            section.problem("default_provider", hint);
        }
        let attempts = section.value("attempts", 1);
        if attempts == 0 {
            section.problem("attempts", "must be at least 1");
        }
        section.finish();
        // OpenAI's own names, written without a provider, keep working. With a single provider there is no question.
        let default_provider = default_provider.or_else(|| names.usual());

        let mut section = root.section("aliases");
        let mut aliases = BTreeMap::new();
        for alias in section.names() {
            let Some(text) = section.optional::<String>(&alias) else { continue };
            match ModelName::parse(&text) {
                None => {
                    section.problem(&alias, format!("\"{text}\" is not a model's full name, such as \"openai/gpt-4o\""))
                }
                Some(name) => match names.unknown(&name.provider) {
                    Some(hint) => section.problem(&alias, hint),
                    None => drop(aliases.insert(alias, name)),
                },
            }
        }
        section.finish();
        Self { default_provider, aliases, attempts }
    }
}

/// The names of the providers that there are.
struct Names(Vec<String>);

impl Names {
    fn of(providers: &BTreeMap<String, ProviderConfig>, local: &LocalConfig) -> Self {
        Self(providers.keys().cloned().chain(local.enabled.then(|| LOCAL.to_owned())).collect())
    }

    /// What to say of a name that no provider has.
    fn unknown(&self, name: &str) -> Option<String> {
        if self.0.iter().any(|known| known == name) {
            return None;
        }
        Some(match nearest(name, self.0.iter().map(String::as_str), 1).first() {
            Some(near) => format!("there is no provider \"{name}\"; did you mean \"{near}\"?"),
            None => format!("there is no provider \"{name}\"; there are: {}", self.0.join(", ")),
        })
    }

    /// Where names without a provider go unless it is said: to OpenAI, or to the only provider.
    fn usual(&self) -> Option<String> {
        match &self.0[..] {
            names if names.iter().any(|name| name == "openai") => Some("openai".to_owned()),
            [only] => Some(only.clone()),
            _ => None,
        }
    }
}

/// The configured providers, and those that the environment speaks of.
fn providers(root: &mut Section<'_>) -> BTreeMap<String, ProviderConfig> {
    let mut section = root.section("providers");
    let mut providers = BTreeMap::new();
    let mut named = Vec::new();
    for name in section.names() {
        if name == LOCAL || name.contains('/') {
            section.problem(
                &name,
                "cannot be the name of a provider: `local` is the model in the process, and a slash ends the name",
            );
        }
        if let Some(provider) = ProviderConfig::read(section.section(&name), &name) {
            providers.insert(name.clone(), provider);
        }
        named.push(name);
    }
    for found in vendors::discover(|variable| root.environment(variable)) {
        if !named.iter().any(|name| name == found.vendor.name) {
            match ProviderConfig::discovered(&found, |variable| root.environment(variable)) {
                Ok(provider) => {
                    providers.insert(found.vendor.name.to_owned(), provider);
                }
                Err(error) => root.problem(found.variable, error.to_string()),
            }
        }
    }
    providers
}

fn transport(mut section: Section<'_>, pools: usize) -> TransportConfig {
    let usual = TransportConfig::default();
    let config = TransportConfig {
        connect_timeout: section.value("connect_timeout", usual.connect_timeout),
        header_timeout: section.value("answer_timeout", usual.header_timeout),
        idle_timeout: section.value("idle_timeout", usual.idle_timeout),
        pool_idle_timeout: section.value("pool_idle_timeout", usual.pool_idle_timeout),
        pool_max_idle_per_host: section.value("pool_max_idle", usual.pool_max_idle_per_host),
        max_body_bytes: section.value("answer_limit", ByteSize(usual.max_body_bytes)).0,
        pools,
    };
    for (key, limit) in [
        ("connect_timeout", config.connect_timeout),
        ("answer_timeout", config.header_timeout),
        ("idle_timeout", config.idle_timeout),
    ] {
        if limit == Duration::ZERO {
            section.problem(key, "must be more than 0");
        }
    }
    section.finish();
    config
}
