//! Other issuers whose tokens are accepted (OpenID Connect, RFC 9068): found by discovery, their keys kept in memory, what
//! their tokens may do decided by the configuration alone.
//!
//! It must not know how a caller came by a token, nor what our own tokens look like.

mod config;
mod fetch;
mod keys;
mod mapping;

use std::sync::Arc;

use jsonwebtoken::Validation;
use serde_json::{Map, Value};

use super::token::{Times, now_seconds};
use super::{Identity, Principal, Refusal};

pub(super) use config::Config;
pub(crate) use config::read;
pub(super) use config::scopes_of;
use keys::Keys;

/// How far clocks may differ, in seconds.
const LEEWAY: i64 = 30;

/// The longest `sub`, in bytes (OpenID Connect Core 1.0, section 2).
const LONGEST_SUBJECT: usize = 255;

/// What a token for calls may say of its type. One that says more is for something else.
const TYPES: [&str; 4] = ["jwt", "at+jwt", "application/at+jwt", "application/jwt"];

/// The issuers that are trusted.
#[derive(Debug, Default)]
pub(crate) struct Issuers(Vec<Issuer>);

/// An issuer that is trusted.
#[derive(Debug)]
struct Issuer {
    config: Config,
    keys: Keys,
    name: Arc<str>,
}

impl Issuers {
    /// The issuers of this configuration. Nothing is fetched before a token asks for it.
    pub(crate) fn new(configs: &[Config]) -> Self {
        let issuer = |config: &Config| Issuer {
            keys: Keys::new(&config.url, config.algorithms.clone()),
            name: config.url.as_str().into(),
            config: config.clone(),
        };
        Self(configs.iter().map(issuer).collect())
    }

    /// Checks a token that says it is from `issuer`: who it is for, and until when, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// See [`Refusal`]; `Unavailable` only if nothing is known of the issuer's keys.
    pub(super) async fn verify(&self, issuer: &str, token: &str) -> Result<(Principal, i64), Refusal> {
        let issuer = self.0.iter().find(|known| known.config.url == issuer).ok_or(Refusal::Invalid)?;
        issuer.verify(token).await
    }
}

impl Issuer {
    async fn verify(&self, token: &str) -> Result<(Principal, i64), Refusal> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Invalid)?;
        let typ = header.typ.as_deref().map(str::to_ascii_lowercase);
        if typ.is_some_and(|typ| !TYPES.contains(&typ.as_str())) || !self.config.algorithms.contains(&header.alg) {
            return Err(Refusal::Invalid);
        }
        let key = self.keys.key(header.kid.as_deref(), header.alg).await?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.config.url]);
        validation.set_audience(&self.config.audience);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        validation.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
        let claims = decoded.map_err(|_| Refusal::Invalid)?.claims;
        let times = Times {
            issued_at: time(&claims, "iat")?,
            not_before: time(&claims, "nbf")?,
            expires_at: time(&claims, "exp")?.ok_or(Refusal::Invalid)?,
        };
        times.check(now_seconds(), LEEWAY, LEEWAY)?;
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT {
            return Err(Refusal::Invalid);
        }
        let principal = Principal::new(
            Identity::External { issuer: Arc::clone(&self.name), subject: subject.into() },
            None,
            mapping::team(&self.config, &claims),
            mapping::scopes(&self.config, &claims),
            Some(self.config.models.clone()).filter(|models| !models.is_empty()).into_iter().collect(),
        );
        Ok((principal, times.expires_at.saturating_add(LEEWAY)))
    }
}

/// A time in seconds since the Unix epoch, which may have a fraction (RFC 7519, section 2, NumericDate).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match (value.as_i64(), value.as_f64()) {
            (Some(seconds), _) => Ok(Some(seconds)),
            // A conversion saturates: what is beyond all times stays so.
            (None, Some(seconds)) => Ok(Some(seconds.floor() as i64)),
            (None, None) => Err(Refusal::Invalid),
        },
    }
}
