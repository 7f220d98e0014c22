//! Logs: for people on a terminal, as JSON otherwise, always to standard error.
//!
//! No event carries prompts, answers or credentials. A finished call is logged at `debug`, so that the default level
//! costs a busy server nothing; calls that failed through no fault of the caller are logged at `warn`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::Section;

/// How to log.
#[derive(Clone, Debug)]
pub struct Config {
    /// `log.format`: `auto`, `human` or `json`.
    pub format: Format,
    /// `log.filter`: what to log, as `tracing` directives: `info`, `sabir=debug`, `warn,sabir::chat=debug`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people if standard error is a terminal, else JSON.
    Auto,
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Whether lines are for people, here and now.
    pub fn is_human(self) -> bool {
        match self {
            Self::Auto => std::io::stderr().is_terminal(),
            Self::Human => true,
            Self::Json => false,
        }
    }
}

impl Config {
    /// Reads the `[log]` section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let words = [("auto", Format::Auto), ("human", Format::Human), ("json", Format::Json)];
        let config = Self {
            format: section.choice("format", &words, Format::Auto),
            filter: section.value("filter", "info".to_owned()),
        };
        if let Err(error) = EnvFilter::try_new(&config.filter) {
            section.problem("filter", format!("not a list of log directives: {error}"));
        }
        section.finish();
        config
    }

    /// Starts logging for the whole process. Does nothing if something else already logs, as in tests.
    pub fn start(&self) {
        // `read` has checked the filter; what it could not have seen is logged as `info`.
        let filter = EnvFilter::try_new(&self.filter).unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let started = if self.format.is_human() {
            lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
        } else {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        };
        if started.is_err() {
            tracing::debug!("logging had been started before");
        }
    }
}
