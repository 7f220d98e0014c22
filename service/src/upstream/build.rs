//! From the configuration to providers that can be asked. No connection is opened here.

use std::sync::Arc;

use sabir_providers::{Setup, SetupError, Transport};
use transcode::json::Plans;

use super::{Config, Healths, Provider, Registry};

/// Why the models cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A provider cannot be asked as configured.
    #[error("provider {name}: {source}")]
    Provider {
        /// The provider's name in the configuration.
        name: String,
        /// What is wrong.
        source: SetupError,
    },
    /// The local model cannot be loaded.
    #[error("the local model: {0} (`local.enabled = false` goes on without it)")]
    Local(String),
}

impl Config {
    /// Makes the registry of all models. `plans` say how the contract's messages look as JSON.
    ///
    /// # Errors
    /// A provider that cannot be asked; a local model that cannot be loaded.
    pub(crate) async fn build(&self, plans: Arc<Plans>) -> Result<Registry, BuildError> {
        let local = self.local_provider().await?;
        self.with_local(plans, local.map(Arc::new), &Healths::default())
    }

    /// Makes the registry anew, with the local model of `old`, which takes long to load, and with what is known of how
    /// targets have done of late.
    ///
    /// # Errors
    /// A provider that cannot be asked.
    pub(crate) async fn rebuild(&self, plans: Arc<Plans>, old: &Registry) -> Result<Registry, BuildError> {
        self.with_local(plans, old.local(), old.healths())
    }

    fn with_local(
        &self,
        plans: Arc<Plans>,
        local: Option<Arc<Provider>>,
        healths: &Healths,
    ) -> Result<Registry, BuildError> {
        let mut providers: Vec<Arc<Provider>> = local.into_iter().collect();
        if !self.providers.is_empty() {
            let transport = Transport::new(self.transport.clone());
            for (name, config) in &self.providers {
                let setup = Setup {
                    plans: Arc::clone(&plans),
                    endpoint: config.endpoint.clone(),
                    transport: transport.clone(),
                    quirks: config.quirks,
                };
                let upstream = (config.dialect.build)(setup)
                    .map_err(|source| BuildError::Provider { name: name.clone(), source })?;
                let origin = format!("{} ({})", config.origin, config.endpoint.authority());
                let upstream = config.schemas.around(upstream);
                let provider = Provider::open(name, upstream, origin).at(config.endpoint.authority());
                providers.push(Arc::new(provider));
            }
        }
        let registry = Registry::of(providers, self.models.aliases.clone(), self.models.default_provider.as_deref());
        Ok(registry.with_routes_and(&self.routes, healths).with_attempts(self.models.attempts))
    }

    #[cfg(feature = "local")]
    async fn local_provider(&self) -> Result<Option<Provider>, BuildError> {
        use crate::telemetry::event;
        use sabir_providers::local::{Embedder, LocalModel, LocalModels, LocalOptions};

        let config = &self.local;
        if !config.enabled {
            return Ok(None);
        }
        let answers = config.required || config.model.is_file();
        let embeds = config.embedding_required || config.embedding_model.is_dir();
        if !answers {
            tracing::info!(
                event = event::NO_LOCAL_MODEL,
                looked_for = %config.model.display(),
                "no local model: set SABIR_LOCAL__MODEL to a GGUF file to have one"
            );
        }
        if !answers && !embeds {
            return Ok(None);
        }
        let mut options = LocalOptions::new(&config.model);
        options.queue = config.queue;
        options.default_max_tokens = config.max_tokens;
        let folder = config.embedding_model.clone();
        // Reading and unpacking the weights takes a moment in which the runtime has other things to do.
        let loading = tokio::task::spawn_blocking(move || {
            let chat = answers.then(|| LocalModel::open(options)).transpose()?;
            let embedder = embeds.then(|| Embedder::open(&folder)).transpose()?;
            Ok(LocalModels::new(chat, embedder))
        });
        let loaded = loading.await.map_err(|error| BuildError::Local(error.to_string()))?;
        let upstream =
            loaded.map_err(|error: sabir_providers::local::LoadError| BuildError::Local(error.to_string()))?;
        let files = [(answers, &config.model), (embeds, &config.embedding_model)];
        let files = files.into_iter().filter(|(there, _)| *there).map(|(_, path)| path.display().to_string());
        let origin = files.collect::<Vec<_>>().join(", ");
        Ok(Some(Provider::closed(super::config::LOCAL, Arc::new(upstream), origin)))
    }

    #[cfg(not(feature = "local"))]
    async fn local_provider(&self) -> Result<Option<Provider>, BuildError> {
        Ok(None)
    }
}
