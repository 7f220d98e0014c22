//! Access tokens: JSON Web Tokens that prove themselves (RFC 7519, RFC 9068), and who it is that shows one.
//!
//! A signature and a few claims are checked without the database; whether the user, the team and the client behind them
//! are still there is looked up once for each generation of identities and kept in memory. It must not know how a caller
//! came by a token.

mod claims;
mod config;
mod keeper;

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::Validation;
use sabir_store::{ChangeWatch, IdentityStore, StoreError, Team, TokenStore, unix_micros};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use super::derive::{KeyedHash, Purpose};
use super::memory::{Hash, Memory};
use super::signing::SigningError;
use super::{Identity, Principal, Refusal, Scope, Scopes};

pub(crate) use claims::{Claims, Times, now_seconds};
pub(super) use config::Config;
use keeper::Known;

use crate::telemetry::event;

/// The `typ` of our tokens (RFC 9068, section 2.1), which keeps tokens for other uses from being taken for them.
const TYPE: &str = "at+jwt";

/// How many tokens may be looked up at once.
const LOOKUPS: usize = 16;

/// How long a call waits for a look-up, its turn included.
const PATIENCE: Duration = Duration::from_secs(3);

/// How far ahead another replica's clock may be.
const LEEWAY: i64 = 30;

/// Why tokens cannot be given out or checked at all.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The database is away or broken.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys cannot be used.
    #[error("{0}; set the `auth.secret` they were made with, or empty the table `signing_key`")]
    Signing(String),
}

impl From<SigningError> for TokensError {
    fn from(error: SigningError) -> Self {
        Self::Signing(error.to_string())
    }
}

/// What is known of a token that was checked.
#[derive(Debug, Clone)]
struct Checked {
    principal: Arc<Principal>,
    /// From when it is refused, in seconds since the Unix epoch.
    expires_at: i64,
    /// What may be revoked of it.
    session: Option<Uuid>,
}

/// Gives out tokens and tells whose they are.
pub(crate) struct Tokens {
    config: Config,
    secret: Vec<u8>,
    refresh_hash: KeyedHash,
    client_hash: KeyedHash,
    store: Arc<dyn TokenStore>,
    identity: Arc<dyn IdentityStore>,
    changes: ChangeWatch,
    known: RwLock<Arc<Known>>,
    reloading: tokio::sync::Mutex<()>,
    memory: Memory<Checked>,
    lookups: Semaphore,
}

impl Tokens {
    /// Reads the keys, makes the first one if there is none, and follows what other replicas do. `secret` is what keys
    /// are encrypted and secrets hashed with.
    ///
    /// # Errors
    /// See [`TokensError`].
    pub(crate) async fn start(
        config: Config,
        secret: &[u8],
        store: Arc<dyn TokenStore>,
        identity: Arc<dyn IdentityStore>,
        changes: ChangeWatch,
        stale_for: Duration,
    ) -> Result<Arc<Self>, TokensError> {
        let hash = |purpose| KeyedHash::new(secret, purpose).ok_or(SigningError::Make);
        let tokens = Arc::new(Self {
            config,
            secret: secret.to_vec(),
            refresh_hash: hash(Purpose::RefreshTokens)?,
            client_hash: hash(Purpose::ClientSecrets)?,
            store,
            identity,
            memory: Memory::new(changes.clone(), |now| [now.identity, now.tokens], stale_for),
            changes,
            known: RwLock::default(),
            reloading: tokio::sync::Mutex::default(),
            lookups: Semaphore::new(LOOKUPS),
        });
        tokens.reload().await?;
        tokens.rotate_if_due().await?;
        keeper::follow(&tokens);
        Ok(tokens)
    }

    /// The configuration.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The hash of refresh tokens.
    pub(crate) fn refresh_hash(&self) -> &KeyedHash {
        &self.refresh_hash
    }

    /// The hash of the secrets of clients.
    pub(crate) fn client_hash(&self) -> &KeyedHash {
        &self.client_hash
    }

    /// The aggregate behind.
    pub(crate) fn store(&self) -> &dyn TokenStore {
        &*self.store
    }

    /// Users and teams.
    pub(crate) fn identity(&self) -> &dyn IdentityStore {
        &*self.identity
    }

    /// Whether a token with this `iss` is one of ours to judge.
    pub(crate) fn is_ours(&self, issuer: &str) -> bool {
        issuer == self.config.issuer
    }

    /// What memory says of a token; `None` if it has to be looked at.
    pub(super) fn recall(&self, token: &str) -> Option<Result<Arc<Principal>, Refusal>> {
        let hash = hash(token);
        let cut_off = || self.memory.is_cut_off().then(|| self.memory.superseded(&hash)).flatten();
        self.memory.current(&hash).or_else(cut_off).map(|checked| self.judge(checked))
    }

    /// Who was behind a token before a change, for when the database cannot say who is now.
    pub(super) fn superseded(&self, token: &str) -> Option<Result<Arc<Principal>, Refusal>> {
        self.memory.superseded(&hash(token)).map(|checked| self.judge(checked))
    }

    /// Whether a token that was checked lets in now.
    fn judge(&self, checked: Checked) -> Result<Arc<Principal>, Refusal> {
        if checked.session.is_some_and(|session| self.known().is_revoked(session)) {
            return Err(Refusal::Invalid);
        }
        if checked.expires_at <= now_seconds() {
            return Err(Refusal::Expired);
        }
        Ok(checked.principal)
    }

