//! The configuration: one file, the environment, and defaults that work with neither.
//!
//! Everything is read and checked before a socket opens, and everything that is wrong is reported at once. Each component
//! owns its section; this file is their sum and knows where the sections come from.

mod document;
mod problem;
mod section;
mod setting;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[cfg(test)]
pub(crate) use document::variable_of;
pub use problem::{ConfigError, Problem};
pub(crate) use section::Section;
pub(crate) use setting::ByteSize;

pub use source::Source;

use section::Reading;
use setting::Setting;

use crate::{auth, budget, cache, capture, guard, limit, pages, server, store, telemetry, upstream};

/// The file that is read if it is there and no other is named.
const USUAL_FILE: &str = "sabir.toml";

/// The whole configuration of the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`.
    pub server: server::Config,
    /// `[auth]`.
    pub auth: auth::Config,
    /// `[limits]`.
    pub limits: limit::Config,
    /// `[pages]`.
    pub pages: pages::Config,
    /// `[admin]`.
    pub admin: server::AdminConfig,
    /// `[log]`.
    pub log: telemetry::LogConfig,
    /// `[telemetry]`.
    pub telemetry: telemetry::Config,
    /// `[database]`.
    pub database: store::Config,
    /// `[cache]`.
    pub cache: cache::Config,
    /// `[guardrails]`.
    pub guardrails: guard::Config,
    /// `[capture]`.
    pub capture: capture::Config,
    /// `[usage]`.
    pub usage: store::UsageConfig,
    /// `[budgets]`.
    pub budgets: budget::Config,
    /// `[prices]`.
    pub prices: budget::PricesConfig,
    /// `[providers]`, `[aliases]`, `[models]`, `[local]` and `[upstream]`.
    pub upstream: upstream::Config,
    /// Where it came from; `None` if it was given as text.
    pub source: Option<Source>,
}

impl Config {
    /// Reads the configuration of this process: the file `path`, else the one that `SABIR_CONFIG` names, else
    /// `sabir.toml` if it is there; then the environment; then `listen`, from the command line.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: Option<PathBuf>, listen: Option<String>) -> Result<Self, ConfigError> {
        // A variable that is not text cannot be meant for us; of ours, a broken one is missed by its default.
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
            .collect();
        let named = path.or_else(|| environment.get("SABIR_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
        let path = named.or_else(|| Path::new(USUAL_FILE).exists().then(|| PathBuf::from(USUAL_FILE)));
        let source_name =
            path.as_ref().map_or("no file, the environment alone".to_owned(), |path| path.display().to_string());
        let source = Source::new(path.clone(), listen.clone());
        let file = match path.map(std::fs::read_to_string).transpose() {
            Ok(file) => file,
            Err(error) => {
                let problems = vec![Problem::new("", format!("cannot be read: {error}"))];
                return Err(ConfigError { source_name, problems });
            }
        };
        let read = Self::read(file.as_deref(), environment, listen);
        let (config, settings) = read.map_err(|problems| ConfigError { source_name, problems })?;
        Ok(Self { source: Some(source.with(settings)), ..config })
    }

    /// Reads the configuration from this text of a file and these variables alone.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_parts(
        file: Option<&str>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Self::read(file, environment.into_iter().collect(), None)
            .map(|(config, _)| config)
            .map_err(|problems| ConfigError { source_name: "given text".to_owned(), problems })
    }

    fn read(
        file: Option<&str>,
        environment: BTreeMap<String, String>,
        listen: Option<String>,
    ) -> Result<(Self, BTreeMap<String, Setting>), Vec<Problem>> {
        let (mut settings, mut problems) = document::merge(file, &environment);
        if let Some(text) = listen {
            document::insert(
                &mut settings,
                &["server", "listen"],
                Setting::Variable { name: "--listen".to_owned(), text },
            );
        }
        let (config, reading) = Self::from_settings(settings.clone(), environment);
        problems.extend(reading.finish().0);
        if problems.is_empty() { Ok((config, settings)) } else { Err(problems) }
    }

    fn from_settings(settings: BTreeMap<String, Setting>, environment: BTreeMap<String, String>) -> (Self, Reading) {
        let reading = Reading::new(environment);
        let config = {
            let mut root = Section::root(&reading, settings);
            let auth = auth::Config::read(root.section("auth"));
            let server = server::Config::read(root.section("server"), auth.mode);
            let upstream = upstream::Config::read(&mut root, server.runtimes());
            let config = Self {
                server,
                auth,
                limits: limit::Config::read(root.section("limits")),
                pages: pages::Config::read(root.section("pages")),
                admin: server::AdminConfig::read(root.section("admin")),
                log: telemetry::LogConfig::read(root.section("log")),
                telemetry: telemetry::Config::read(root.section("telemetry")),
                database: store::Config::read(root.section("database")),
                cache: cache::Config::read(root.section("cache"), upstream.compares_questions()),
                guardrails: guard::Config::read(root.section("guardrails")),
                capture: capture::Config::read(root.section("capture")),
                usage: store::read_usage(root.section("usage")),
                budgets: budget::Config::read(root.section("budgets")),
                prices: budget::PricesConfig::read(root.section("prices")),
                upstream,
                source: None,
            };
            root.finish();
            config
        };
        (config, reading)
    }
}

#[cfg(test)]
mod tests;
