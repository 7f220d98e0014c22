//! The `[cache]` section.

use std::time::Duration;

use crate::config::{ByteSize, Section};

/// Among whom answers are shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Nobody else gets what was answered to a key.
    #[default]
    Key,
    /// The members of a team share; who has none is alone.
    Team,
    /// Everybody shares.
    Everyone,
}

/// How answers are kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// `cache.enabled`: whether any are.
    pub enabled: bool,
    /// `cache.ttl`: for how long.
    pub ttl: Duration,
    /// `cache.memory`: how much memory they take together, in bytes.
    pub memory: usize,
    /// `cache.max_answer`: the longest answer that is kept, in bytes.
    pub longest: usize,
    /// `cache.scope`: among whom they are shared.
    pub scope: Scope,
    /// `cache.shared`: whether servers with the same database share them.
    pub shared: bool,
    /// `cache.embedding_model`: the model that says how much alike two questions are, as `provider/model`.
    pub embedding_model: Option<String>,
}

impl Config {
    /// Reads the section. `compares` says whether a route takes a kept answer for a question that is merely alike.
    pub(crate) fn read(mut section: Section<'_>, compares: bool) -> Self {
        let scopes = [("key", Scope::Key), ("team", Scope::Team), ("everyone", Scope::Everyone)];
        let scope = section.choice("scope", &scopes, Scope::Key);
        let config = Self {
            enabled: section.value("enabled", false),
            ttl: section.value("ttl", Duration::from_secs(600)),
            memory: section.value("memory", ByteSize(64 << 20)).0,
            longest: section.value("max_answer", ByteSize(1 << 20)).0,
            scope,
            shared: section.value("shared", false),
            embedding_model: section.optional("embedding_model"),
        };
        if config.ttl.is_zero() {
            section.problem("ttl", "must be more than nothing; to keep nothing, set cache.enabled to false");
        }
        if config.longest > config.memory {
            section.problem("max_answer", "must be at most cache.memory");
        }
        if compares && !config.enabled {
            section.problem("enabled", "must be true, because a route has cache_similarity");
        }
        if compares && config.embedding_model.is_none() {
            let message = "must name the model that compares questions, such as \"local/all-minilm-l6-v2\", because a \
                           route has cache_similarity";
            section.problem("embedding_model", message);
        }
        section.finish();
        config
    }
}
