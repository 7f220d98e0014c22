//! Logs: for people on a terminal, as JSON otherwise, always to standard error; and to a collector, if there is one.
//!
//! No event carries prompts, answers or credentials. A finished call is logged at `debug`, so that the default level
//! costs a busy server nothing; calls that failed through no fault of the caller are logged at `warn`.

use std::io::IsTerminal;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::Subscriber;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{FormatFields, Writer, debug_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

use super::otlp::Export;
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
    pub fn start(&self, export: &Export) {
        // `read` has checked the filter; what it could not have seen is logged as `info`.
        let filter = EnvFilter::try_new(&self.filter).unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = fmt::layer().with_writer(std::io::stderr);
        let started = if self.format.is_human() {
            let colours = std::io::stderr().is_terminal();
            let lines = lines.with_ansi(colours).with_target(false).fmt_fields(fields(colours));
            registry().with(filter).with(lines).with(sent(export)).try_init()
        } else {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry().with(filter).with(lines).with(sent(export)).try_init()
        };
        if started.is_err() {
            tracing::debug!("logging had been started before");
        }
    }
}

/// The fields of a line for people, who need no name for what the words say.
fn fields(colours: bool) -> impl for<'w> FormatFields<'w> + 'static {
    debug_fn(move |line: &mut Writer<'_>, field, value| match field.name() {
        "message" => write!(line, "{value:?}"),
        "event" => Ok(()),
        name if colours => write!(line, " \u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{value:?}"),
        name => write!(line, " {name}={value:?}"),
    })
}

/// What goes to the collector. What sending makes others log does not: there would be no end to it.
fn sent<S>(export: &Export) -> Option<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let bridge = export.logs().map(OpenTelemetryTracingBridge::new);
    bridge.map(|bridge| bridge.with_filter(filter_fn(|event| event.target().starts_with("sabir"))))
}
