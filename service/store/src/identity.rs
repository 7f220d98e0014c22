//! Identity: teams, the users in them, and the API keys of both.
//!
//! Acts of administration take the audit entry along and write it in the same transaction. Every change also moves the
//! `identity` generation (see [`crate::ChangeStore`]) in that transaction, by which replicas notice it.

use uuid::Uuid;

use crate::{AuditEntry, Page, StoreFuture};

/// A group of users and keys that shares limits and budgets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// A UUID (version 7).
    pub id: Uuid,
    /// A name that no other team has.
    pub name: String,
    /// Patterns of the models its members may ask; empty for all. `*` stands for any text.
    pub models: Vec<String>,
    /// When it was made, in microseconds since the Unix epoch, UTC.
    pub created_at_micros: i64,
    /// Since when nobody in it may do anything; `None` while it is active.
    pub disabled_at_micros: Option<i64>,
}

/// A person who signs in with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// A UUID (version 7).
    pub id: Uuid,
    /// The name to sign in with, which no other user has.
    pub name: String,
    /// The team the user is in, if any.
    pub team_id: Option<Uuid>,
    /// The names of the scopes the user may be granted, sorted.
    pub scopes: Vec<String>,
    /// Argon2id in PHC form; `None` for a user who cannot sign in.
    /// Source: <https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md>
    pub password_hash: Option<String>,
    /// When the user was made, in microseconds since the Unix epoch, UTC.
    pub created_at_micros: i64,
    /// Since when the user may do nothing; `None` while active.
    pub disabled_at_micros: Option<i64>,
}

impl User {
    /// Whether this change ends every sign-in there is: a password that is another, or that the user is disabled or is no
    /// more. Who signed in before did so with what does not hold any longer.
    pub fn ends_sign_ins(&self, was: &Self) -> bool {
        self.password_hash != was.password_hash || self.disabled_at_micros != was.disabled_at_micros
    }
}

/// What came of changing a team or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// It is changed.
    Done,
    /// It is not, for it is gone, or others changed it after it was read. Read it again and decide anew.
    Outdated,
}

/// An API key. The key itself is not kept, only a keyed hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// A UUID (version 7).
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// The first characters of the key, for people to tell keys apart.
    pub prefix: String,
    /// HMAC-SHA-256 of the key.
    pub hash: [u8; 32],
    /// The user it belongs to, if any.
    pub user_id: Option<Uuid>,
    /// The team it belongs to, if any.
    pub team_id: Option<Uuid>,
    /// The names of the scopes it grants, sorted.
    pub scopes: Vec<String>,
    /// Patterns of the models it may ask; empty for all that its team may. `*` stands for any text.
    pub models: Vec<String>,
    /// When it was made, in microseconds since the Unix epoch, UTC.
    pub created_at_micros: i64,
    /// From when it is refused, in microseconds since the Unix epoch; `None` if it does not expire.
    pub expires_at_micros: Option<i64>,
    /// Since when it is revoked; `None` while it is not. May lie ahead, for a key that was rotated.
    pub revoked_at_micros: Option<i64>,
    /// The first key of the line of rotations that this one is in: itself, if it took no other's place. Limits and
    /// budgets of a key hold for the line.
    pub lineage_id: Uuid,
}

/// A key with what decides whether it is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyIdentity {
    /// The key.
    pub key: ApiKey,
    /// The user it belongs to.
    pub user: Option<User>,
    /// The team of the key, else of its user.
    pub team: Option<Team>,
}

/// Which keys to list. The default selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// Only keys of this team.
    pub team_id: Option<Uuid>,
    /// Only keys of this user.
    pub user_id: Option<Uuid>,
    /// Only keys that this team may know of: its own, and those of its users that are for no other team.
    pub within_team: Option<Uuid>,
    /// Whether keys that are revoked already are listed too.
    pub revoked: bool,
}

