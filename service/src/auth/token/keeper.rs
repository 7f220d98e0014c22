//! Keeps what is known of keys and revocations as new as the database's, replaces the signing key when it is old, and
//! has what expired removed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use sabir_store::{SigningKey, unix_micros};
use uuid::Uuid;

use super::super::Refusal;
use super::super::signing::{KeyRing, SigningError, generate};
use super::{Tokens, TokensError, unavailable};

use crate::telemetry::event;

/// How long a key is published before it signs, so that whoever keeps published keys for a while has it in time.
const PUBLISHED_AHEAD: Duration = Duration::from_secs(600);

/// How much longer than its tokens a key is kept, for clocks that differ.
const KEPT_AFTER: Duration = Duration::from_secs(120);

/// How often it is seen to that the key is not too old.
const EVERY: Duration = Duration::from_secs(60);

/// How often what expired is removed.
const CLEANED_EVERY: u32 = 60;

/// How long after a failure it is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// Keys and revocations, as the database had them in a generation.
#[derive(Debug, Default)]
pub(super) struct Known {
    generation: Option<i64>,
    pub(super) ring: KeyRing,
    revoked: HashMap<Uuid, i64>,
}

impl Known {
    /// Whether the tokens of this session are refused.
    pub(super) fn is_revoked(&self, session: Uuid) -> bool {
        self.revoked.contains_key(&session)
    }
}

/// Follows the database until nobody needs the tokens any more.
pub(super) fn follow(tokens: &Arc<Tokens>) {
    let mut changes = tokens.changes.subscribe();
    let tokens = Arc::downgrade(tokens);
    tokio::spawn(async move {
        let mut rounds: u32 = 0;
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(EVERY) => rounds = rounds.wrapping_add(1),
            }
            while !keep(&tokens, rounds).await {
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
}

/// Does what is due; answers whether it was done, or nobody is interested any more.
async fn keep(tokens: &Weak<Tokens>, rounds: u32) -> bool {
    let Some(tokens) = tokens.upgrade() else { return true };
    let done = async {
        if tokens.known().generation != Some(tokens.changes.generations().tokens) {
            tokens.reload().await?;
        }
        tokens.rotate_if_due().await?;
        if rounds % CLEANED_EVERY == CLEANED_EVERY - 1 {
            tokens.store.forget_expired_tokens(unix_micros(SystemTime::now())).await?;
        }
        Ok::<(), TokensError>(())
    };
    match done.await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(
                event = event::SIGNING_KEYS_STALE, %error,
                "the keys of tokens cannot be kept up to date; what is in memory is used for now"
            );
            false
        }
    }
}

impl Tokens {
    /// Reads keys and revocations anew.
    pub(super) async fn reload(&self) -> Result<(), TokensError> {
        let _turn = self.reloading.lock().await;
        self.read_known().await
    }

    /// Makes sure that what is known is as new as the latest generation that was seen.
    pub(super) async fn catch_up(&self) -> Result<(), Refusal> {
        let is_current = || self.known().generation == Some(self.changes.generations().tokens);
        if is_current() {
            return Ok(());
        }
        let _turn = self.reloading.lock().await;
        if is_current() {
            return Ok(());
        }
        match self.read_known().await {
            Ok(()) => Ok(()),
            Err(TokensError::Store(error)) => Err(unavailable(&error)),
            Err(TokensError::Signing(error)) => {
                tracing::warn!(event = event::SIGNING_KEYS_STALE, error, "the keys of tokens cannot be read");
                Err(Refusal::Unavailable)
            }
        }
    }

    async fn read_known(&self) -> Result<(), TokensError> {
        // Before the rows are read: what is read is at least as new.
        let generation = self.changes.generations().tokens;
        let keys = self.store.signing_keys().await?;
        let revocations = self.store.revocations(unix_micros(SystemTime::now())).await?;
        let known = Known {
            generation: Some(generation),
            ring: KeyRing::new(&self.secret, self.config.algorithm, keys)?,
            revoked: revocations.into_iter().map(|revocation| (revocation.id, revocation.until_micros)).collect(),
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    /// Has a session's tokens refused, here at once and on other replicas as soon as they notice.
    pub(crate) async fn revoke(&self, session: Uuid) -> Result<(), TokensError> {
        let now = unix_micros(SystemTime::now());
        self.store.revoke(sabir_store::Revocation { id: session, until_micros: self.forgotten_at(now) }, now).await?;
        self.reload().await
    }

    /// What came of a replayed refresh token is known at once.
    pub(crate) async fn note_replay(&self) -> Result<(), TokensError> {
        self.reload().await
    }

    /// When a revocation can be forgotten that is made now: the last token of its session has expired then.
    pub(crate) fn forgotten_at(&self, now_micros: i64) -> i64 {
        now_micros.saturating_add(micros(self.config.access_lifetime + KEPT_AFTER))
    }

    /// Makes a new key if there is none, or if the latest has signed for long enough. Of several replicas one does.
    pub(super) async fn rotate_if_due(&self) -> Result<(), TokensError> {
        let now = unix_micros(SystemTime::now());
        let known = self.known();
        let latest = known.ring.latest();
        if latest.is_some_and(|latest| latest.created_at_micros + micros(self.config.rotate_after) > now) {
            return Ok(());
        }
        let key = self.new_key(now, latest.is_some()).await?;
        let retire_at = key.not_before_micros + micros(self.config.access_lifetime + KEPT_AFTER);
        let added = self.store.add_signing_key(&key, latest.map(|latest| latest.id()), retire_at).await?;
        if added {
            tracing::info!(
                event = event::SIGNING_KEY_ADDED,
                kid = key.id,
                algorithm = key.algorithm,
                "a new key will sign tokens"
            );
        }
        self.reload().await
    }

    async fn new_key(&self, now: i64, replaces: bool) -> Result<SigningKey, TokensError> {
        let (secret, algorithm) = (self.secret.clone(), self.config.algorithm);
        // An RSA key takes a good part of a second.
        let made = tokio::task::spawn_blocking(move || generate(&secret, algorithm)).await;
        let key = made.map_err(|_| SigningError::Make)??;
        let ahead = if replaces { micros(PUBLISHED_AHEAD) } else { 0 };
        Ok(SigningKey { created_at_micros: now, not_before_micros: now + ahead, ..key })
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
