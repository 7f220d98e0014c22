//! The `[auth.tokens]` section: what our tokens say, how long they live and how they are signed.

use std::time::Duration;

use super::super::signing::SigningAlgorithm;
use crate::config::Section;

/// The shortest and the longest life of an access token.
const ACCESS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

/// How tokens are given out.
#[derive(Clone, Debug)]
pub struct Config {
    /// `auth.tokens.issuer`: the `iss` of tokens. A URL, if others are to find the keys by it.
    pub issuer: String,
    /// `auth.tokens.audience`: the `aud` of tokens.
    pub audience: String,
    /// `auth.tokens.algorithm`: how tokens are signed.
    pub(crate) algorithm: SigningAlgorithm,
    /// `auth.tokens.access_lifetime`: how long an access token lives.
    pub access_lifetime: Duration,
    /// `auth.tokens.refresh_lifetime`: how long after signing in tokens can be renewed.
    pub refresh_lifetime: Duration,
    /// `auth.tokens.rotate_after`: how long a key signs before another takes its place.
    pub rotate_after: Duration,
    /// `auth.tokens.attempts_per_address`: how many failures to sign in an address has free before it is slowed down; 0
    /// for no limit, where all callers come from the address of one proxy.
    pub attempts_per_address: u32,
}

impl Config {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        const ALGORITHMS: [(&str, SigningAlgorithm); 2] =
            [("EdDSA", SigningAlgorithm::EdDsa), ("RS256", SigningAlgorithm::Rs256)];
        let config = Self {
            issuer: section.value("issuer", "sabir".to_owned()),
            audience: section.value("audience", "sabir".to_owned()),
            algorithm: section.choice("algorithm", &ALGORITHMS, SigningAlgorithm::EdDsa),
            access_lifetime: section.value("access_lifetime", Duration::from_secs(15 * 60)),
            refresh_lifetime: section.value("refresh_lifetime", Duration::from_secs(30 * 24 * 3600)),
            rotate_after: section.value("rotate_after", Duration::from_secs(30 * 24 * 3600)),
            attempts_per_address: u32::try_from(section.value("attempts_per_address", 20_usize)).unwrap_or(u32::MAX),
        };
        if !(ACCESS.0..=ACCESS.1).contains(&config.access_lifetime) {
            section
                .problem("access_lifetime", "must be from \"1s\" to \"24h\": a token cannot be called back everywhere");
        }
        if config.refresh_lifetime < config.access_lifetime {
            section.problem("refresh_lifetime", "must be at least auth.tokens.access_lifetime");
        }
        if config.rotate_after < Duration::from_secs(3600) {
            section.problem("rotate_after", "must be \"1h\" or more");
        }
        section.finish();
        config
    }
}
