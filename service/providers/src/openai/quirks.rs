//! Where servers that speak OpenAI's protocol depart from it.

use serde::Deserialize;

/// How a server departs from OpenAI's protocol. The default is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// How token counts are had from a stream.
    pub stream_usage: StreamUsage,
    /// What ends a stream.
    pub done_marker: DoneMarker,
    /// How the length of an answer is limited.
    pub output_limit: OutputLimit,
}

impl Quirks {
    /// No departure.
    pub const NONE: Self = Self {
        stream_usage: StreamUsage::Asked,
        done_marker: DoneMarker::Required,
        output_limit: OutputLimit::AsGiven,
    };
}

/// How token counts are had from a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamUsage {
    /// By `stream_options.include_usage`.
    #[default]
    Asked,
    /// They come unasked, if at all, and `stream_options.include_usage` may be refused.
    Unasked,
}

/// What ends a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoneMarker {
    /// The event `[DONE]`, and nothing else.
    #[default]
    Required,
    /// The event `[DONE]`, or the end of the body once every choice has its finish reason.
    FinishReasonSuffices,
}

/// How the length of an answer is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputLimit {
    /// By the member that the caller used.
    #[default]
    AsGiven,
    /// By `max_tokens`: the server refuses `max_completion_tokens`, or ignores it in silence, which is worse.
    MaxTokens,
}
