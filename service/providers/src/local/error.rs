//! What can go wrong with the local model: when it is loaded, and when it is asked.
//!
//! Knows nothing of the upstream trait; `upstream.rs` maps [`GenerateError`] onto it.

use std::{fmt, io, path::PathBuf};

/// Why a model file could not be turned into an engine.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file that was asked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not GGUF, is cut short, or contradicts itself.
    #[error("{}: not a usable GGUF model: {message}", path.display())]
    Malformed {
        /// The file that was asked for.
        path: PathBuf,
        /// What does not fit.
        message: String,
    },
    /// A well-formed model that this engine would run wrongly, so it does not run it at all.
    #[error("{}: `{key}` is `{found}`, which is not supported; supported: {}", path.display(), List(accepted))]
    Unsupported {
        /// The file that was asked for.
        path: PathBuf,
        /// The GGUF metadata key that says so.
        key: &'static str,
        /// The value in the file.
        found: String,
        /// The values that would have been accepted.
        accepted: &'static [&'static str],
    },
    /// The worker thread could not be started.
    #[error("cannot start the local model's thread: {0}")]
    Thread(io::Error),
}

/// Why a generation was refused or broke off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The request asks for something impossible, or something this engine cannot do.
    #[error("{message}")]
    InvalidRequest {
        /// The request field at fault, as a path (`response_format.json_schema.schema`).
        param: String,
        /// What is wrong with it.
        message: String,
    },
    /// The prompt does not leave room for a single token of answer.
    #[error(
        "the prompt has {}{prompt_tokens} tokens, but the local model's context is limited to {limit}",
        if *.at_least { "at least " } else { "" }
    )]
    ContextLength {
        /// Tokens in the rendered prompt.
        prompt_tokens: usize,
        /// True if the prompt was too long to be worth counting, so that `prompt_tokens` is a lower bound.
        at_least: bool,
        /// Positions the engine has for prompt and answer together.
        limit: usize,
    },
    /// The queue is full.
    #[error("the local model is busy: {waiting} requests are already waiting")]
    Overloaded {
        /// Requests in the queue when this one came.
        waiting: usize,
    },
    /// The caller's deadline passed, in the queue or while tokens were made.
    #[error("the deadline passed before the local model had finished")]
    DeadlineExceeded,
    /// The engine was dropped.
    #[error("the local model is shutting down")]
    ShutDown,
    /// A fault in the engine.
    #[error("the local model failed: {0}")]
    Internal(String),
}

impl GenerateError {
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidRequest { param: param.into(), message: message.into() }
    }
}

impl From<candle_core::Error> for GenerateError {
    fn from(error: candle_core::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Prints `a, b, c`.
struct List<'a>(&'a [&'static str]);

impl fmt::Display for List<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(", "))
    }
}
