//! Marks in a prompt that say up to where it is kept, which are pieces of their own here and stand behind what they mark.
//!
//! Source: <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>.

use std::collections::BTreeMap;

use sabir_proto::v1::PromptCacheBreakpoint;
use serde::Deserialize;

use super::Family;
use super::wire::CachePoint;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::upstream::Origin;

/// The mark in Anthropic's words, which clients of many vendors use.
const MARK: &str = "cache_control";

/// Whether marks are for this model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) family: Family,
    pub(super) origin: Origin,
}

#[derive(Deserialize)]
struct Mark {
    ttl: Option<String>,
}

impl Marks {
    /// A mark in our words.
    pub(super) fn breakpoint(self, breakpoint: Option<PromptCacheBreakpoint>) -> Option<CachePoint> {
        breakpoint.map(|breakpoint| point(breakpoint.ttl))
    }

    /// Takes a mark in Anthropic's words out of an object's members. One that another API's client set, who does not know
    /// this model, is forgotten where it would be refused.
    pub(super) fn take(
        self,
        members: &mut BTreeMap<String, String>,
        path: &str,
    ) -> Result<Option<CachePoint>, UpstreamError> {
        let text = members.remove(MARK).filter(|text| !matches!(text.as_str(), "" | "null"));
        let Some(text) = text.filter(|_| self.origin != Origin::Translated || self.family.caches()) else {
            return Ok(None);
        };
        let mark: Mark = serde_json::from_str(&text).map_err(|error| {
            let message = format!("{path}.{MARK} is no mark of a prompt cache: {error}");
            UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(format!("{path}.{MARK}"))
        })?;
        Ok(Some(point(mark.ttl)))
    }
}

fn point(ttl: Option<String>) -> CachePoint {
    CachePoint { r#type: "default", ttl }
}
