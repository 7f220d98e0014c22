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
    /// Somebody else has the name.
    #[error("there is a user of that name already")]
    Taken,
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

/// Whether an administrator of this name can be made; to be asked before anybody thinks of a password.
///
/// # Errors
/// The name cannot be one or is taken, or there is an administrator and this is not to be `another`.
pub(crate) async fn may_create_administrator(
    store: &dyn Store,
    name: &str,
    another: bool,
) -> Result<(), AdministratorError> {
    if name.is_empty() || name.len() > 128 || name.trim() != name || name.chars().any(char::is_control) {
        return Err(AdministratorError::Name);
    }
    if !another && has_administrator(store).await? {
        return Err(AdministratorError::Exists);
    }
    match store.user_named(name).await? {
        Some(_) => Err(AdministratorError::Taken),
        None => Ok(()),
    }
}

/// Makes an administrator with this password; answers with a key, which is not shown again. There is a user with a key
/// afterwards, or neither.
///
/// # Errors
/// As [`may_create_administrator`]; the password is too short, or the database does not answer.
pub(crate) async fn create_administrator(
    store: &dyn Store,
    mint: &KeyMint,
    name: &str,
    password: Secret,
    another: bool,
) -> Result<Secret, AdministratorError> {
    may_create_administrator(store, name, another).await?;
    if password.expose().chars().count() < SHORTEST {
        return Err(AdministratorError::Short);
    }
    let password_hash = Some(Passwords::default().hash(&password).await?);
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
    let audit = AuditEntry {
        id: Uuid::now_v7(),
        at_micros: now,
        actor: ACTOR.to_owned(),
        action: "Users/CreateUser".to_owned(),
        target: format!("user {}", user.id),
        detail: serde_json::json!({"name": name, "scopes": user.scopes, "key": id}).to_string(),
    };
    store.create_user_with_key(&user, &key, &audit).await?;
    Ok(made.secret)
}