    /// Checks a token of ours and looks up who is behind it.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(super) async fn look_up(&self, token: &str) -> Result<Arc<Principal>, Refusal> {
        // What is known of revocations must be as new as what is then remembered.
        self.catch_up().await?;
        let claims = self.verify(token)?;
        let generations = self.memory.generations();
        let principal = self.in_time(self.principal(&claims)).await?;
        let checked = Checked { principal: Arc::clone(&principal), expires_at: claims.exp, session: Some(claims.sid) };
        self.memory.insert(generations, hash(token), checked);
        Ok(principal)
    }

    /// Who a caller is that another issuer vouches for; remembered until its token expires or an identity changes.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(super) async fn vouched(
        &self,
        token: &str,
        principal: Principal,
        expires_at: i64,
    ) -> Result<Arc<Principal>, Refusal> {
        let generations = self.memory.generations();
        let principal = self.in_time(self.with_team(principal)).await?;
        let checked = Checked { principal: Arc::clone(&principal), expires_at, session: None };
        self.memory.insert(generations, hash(token), checked);
        Ok(principal)
    }

    /// The claims of a token of ours, if it is one and its time is now.
    pub(crate) fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Invalid)?;
        if !header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE)) {
            return Err(Refusal::Invalid);
        }
        let known = self.known();
        let now = unix_micros(SystemTime::now());
        let kid = header.kid.as_deref().ok_or(Refusal::Invalid)?;
        // The key says by which algorithm it signs, and not the token.
        let (algorithm, key) = known.ring.verifier(kid, now).ok_or(Refusal::Invalid)?;
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        // Times are checked below, with a leeway of our own for each.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation).map_err(|_| Refusal::Invalid)?.claims;
        claims.times().check(now_seconds(), 0, LEEWAY)?;
        if known.is_revoked(claims.sid) {
            return Err(Refusal::Invalid);
        }
        Ok(claims)
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, SigningError> {
        let known = self.known();
        let signer = known.ring.signer(unix_micros(SystemTime::now())).ok_or(SigningError::Sign)?;
        signer.sign(TYPE, claims)
    }

    /// The public parts of the keys, for whoever wants to check tokens for themselves.
    pub(crate) fn published_keys(&self) -> Vec<jsonwebtoken::jwk::Jwk> {
        self.known().ring.published(unix_micros(SystemTime::now())).into_iter().cloned().collect()
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a look-up in its turn and in time.
    async fn in_time<T>(&self, look_up: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        let in_turn = async {
            let _place = self.lookups.acquire().await.map_err(|_| Refusal::Unavailable)?;
            look_up.await
        };
        timeout(PATIENCE, in_turn).await.unwrap_or(Err(Refusal::Unavailable))
    }

    /// Who is behind the claims, as it is now: what a user or a client may no longer do, its tokens may not either.
    async fn principal(&self, claims: &Claims) -> Result<Arc<Principal>, Refusal> {
        let client = match claims.client_id {
            Some(id) => {
                let client = self.store.client(id).await.map_err(|error| unavailable(&error))?;
                Some(client.filter(|client| client.disabled_at_micros.is_none()).ok_or(Refusal::Invalid)?)
            }
            None => None,
        };
        let granted = Scopes::known(claims.scope.split(' '));
        let principal = match client {
            Some(client) if claims.sub == client.id => {
                let identity = Identity::Client { id: client.id.to_string().into() };
                let scopes = granted.both(Scopes::known(client.scopes.iter().map(String::as_str)));
                Principal::new(identity, None, client.team_id, scopes, Vec::new())
            }
            _ => {
                let user = self.identity.user(claims.sub).await.map_err(|error| unavailable(&error))?;
                let user = user.filter(|user| user.disabled_at_micros.is_none()).ok_or(Refusal::Invalid)?;
                let scopes = granted.both(Scopes::known(user.scopes.iter().map(String::as_str)));
                Principal::new(Identity::User, Some(user.id), user.team_id, scopes, Vec::new())
            }
        };
        self.with_team(principal).await
    }

    /// The principal with what its team allows, if the team is there and active.
    async fn with_team(&self, mut principal: Principal) -> Result<Arc<Principal>, Refusal> {
        if let Some(id) = principal.team_id {
            let team = self.active_team(id).await?;
            principal.models.extend(Some(team.models).filter(|patterns| !patterns.is_empty()));
        }
        Ok(Arc::new(principal))
    }

    /// The team, if it is there and active.
    pub(crate) async fn active_team(&self, id: Uuid) -> Result<Team, Refusal> {
        let team = self.identity.team(id).await.map_err(|error| unavailable(&error))?;
        team.filter(|team| team.disabled_at_micros.is_none()).ok_or(Refusal::Invalid)
    }
}

impl Scopes {
    /// The scopes of these names. A name that this version does not know grants nothing.
    pub(crate) fn known<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(Scope::parse).collect()
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tokens(..)")
    }
}

/// SHA-256 of a token.
fn hash(token: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// What a failing database means to a caller.
pub(crate) fn unavailable(error: &StoreError) -> Refusal {
    tracing::warn!(event = event::IDENTITY_UNAVAILABLE, %error, "the database does not say who it is");
    Refusal::Unavailable
}
