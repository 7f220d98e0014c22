//! Clients, signing keys and refresh tokens in SQLite: each change of what makes tokens invalid with the generation in
//! one transaction.

mod client;
mod refresh;
mod signing;

use sabir_store::{
    AuditEntry, OAuthClient, Page, RefreshFamily, Renewal, Revocation, SigningKey, StoreFuture, TokenStore,
};
use uuid::Uuid;

pub(crate) use refresh::revoke_all;

use crate::{SqliteStore, error::store_error};

/// Boxes a call and gives its error the store's form.
macro_rules! boxed {
    ($action:literal, $call:expr) => {
        Box::pin(async move { $call.await.map_err(|error| store_error($action, &error)) })
    };
}

impl TokenStore for SqliteStore {
    fn create_client<'a>(&'a self, client: &'a OAuthClient, audit: &'a AuditEntry) -> StoreFuture<'a, ()> {
        boxed!("adding a client", self.insert_client(client, audit))
    }

    fn client(&self, id: Uuid) -> StoreFuture<'_, Option<OAuthClient>> {
        boxed!("reading a client", self.select_client(id))
    }

    fn list_clients(&self, team_id: Option<Uuid>, page: Page) -> StoreFuture<'_, Vec<OAuthClient>> {
        boxed!("reading clients", self.select_clients(team_id, page))
    }

    fn update_client<'a>(&'a self, client: &'a OAuthClient, audit: &'a AuditEntry) -> StoreFuture<'a, bool> {
        boxed!("changing a client", self.replace_client(client, audit))
    }

    fn delete_client<'a>(&'a self, id: Uuid, audit: &'a AuditEntry) -> StoreFuture<'a, bool> {
        boxed!("removing a client", self.remove_client(id, audit))
    }

    fn signing_keys(&self) -> StoreFuture<'_, Vec<SigningKey>> {
        boxed!("reading signing keys", self.select_signing_keys())
    }

    fn add_signing_key<'a>(
        &'a self,
        key: &'a SigningKey,
        after: Option<&'a str>,
        retire_at_micros: i64,
    ) -> StoreFuture<'a, bool> {
        boxed!("adding a signing key", self.insert_signing_key(key, after, retire_at_micros))
    }

    fn begin_family<'a>(
        &'a self,
        family: &'a RefreshFamily,
        password_hash: &'a str,
        token_hash: &'a [u8; 32],
    ) -> StoreFuture<'a, bool> {
        boxed!("adding a refresh token", self.insert_family(family, password_hash, token_hash))
    }

    fn renew<'a>(
        &'a self,
        token_hash: &'a [u8; 32],
        client_id: Option<Uuid>,
        next_hash: &'a [u8; 32],
        now_micros: i64,
        until_micros: i64,
    ) -> StoreFuture<'a, Renewal> {
        boxed!(
            "renewing a refresh token",
            self.replace_token(token_hash, client_id, next_hash, now_micros, until_micros)
        )
    }

    fn family_of<'a>(&'a self, token_hash: &'a [u8; 32]) -> StoreFuture<'a, Option<RefreshFamily>> {
        boxed!("reading a refresh token", self.select_family(token_hash))
    }

    fn revoke(&self, revocation: Revocation, now_micros: i64) -> StoreFuture<'_, ()> {
        boxed!("revoking tokens", self.insert_revocation(revocation, now_micros))
    }

    fn revocations(&self, now_micros: i64) -> StoreFuture<'_, Vec<Revocation>> {
        boxed!("reading revoked tokens", self.select_revocations(now_micros))
    }

    fn forget_expired_tokens(&self, now_micros: i64) -> StoreFuture<'_, u64> {
        boxed!("removing expired tokens", self.remove_expired_tokens(now_micros))
    }
}
