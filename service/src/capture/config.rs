//! The `[capture]` section.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{ByteSize, Section};
use crate::redact::Redactor;

/// The most that may be kept of a prompt or of an answer, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// What is captured of calls.
#[derive(Clone, Debug)]
pub struct Config {
    /// `capture.enabled`: whether anything is.
    pub enabled: bool,
    /// `capture.sample`: the part of the calls, from 0 to 1.
    pub sample: f64,
    /// `capture.max_bytes`: how much is kept of a prompt, and how much of an answer.
    pub max_bytes: usize,
    /// `capture.retention`: how long a capture is kept.
    pub retention: Duration,
    /// `capture.redact`: what is taken out first, credentials always.
    pub(crate) redactor: Arc<Redactor>,
}

impl Config {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let usual = || Redactor::KINDS.iter().map(|(kind, _)| (*kind).to_owned()).collect();
        let redact: Vec<String> = section.optional("redact").unwrap_or_else(usual);
        let redactor = Redactor::new(&redact).unwrap_or_else(|problem| {
            section.problem("redact", problem);
            Redactor::default()
        });
        let config = Self {
            enabled: section.value("enabled", false),
            sample: section.value("sample", 1.0),
            max_bytes: section.value("max_bytes", ByteSize(16 << 10)).0,
            retention: section.value("retention", Duration::from_secs(7 * 24 * 60 * 60)),
            redactor: Arc::new(redactor),
        };
        if !(0.0..=1.0).contains(&config.sample) {
            section.problem("sample", "must be from 0 to 1");
        }
        if !(1..=MOST_BYTES).contains(&config.max_bytes) {
            section.problem("max_bytes", "must be from 1 byte to 1MiB");
        }
        if config.retention.is_zero() {
            section.problem("retention", "must be more than nothing; to capture nothing, set capture.enabled to false");
        }
        section.finish();
        config
    }
}
