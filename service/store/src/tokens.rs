//! Tokens: the programs that may ask for them, the keys that sign them, and the families of refresh tokens.
//!
//! Access tokens are not kept; they prove themselves. What is kept is what can make one invalid before its time. Every
//! change of that moves the `tokens` generation (see [`crate::ChangeStore`]) in the same transaction.

use uuid::Uuid;

use crate::{AuditEntry, Page, StoreFuture};

/// A program that gets tokens by credentials of its own (RFC 6749, section 4.4). Its secret is not kept, only a keyed
/// hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthClient {
    /// A UUID (version 7); its text is the `client_id`.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// HMAC-SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// The team whose limits and budgets count, if any.
    pub team_id: Option<Uuid>,
    /// The names of the scopes it may be granted, sorted.
    pub scopes: Vec<String>,
    /// When it was made, in microseconds since the Unix epoch, UTC.
    pub created_at_micros: i64,
    /// Since when it may do nothing; `None` while active.
    pub disabled_at_micros: Option<i64>,
}

/// A key that signs tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The `kid` of tokens that it signs (RFC 7515, section 4.1.4).
    pub id: String,
    /// The `alg` of tokens that it signs (RFC 7518, section 3.1): `EdDSA`.
    pub algorithm: String,
    /// The public part as a JSON Web Key (RFC 7517).
    pub public_key: String,
    /// The private part, encrypted by whoever keeps it here.
    pub sealed_private_key: Vec<u8>,
    /// When it was made, in microseconds since the Unix epoch, UTC.
    pub created_at_micros: i64,
    /// From when it signs, in microseconds since the Unix epoch. It is published before, so that those who verify know
    /// it in time.
    pub not_before_micros: i64,
    /// From when what it signed is refused; `None` while it signs.
    pub retired_at_micros: Option<i64>,
}

/// The line of refresh tokens that began with one sign-in. Each is good for one use, which gives the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshFamily {
    /// A UUID (version 7), which is also in the access tokens of the family.
    pub id: Uuid,
    /// The user who signed in.
    pub user_id: Uuid,
    /// The client that signed the user in, if it said which it is. No other may use the tokens.
    pub client_id: Option<Uuid>,
    /// The names of the scopes that were granted, sorted.
    pub scopes: Vec<String>,
    /// When it began, in microseconds since the Unix epoch, UTC.
    pub created_at_micros: i64,
    /// From when none of its tokens is accepted, in microseconds since the Unix epoch.
    pub expires_at_micros: i64,
    /// Since when it is revoked; `None` while it is not.
    pub revoked_at_micros: Option<i64>,
}

/// What came of presenting a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// It was good, and the new one has taken its place.
    Renewed(RefreshFamily),
    /// There is no such token, or another client's.
    Unknown,
    /// Its family has expired.
    Expired,
    /// Its family was revoked.
    Revoked,
    /// It had been used before, so that two parties have it: its family is revoked now (RFC 9700, section 4.14.2).
    Replayed(RefreshFamily),
}

/// A sign-in, or a single token, whose access tokens are refused before their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// The family's id, or the token's own where there is no family.
    pub id: Uuid,
    /// From when it can be forgotten, in microseconds since the Unix epoch: the last such token has expired then.
    pub until_micros: i64,
}

/// Keeps clients, signing keys and refresh tokens.
///
/// Refresh tokens are known by their hashes. What `until_micros` says of a revocation is up to the caller, who knows how
/// long access tokens live.
pub trait TokenStore: Send + Sync {
    /// Adds a client. `Constraint` if its team is not there.
    fn create_client<'a>(&'a self, client: &'a OAuthClient, audit: &'a AuditEntry) -> StoreFuture<'a, ()>;
    /// The client of this id.
    fn client(&self, id: Uuid) -> StoreFuture<'_, Option<OAuthClient>>;
    /// Clients, latest first; of one team, or of all.
    fn list_clients(&self, team_id: Option<Uuid>, page: Page) -> StoreFuture<'_, Vec<OAuthClient>>;
    /// Replaces what can change of a client: everything but `id` and `created_at_micros`. Answers whether it was there.
    fn update_client<'a>(&'a self, client: &'a OAuthClient, audit: &'a AuditEntry) -> StoreFuture<'a, bool>;
    /// Removes a client and the families it began. Answers whether it was there.
    fn delete_client<'a>(&'a self, id: Uuid, audit: &'a AuditEntry) -> StoreFuture<'a, bool>;

    /// Every key that signs or has signed, latest first.
    fn signing_keys(&self) -> StoreFuture<'_, Vec<SigningKey>>;
    /// Adds a key if the latest of its algorithm is still `after` (`None`: if there is none), and has the others of its
    /// algorithm retire at `retire_at_micros` if nothing was said of that yet. Answers whether it was added; of several
    /// replicas that try, one succeeds.
    fn add_signing_key<'a>(
        &'a self,
        key: &'a SigningKey,
        after: Option<&'a str>,
        retire_at_micros: i64,
    ) -> StoreFuture<'a, bool>;

    /// Begins a family with its first token, if the user is active and the password still is the one that was checked.
    /// Answers whether that is so; what ends sign-ins thereby also ends those that are just beginning.
    fn begin_family<'a>(
        &'a self,
        family: &'a RefreshFamily,
        password_hash: &'a str,
        token_hash: &'a [u8; 32],
    ) -> StoreFuture<'a, bool>;
    /// Takes a token, and puts `next_hash` in its place if it is good. A token that was used before revokes its family,
    /// with a revocation until `until_micros`.
    fn renew<'a>(
        &'a self,
        token_hash: &'a [u8; 32],
        client_id: Option<Uuid>,
        next_hash: &'a [u8; 32],
        now_micros: i64,
        until_micros: i64,
    ) -> StoreFuture<'a, Renewal>;
    /// The family of a token, used or not.
    fn family_of<'a>(&'a self, token_hash: &'a [u8; 32]) -> StoreFuture<'a, Option<RefreshFamily>>;
    /// Revokes the family of this id, if there is one, and has access tokens of this id refused.
    fn revoke(&self, revocation: Revocation, now_micros: i64) -> StoreFuture<'_, ()>;
    /// What is revoked and not forgotten.
    fn revocations(&self, now_micros: i64) -> StoreFuture<'_, Vec<Revocation>>;

    /// Forgets families, revocations and keys whose time is over. Answers how many rows that were.
    fn forget_expired_tokens(&self, now_micros: i64) -> StoreFuture<'_, u64>;
}
