//! Teams, users and keys in Postgres: each change with its audit entry and the generation in one transaction.

mod key;
mod team;
mod user;

use sabir_store::{ApiKey, AuditEntry, IdentityStore, KeyFilter, KeyIdentity, Page, StoreFuture, Team, Update, User};
use uuid::Uuid;

use crate::{PostgresStore, error::store_error, patience::answered};

/// Boxes a call and gives its error the store's form.
macro_rules! boxed {
    ($action:literal, $call:expr) => {
        answered(async move { $call.await.map_err(|error| store_error($action, &error)) })
    };
}

impl IdentityStore for PostgresStore {
    fn create_team<'a>(&'a self, team: &'a Team, audit: &'a AuditEntry) -> StoreFuture<'a, ()> {
        boxed!("adding a team", self.insert_team(team, audit))
    }

    fn team(&self, id: Uuid) -> StoreFuture<'_, Option<Team>> {
        boxed!("reading a team", self.select_team(id))
    }

    fn list_teams(&self, page: Page) -> StoreFuture<'_, Vec<Team>> {
        boxed!("reading teams", self.select_teams(page))
    }

    fn update_team<'a>(&'a self, was: &'a Team, team: &'a Team, audit: &'a AuditEntry) -> StoreFuture<'a, Update> {
        boxed!("changing a team", self.replace_team(was, team, audit))
    }

    fn delete_team<'a>(&'a self, id: Uuid, audit: &'a AuditEntry) -> StoreFuture<'a, bool> {
        boxed!("removing a team", self.remove_team(id, audit))
    }

    fn create_user<'a>(&'a self, user: &'a User, audit: &'a AuditEntry) -> StoreFuture<'a, ()> {
        boxed!("adding a user", self.insert_user(user, audit))
    }

    fn create_user_with_key<'a>(
        &'a self,
        user: &'a User,
        key: &'a ApiKey,
        audit: &'a AuditEntry,
    ) -> StoreFuture<'a, ()> {
        boxed!("adding a user with a key", self.insert_user_with_key(user, key, audit))
    }

    fn user(&self, id: Uuid) -> StoreFuture<'_, Option<User>> {
        boxed!("reading a user", self.select_user(Some(id), None))
    }

    fn user_named<'a>(&'a self, name: &'a str) -> StoreFuture<'a, Option<User>> {
        boxed!("reading a user", self.select_user(None, Some(name)))
    }

    fn list_users(&self, team_id: Option<Uuid>, page: Page) -> StoreFuture<'_, Vec<User>> {
        boxed!("reading users", self.select_users(team_id, page))
    }

    fn update_user<'a>(
        &'a self,
        was: &'a User,
        user: &'a User,
        now_micros: i64,
        until_micros: i64,
        audit: &'a AuditEntry,
    ) -> StoreFuture<'a, Update> {
        boxed!("changing a user", self.replace_user(was, user, now_micros, until_micros, audit))
    }

    fn delete_user<'a>(&'a self, id: Uuid, audit: &'a AuditEntry) -> StoreFuture<'a, bool> {
        boxed!("removing a user", self.remove_user(id, audit))
    }

    fn has_user_with_scope<'a>(&'a self, scope: &'a str) -> StoreFuture<'a, bool> {
        boxed!("reading users", self.exists_user_with_scope(scope))
    }

    fn create_key<'a>(&'a self, key: &'a ApiKey, audit: &'a AuditEntry) -> StoreFuture<'a, ()> {
        boxed!("adding a key", self.insert_key(key, audit))
    }

    fn key(&self, id: Uuid) -> StoreFuture<'_, Option<ApiKey>> {
        boxed!("reading a key", self.select_key(id))
    }

    fn key_by_hash<'a>(&'a self, hash: &'a [u8; 32]) -> StoreFuture<'a, Option<KeyIdentity>> {
        boxed!("reading a key", self.select_identity(hash))
    }

    fn list_keys<'a>(&'a self, filter: &'a KeyFilter, page: Page) -> StoreFuture<'a, Vec<ApiKey>> {
        boxed!("reading keys", self.select_keys(filter, page))
    }

    fn update_key<'a>(&'a self, key: &'a ApiKey, audit: &'a AuditEntry) -> StoreFuture<'a, bool> {
        boxed!("changing a key", self.replace_key(key, audit))
    }

    fn rotate_key<'a>(
        &'a self,
        old: Uuid,
        old_until_micros: i64,
        new: &'a ApiKey,
        audit: &'a AuditEntry,
    ) -> StoreFuture<'a, bool> {
        boxed!("rotating a key", self.replace_by_key(old, old_until_micros, new, audit))
    }

    fn hash_secret<'a>(&'a self, candidate: &'a [u8; 32]) -> StoreFuture<'a, [u8; 32]> {
        boxed!("reading the secret of the keys' hashes", self.select_hash_secret(candidate))
    }
}

/// Bytes of a fixed number, as a column should have them.
pub(crate) fn fixed(column: &str, bytes: &[u8]) -> Result<[u8; 32], sqlx::Error> {
    bytes.try_into().map_err(|_| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: format!("{} bytes where 32 should be", bytes.len()).into(),
    })
}
