//! The `[auth]` section: whether callers have to say who they are, and what follows from it.

use std::sync::Arc;
use std::time::Duration;

use sabir_providers::Secret;
use sabir_store::{ChangeWatch, IdentityStore, StoreError, StoreErrorKind};

use super::{Access, Authenticator, KeyMint, Keys};
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
        };
        section.finish();
        config
    }

    /// What makes and hashes API keys, with the secret that is configured or else the one in the database.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn mint(&self, store: &dyn IdentityStore) -> Result<Arc<KeyMint>, StoreError> {
        let mint = match &self.secret {
            Some(secret) => KeyMint::new(secret.expose().as_bytes()),
            None => {
                let mut candidate = [0; SECRET_BYTES];
                aws_lc_rs::rand::fill(&mut candidate).map_err(|_| {
                    StoreError::new(StoreErrorKind::Unavailable, "the system gives no random numbers for a secret")
                })?;
                KeyMint::new(&store.hash_secret(&candidate).await?)
            }
        };
        Ok(Arc::new(mint))
    }

    /// What tells callers apart.
    pub(crate) fn build(
        &self,
        mint: Arc<KeyMint>,
        store: Arc<dyn IdentityStore>,
        changes: ChangeWatch,
        access: Access,
    ) -> Arc<Authenticator> {
        Arc::new(Authenticator::new(self.mode, access, Keys::new(mint, store, changes, self.stale_for)))
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