/// Keeps teams, users and keys.
///
/// A name that is taken is refused with [`crate::StoreErrorKind::Taken`]; an id that something refers to and that is not
/// there with [`crate::StoreErrorKind::Constraint`]. Updates and removals answer whether there was such a row; where
/// there was none, no audit entry is written.
pub trait IdentityStore: Send + Sync {
    /// Adds a team.
    fn create_team<'a>(&'a self, team: &'a Team, audit: &'a AuditEntry) -> StoreFuture<'a, ()>;
    /// The team of this id.
    fn team(&self, id: Uuid) -> StoreFuture<'_, Option<Team>>;
    /// Teams, latest first.
    fn list_teams(&self, page: Page) -> StoreFuture<'_, Vec<Team>>;
    /// Replaces what can change of a team: everything but `id` and `created_at_micros`, if it still is as it `was`.
    fn update_team<'a>(&'a self, was: &'a Team, team: &'a Team, audit: &'a AuditEntry) -> StoreFuture<'a, Update>;
    /// Removes a team. `Constraint` while users or keys belong to it.
    fn delete_team<'a>(&'a self, id: Uuid, audit: &'a AuditEntry) -> StoreFuture<'a, bool>;

    /// Adds a user.
    fn create_user<'a>(&'a self, user: &'a User, audit: &'a AuditEntry) -> StoreFuture<'a, ()>;
    /// Adds a user together with a key of that user: both or neither.
    fn create_user_with_key<'a>(
        &'a self,
        user: &'a User,
        key: &'a ApiKey,
        audit: &'a AuditEntry,
    ) -> StoreFuture<'a, ()>;
    /// The user of this id.
    fn user(&self, id: Uuid) -> StoreFuture<'_, Option<User>>;
    /// The user who signs in by this name.
    fn user_named<'a>(&'a self, name: &'a str) -> StoreFuture<'a, Option<User>>;
    /// Users, latest first; of one team, or of all.
    fn list_users(&self, team_id: Option<Uuid>, page: Page) -> StoreFuture<'_, Vec<User>>;
    /// Replaces what can change of a user: everything but `id` and `created_at_micros`, if it still is as it `was`. A
    /// change that [ends sign-ins](User::ends_sign_ins) revokes all families of the user, until `until_micros`, in the
    /// same transaction.
    fn update_user<'a>(
        &'a self,
        was: &'a User,
        user: &'a User,
        now_micros: i64,
        until_micros: i64,
        audit: &'a AuditEntry,
    ) -> StoreFuture<'a, Update>;
    /// Removes a user and the user's keys.
    fn delete_user<'a>(&'a self, id: Uuid, audit: &'a AuditEntry) -> StoreFuture<'a, bool>;
    /// Whether there is an active user with this scope.
    fn has_user_with_scope<'a>(&'a self, scope: &'a str) -> StoreFuture<'a, bool>;

    /// Adds a key.
    fn create_key<'a>(&'a self, key: &'a ApiKey, audit: &'a AuditEntry) -> StoreFuture<'a, ()>;
    /// The key of this id.
    fn key(&self, id: Uuid) -> StoreFuture<'_, Option<ApiKey>>;
    /// The key with this hash, with whom it belongs to.
    fn key_by_hash<'a>(&'a self, hash: &'a [u8; 32]) -> StoreFuture<'a, Option<KeyIdentity>>;
    /// Keys, latest first.
    fn list_keys<'a>(&'a self, filter: &'a KeyFilter, page: Page) -> StoreFuture<'a, Vec<ApiKey>>;
    /// Replaces what can change of a key: `name`, `scopes`, `models`, `expires_at_micros`, `revoked_at_micros`. The last
    /// only ever becomes earlier: who changes a name does not undo a revocation that came in between.
    fn update_key<'a>(&'a self, key: &'a ApiKey, audit: &'a AuditEntry) -> StoreFuture<'a, bool>;
    /// Puts `new` in the place of `old`, which is refused from `old_until_micros` on. Answers false if there is no such
    /// key, or if it is revoked or has been rotated already.
    fn rotate_key<'a>(
        &'a self,
        old: Uuid,
        old_until_micros: i64,
        new: &'a ApiKey,
        audit: &'a AuditEntry,
    ) -> StoreFuture<'a, bool>;

    /// The secret that the hashes of keys are made with, where none is configured. If there is none yet, `candidate`
    /// becomes it; whichever of several replicas comes first decides for all.
    fn hash_secret<'a>(&'a self, candidate: &'a [u8; 32]) -> StoreFuture<'a, [u8; 32]>;
}
