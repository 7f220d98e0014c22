//! The `[pages]` section: the documentation that the server shows to people.

use transcode::openapi::Documents;
use transcode::pages::{self, PagesError, PagesLayer};

use crate::config::Section;

/// Whether there are pages, and where.
#[derive(Clone, Debug)]
pub struct Config {
    /// `pages.enabled`: whether `/`, `/docs`, `/redoc` and the OpenAPI documents are served.
    pub enabled: bool,
    /// `pages.prefix`: what their paths begin with, such as `/help`.
    pub prefix: String,
}

impl Config {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let config = Self { enabled: section.value("enabled", true), prefix: section.value("prefix", String::new()) };
        if !pages::is_prefix(&config.prefix) {
            section.problem("prefix", PagesError::Prefix(config.prefix.clone()).to_string());
        }
        section.finish();
        config
    }

    /// The layer that answers with the pages about `documents`, if there are to be any.
    pub(crate) fn build(&self, documents: impl FnOnce() -> Documents) -> Result<Option<PagesLayer>, PagesError> {
        let config = pages::Config { prefix: self.prefix.clone(), ..pages::Config::default() };
        self.enabled.then(|| PagesLayer::new(&documents(), &config)).transpose()
    }
}
