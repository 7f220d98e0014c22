//! Where a configuration came from, so that it can be read again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use super::setting::Setting;
use super::{Config, ConfigError};

/// What counts without a restart.
const LIVE: [&str; 7] = ["providers", "aliases", "models", "routes", "upstream", "prices", "limits"];

/// Where a configuration came from.
#[derive(Clone)]
pub struct Source {
    path: Option<PathBuf>,
    listen: Option<String>,
    settings: BTreeMap<String, Setting>,
}

impl Source {
    pub(super) fn new(path: Option<PathBuf>, listen: Option<String>) -> Self {
        Self { path, listen, settings: BTreeMap::new() }
    }

    pub(super) fn with(self, settings: BTreeMap<String, Setting>) -> Self {
        Self { settings, ..self }
    }

    /// Reads it again.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn read(&self) -> Result<Config, ConfigError> {
        Config::load(self.path.clone(), self.listen.clone())
    }

    /// The files that it consists of: its own, and those that its keys name.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.path.iter().cloned().collect();
        named(&self.settings, &mut files);
        files
    }

    /// The sections that differ and need a restart to count.
    pub(crate) fn needs_restart(&self, other: &Self) -> Vec<String> {
        let sections: BTreeSet<&String> = self.settings.keys().chain(other.settings.keys()).collect();
        let differs = |name: &&&String| self.settings.get(**name) != other.settings.get(**name);
        let sections = sections.iter().filter(|name| !LIVE.contains(&name.as_str())).filter(differs);
        sections.map(|name| (**name).clone()).collect()
    }
}

/// The values of the keys that name files.
fn named(settings: &BTreeMap<String, Setting>, files: &mut Vec<PathBuf>) {
    for (key, setting) in settings {
        let is_file = key == "file" || key.ends_with("_file");
        match setting {
            Setting::Table(table) => named(table, files),
            Setting::File(toml::Value::String(text)) | Setting::Variable { text, .. } if is_file => {
                files.push(text.into())
            }
            Setting::File(_) | Setting::Variable { .. } => {}
        }
    }
}

impl fmt::Debug for Source {
    /// Without the settings, among which there are secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Source").field("path", &self.path).field("listen", &self.listen).finish_non_exhaustive()
    }
}
