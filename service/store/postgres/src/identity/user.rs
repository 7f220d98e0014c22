//! The table `user_account`.

use sabir_store::{ApiKey, AuditEntry, Page, Topic, Update, User};
use sqlx::{Postgres, Transaction, types::Json};
use uuid::Uuid;

use crate::{PostgresStore, change::finish, tokens::revoke_all};

/// A row as Postgres gives it.
struct StoredUser {
    id: Uuid,
    name: String,
    team_id: Option<Uuid>,
    scopes: Json<Vec<String>>,
    password_hash: Option<String>,
    created_at: i64,
    disabled_at: Option<i64>,
}

impl From<StoredUser> for User {
    fn from(row: StoredUser) -> Self {
        Self {
            id: row.id,
            name: row.name,
            team_id: row.team_id,
            scopes: row.scopes.0,
            password_hash: row.password_hash,
            created_at_micros: row.created_at,
            disabled_at_micros: row.disabled_at,
        }
    }
}

impl PostgresStore {
    pub(super) async fn insert_user(&self, user: &User, audit: &AuditEntry) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        let added = insert(&mut transaction, user).await?;
        finish(transaction, added, Topic::Identity, audit).await.map(drop)
    }

    pub(super) async fn insert_user_with_key(
        &self,
        user: &User,
        key: &ApiKey,
        audit: &AuditEntry,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        insert(&mut transaction, user).await?;
        let added = super::key::insert(&mut transaction, key).await?;
        finish(transaction, added, Topic::Identity, audit).await.map(drop)
    }

    /// The user of this id, or of this name.
    pub(super) async fn select_user(&self, id: Option<Uuid>, name: Option<&str>) -> Result<Option<User>, sqlx::Error> {
        let row = sqlx::query_as!(
            StoredUser,
            r#"SELECT id, name, team_id, scopes AS "scopes: Json<Vec<String>>",
                      password_hash, created_at, disabled_at
               FROM user_account WHERE id = $1 OR name = $2"#,
            id,
            name
        )
        .fetch_optional(&mut *self.connections.acquire().await?)
        .await?;
        Ok(row.map(User::from))
    }

    pub(super) async fn select_users(&self, team_id: Option<Uuid>, page: Page) -> Result<Vec<User>, sqlx::Error> {
        let rows = sqlx::query_as!(
            StoredUser,
            r#"SELECT id, name, team_id, scopes AS "scopes: Json<Vec<String>>",
                      password_hash, created_at, disabled_at
               FROM user_account
               WHERE (CAST($1 AS UUID) IS NULL OR team_id = $1) AND (CAST($2 AS UUID) IS NULL OR id < $2)
               ORDER BY id DESC
               LIMIT $3"#,
            team_id,
            page.after,
            i64::from(page.limit)
        )
        .fetch_all(&mut *self.connections.acquire().await?)
        .await?;
        Ok(rows.into_iter().map(User::from).collect())
    }

    /// What is there is read and written under a lock of the row, so that of two who change a user one comes second.
    pub(super) async fn replace_user(
        &self,
        was: &User,
        user: &User,
        now_micros: i64,
        until_micros: i64,
        audit: &AuditEntry,
    ) -> Result<Update, sqlx::Error> {
        let scopes = Json(&user.scopes);
        let mut transaction = self.begin().await?;
        let row = sqlx::query_as!(
            StoredUser,
            r#"SELECT id, name, team_id, scopes AS "scopes: Json<Vec<String>>",
                      password_hash, created_at, disabled_at
               FROM user_account WHERE id = $1
               FOR UPDATE"#,
            user.id
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if row.map(User::from).as_ref() != Some(was) {
            // Also where there is none: whoever reads again sees that.
            transaction.rollback().await?;
            return Ok(Update::Outdated);
        }
        let changed = sqlx::query!(
            "UPDATE user_account
             SET name = $2, team_id = $3, scopes = $4, password_hash = $5, disabled_at = $6
             WHERE id = $1",
            user.id,
            user.name,
            user.team_id,
            scopes as _,
            user.password_hash,
            user.disabled_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        if user.ends_sign_ins(was) {
            revoke_all(&mut transaction, user.id, now_micros, until_micros).await?;
        }
        let done = finish(transaction, changed.rows_affected(), Topic::Identity, audit).await?;
        Ok(if done { Update::Done } else { Update::Outdated })
    }

    pub(super) async fn remove_user(&self, id: Uuid, audit: &AuditEntry) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let removed = sqlx::query!("DELETE FROM user_account WHERE id = $1", id).execute(&mut *transaction).await?;
        finish(transaction, removed.rows_affected(), Topic::Identity, audit).await
    }

    pub(super) async fn exists_user_with_scope(&self, scope: &str) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT 1 FROM user_account WHERE scopes ? $1 AND disabled_at IS NULL
               ) AS "exists!""#,
            scope
        )
        .fetch_one(&mut *self.connections.acquire().await?)
        .await
    }
}

async fn insert(transaction: &mut Transaction<'static, Postgres>, user: &User) -> Result<u64, sqlx::Error> {
    let scopes = Json(&user.scopes);
    let added = sqlx::query!(
        "INSERT INTO user_account (id, name, team_id, scopes, password_hash, created_at, disabled_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        user.id,
        user.name,
        user.team_id,
        scopes as _,
        user.password_hash,
        user.created_at_micros,
        user.disabled_at_micros
    )
    .execute(&mut **transaction)
    .await?;
    Ok(added.rows_affected())
}
