//! The attempts of a call that needed more than one, or failed: who was asked, in which order, and what came of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{StoreError, StoreErrorKind};

/// One attempt of a call to have a target answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageAttempt {
    /// Which one it was, from 1.
    pub number: u32,
    /// The target, as `provider/model`.
    pub model: String,
    /// What came of it: [`SERVED`](Self::SERVED), [`OVERTAKEN`](Self::OVERTAKEN), or the kind of failure, such as
    /// `rate_limited`.
    pub outcome: Cow<'static, str>,
    /// From the arrival of the call to the start of the attempt, in microseconds.
    pub after_micros: i64,
    /// From its start to the answer's first byte, or to its failure, in microseconds.
    pub latency_micros: i64,
}

impl UsageAttempt {
    /// The outcome of the attempt whose answer the caller got.
    pub const SERVED: &'static str = "served";

    /// The outcome of an attempt that another one overtook.
    pub const OVERTAKEN: &'static str = "overtaken";

    /// Attempts as databases keep them: a JSON array, or nothing for none.
    pub fn to_text(attempts: &[Self]) -> Option<String> {
        // Texts and numbers always have a JSON form.
        (!attempts.is_empty()).then(|| serde_json::to_string(attempts).unwrap_or_default())
    }

    /// Attempts from what a database kept.
    ///
    /// # Errors
    /// `Corrupt` if it is not what [`to_text`](Self::to_text) makes.
    pub fn from_text(text: Option<&str>) -> Result<Vec<Self>, StoreError> {
        let Some(text) = text else { return Ok(Vec::new()) };
        serde_json::from_str(text).map_err(|error| {
            StoreError::new(StoreErrorKind::Corrupt, format!("a usage row's attempts cannot be read: {error}"))
        })
    }
}
