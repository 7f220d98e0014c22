//! The first administrator: a user who may do everything, and a key of that user, written into the database itself, since
//! without one nobody may call the administrative methods of a server that asks who calls.

use sabir_providers::Secret;
use sabir_store::{ApiKey, AuditEntry, Store, StoreError, User, unix_micros};
use std::time::SystemTime;
use uuid::Uuid;

use super::{KeyMint, PasswordError, Passwords, Scope};

/// Who acts when it is nobody that a server knows.
const ACTOR: &str = "command line";

/// The shortest password, in characters, as `SetPassword` has it.
const SHORTEST: usize = 12;

/// Why there is no new administrator.
#[derive(Debug, thiserror::Error)]
pub enum AdministratorError {
    /// There is one, who can make others.
    #[error("there is an administrator already; `--another` makes one more")]
    Exists,
    /// The name cannot be one.
    #[error("a name has 1 to 128 bytes, no control characters, and no space at its ends")]
    Name,
    /// The password is too short.
    #[error("a password has {SHORTEST} characters or more")]
    Short,
    /// The password cannot be hashed.
    #[error("{0}")]
    Password(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for a key")]
    NoRandomness,
    /// What the database says.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PasswordError> for AdministratorError {
    fn from(error: PasswordError) -> Self {
        Self::Password(error.to_string())
    }
}

/// Whether there is somebody who can administer: an active user with the scope `admin`.
pub(crate) async fn has_administrator(store: &dyn Store) -> Result<bool, StoreError> {
    store.has_user_with_scope(Scope::Admin.name()).await
}

/// Makes an administrator with this password, if one is given; answers with a key, which is not shown again.
pub(crate) async fn create_administrator(
    store: &dyn Store,
    mint: &KeyMint,
    name: &str,
    password: Option<Secret>,
    another: bool,
) -> Result<Secret, AdministratorError> {
    if name.is_empty() || name.len() > 128 || name.trim() != name || name.chars().any(char::is_control) {
        return Err(AdministratorError::Name);
    }
    if password.as_ref().is_some_and(|password| password.expose().chars().count() < SHORTEST) {
        return Err(AdministratorError::Short);
    }
    if !another && has_administrator(store).await? {
        return Err(AdministratorError::Exists);
    }
    let password_hash = match password {
        Some(password) => Some(Passwords::default().hash(&password).await?),
        None => None,
    };
    let made = mint.make().map_err(|_| AdministratorError::NoRandomness)?;
    let now = unix_micros(SystemTime::now());
    let scopes = vec![Scope::Admin.name().to_owned()];
    let user = User {
        id: Uuid::now_v7(),
        name: name.to_owned(),
        team_id: None,
        scopes: scopes.clone(),
        password_hash,
        created_at_micros: now,
        disabled_at_micros: None,
    };
    store.create_user(&user, &audit("Users/CreateUser", format!("user {}", user.id), name, now)).await?;
    let id = Uuid::now_v7();
    let key = ApiKey {
        id,
        name: format!("first key of {name}"),
        prefix: made.prefix,
        hash: made.hash,
        user_id: Some(user.id),
        team_id: None,
        scopes,
        models: Vec::new(),
        created_at_micros: now,
        expires_at_micros: None,
        revoked_at_micros: None,
        lineage_id: id,
    };
    store.create_key(&key, &audit("Keys/CreateKey", format!("key {id}"), &key.name, now)).await?;
    Ok(made.secret)
}

fn audit(action: &str, target: String, name: &str, now: i64) -> AuditEntry {
    AuditEntry {
        id: Uuid::now_v7(),
        at_micros: now,
        actor: ACTOR.to_owned(),
        action: action.to_owned(),
        target,
        detail: serde_json::json!({"name": name, "scopes": ["admin"]}).to_string(),
    }
}
