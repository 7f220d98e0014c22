//! The `[auth]` section: whether callers have to say who they are, and what follows from it.

use std::sync::Arc;
use std::time::Duration;

use sabir_providers::Secret;
use sabir_store::{ChangeWatch, IdentityStore, StoreError, StoreErrorKind, TokenStore};

use super::{
    Access, Authenticator, Bearers, Certificates, KeyMint, Keys, Tokens, TokensError, certificate, issuer, token,
};
use crate::config::Section;

/// The fewest bytes that a configured secret has: as many as the hash it is for.
const SECRET_BYTES: usize = 32;

/// Whether callers have to say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nobody has to. Whoever shows an API key of this server is held to it all the same.
    Open,
    /// Everybody has to.
    Required,
}

/// Who may see what describes the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Everybody.
    Public,
    /// Whoever shows a valid credential, whatever it allows.
    Authenticated,
}

/// How callers are told apart.
#[derive(Clone, Debug)]
pub struct Config {
    /// `auth.mode`. Left out: open.
    pub mode: Mode,
    /// `auth.secret` or `auth.secret_file`: what hashes of API keys are made with. Left out: made once and kept in the
    /// database.
    pub secret: Option<Secret>,
    /// `auth.reflection`: who may ask for the schema by gRPC server reflection.
    pub reflection: Policy,
    /// `auth.docs`: who may see the pages and the OpenAPI documents.
    pub docs: Policy,
    /// `auth.stale_for`: how long identities in memory count while the database is away.
    pub stale_for: Duration,
    /// `[auth.tokens]`.
    pub tokens: token::Config,
    /// `[auth.certificates]`: whose certificates count for what.
    pub certificates: Vec<certificate::Config>,
    /// `[auth.issuers]`: other issuers whose tokens are accepted.
    pub issuers: Vec<issuer::Config>,
}

impl Config {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        const POLICIES: [(&str, Policy); 2] = [("public", Policy::Public), ("authenticated", Policy::Authenticated)];
        let config = Self {
            mode: section.choice("mode", &[("open", Mode::Open), ("required", Mode::Required)], Mode::Open),
            secret: secret(&mut section),
            reflection: section.choice("reflection", &POLICIES, Policy::Public),
            docs: section.choice("docs", &POLICIES, Policy::Public),
            stale_for: section.value("stale_for", Duration::from_secs(60)),
            tokens: token::Config::read(section.section("tokens")),
            certificates: certificate::read(section.section("certificates")),
            issuers: issuer::read(section.section("issuers")),
        };
        section.finish();
        config
    }

    /// What makes and hashes API keys, with the secret that is configured or else the one in the database.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn mint(&self, store: &dyn IdentityStore) -> Result<Arc<KeyMint>, StoreError> {
        Ok(Arc::new(KeyMint::new(&self.secret_bytes(store).await?)))
    }

    /// The secret that is configured, or else the one in the database.
    async fn secret_bytes(&self, store: &dyn IdentityStore) -> Result<Vec<u8>, StoreError> {
        match &self.secret {
            Some(secret) => Ok(secret.expose().as_bytes().to_vec()),
            None => {
                let mut candidate = [0; SECRET_BYTES];
                aws_lc_rs::rand::fill(&mut candidate).map_err(|_| {
                    StoreError::new(StoreErrorKind::Unavailable, "the system gives no random numbers for a secret")
                })?;
                Ok(store.hash_secret(&candidate).await?.to_vec())
            }
        }
    }

    /// What gives out tokens and tells whose they are.
    ///
    /// # Errors
    /// What the database says, or that its keys were made with another secret.
    pub(crate) async fn tokens(
        &self,
        store: Arc<dyn TokenStore>,
        identity: Arc<dyn IdentityStore>,
        changes: ChangeWatch,
    ) -> Result<Arc<Tokens>, TokensError> {
        let secret = self.secret_bytes(&*identity).await?;
        Tokens::start(self.tokens.clone(), &secret, store, identity, changes, self.stale_for).await
    }

    /// What tells callers apart.
    pub(crate) fn build(
        &self,
        mint: Arc<KeyMint>,
        store: Arc<dyn IdentityStore>,
        changes: ChangeWatch,
        access: Access,
        bearers: Bearers,
    ) -> Arc<Authenticator> {
        let certificates = Certificates::new(self.certificates.clone());
        Arc::new(Authenticator::new(
            self.mode,
            access,
            Keys::new(mint, store, changes, self.stale_for),
            bearers,
            certificates,
        ))
    }
}

/// The secret, from the one place that is given.
fn secret(section: &mut Section<'_>) -> Option<Secret> {
    let written = section.optional::<String>("secret");
    let file = section.optional::<String>("secret_file");
    if written.is_some() && file.is_some() {
        section.problem("secret", "give one of secret and secret_file");
    }
    let from_file = file.and_then(|path| match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            section.problem("secret_file", format!("cannot read {path}: {error}"));
            None
        }
    });
    // A line feed at the end is what an editor leaves in a file.
    let secret = written.or(from_file).map(|text| Secret::new(text.trim()))?;
    if secret.expose().len() < SECRET_BYTES {
        section.problem(
            "secret",
            format!("must have {SECRET_BYTES} characters or more; `openssl rand -hex 32` makes one"),
        );
    }
    Some(secret)
}
