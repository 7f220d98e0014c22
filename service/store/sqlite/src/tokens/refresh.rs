//! The tables `refresh_family`, `refresh_token` and `token_revocation`.

use sabir_store::{RefreshFamily, Renewal, Revocation, Topic};
use sqlx::{Sqlite, Transaction, types::Json};
use uuid::Uuid;

use crate::{SqliteStore, change::move_generation};

/// A row as SQLite gives it.
struct StoredFamily {
    id: Uuid,
    user_id: Uuid,
    client_id: Option<Uuid>,
    scopes: Json<Vec<String>>,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    /// When the token by which the family was found was used.
    used_at: Option<i64>,
}

impl From<StoredFamily> for RefreshFamily {
    fn from(row: StoredFamily) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            client_id: row.client_id,
            scopes: row.scopes.0,
            created_at_micros: row.created_at,
            expires_at_micros: row.expires_at,
            revoked_at_micros: row.revoked_at,
        }
    }
}

impl SqliteStore {
    pub(super) async fn insert_family(
        &self,
        family: &RefreshFamily,
        password_hash: &str,
        token_hash: &[u8; 32],
    ) -> Result<bool, sqlx::Error> {
        let scopes = Json(&family.scopes);
        let mut transaction = self.begin().await?;
        let unchanged = sqlx::query_scalar!(
            r#"SELECT TRUE AS "there!: bool" FROM user_account
               WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL"#,
            family.user_id,
            password_hash
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if unchanged.is_none() {
            transaction.rollback().await?;
            return Ok(false);
        }
        sqlx::query!(
            "INSERT INTO refresh_family (id, user_id, client_id, scopes, created_at, expires_at, revoked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            family.id,
            family.user_id,
            family.client_id,
            scopes,
            family.created_at_micros,
            family.expires_at_micros,
            family.revoked_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        insert_token(&mut transaction, family.id, token_hash).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// What is decided is read and written under one write lock, so that of two who present a token one is the second.
    pub(super) async fn replace_token(
        &self,
        token_hash: &[u8; 32],
        client_id: Option<Uuid>,
        next_hash: &[u8; 32],
        now_micros: i64,
        until_micros: i64,
    ) -> Result<Renewal, sqlx::Error> {
        let hash = token_hash.as_slice();
        let mut transaction = self.begin().await?;
        let row = sqlx::query_as!(
            StoredFamily,
            r#"SELECT family.id AS "id: Uuid", family.user_id AS "user_id: Uuid", family.client_id AS "client_id: Uuid",
                      family.scopes AS "scopes: Json<Vec<String>>", family.created_at, family.expires_at,
                      family.revoked_at, token.used_at
               FROM refresh_token AS token
               JOIN refresh_family AS family ON family.id = token.family_id
               WHERE token.hash = $1"#,
            hash
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row.filter(|row| row.client_id == client_id) else {
            transaction.rollback().await?;
            return Ok(Renewal::Unknown);
        };
        let used = row.used_at.is_some();
        let family = RefreshFamily::from(row);
        if family.revoked_at_micros.is_some() {
            transaction.rollback().await?;
            return Ok(Renewal::Revoked);
        }
        if family.expires_at_micros <= now_micros {
            transaction.rollback().await?;
            return Ok(Renewal::Expired);
        }
        if used {
            revoke(&mut transaction, Revocation { id: family.id, until_micros }, now_micros).await?;
            transaction.commit().await?;
            return Ok(Renewal::Replayed(family));
        }
        sqlx::query!("UPDATE refresh_token SET used_at = $2 WHERE hash = $1", hash, now_micros)
            .execute(&mut *transaction)
            .await?;
        insert_token(&mut transaction, family.id, next_hash).await?;
        transaction.commit().await?;
        Ok(Renewal::Renewed(family))
    }

    pub(super) async fn select_family(&self, token_hash: &[u8; 32]) -> Result<Option<RefreshFamily>, sqlx::Error> {
        let hash = token_hash.as_slice();
        let row = sqlx::query_as!(
            StoredFamily,
            r#"SELECT family.id AS "id: Uuid", family.user_id AS "user_id: Uuid", family.client_id AS "client_id: Uuid",
                      family.scopes AS "scopes: Json<Vec<String>>", family.created_at, family.expires_at,
                      family.revoked_at, token.used_at
               FROM refresh_token AS token
               JOIN refresh_family AS family ON family.id = token.family_id
               WHERE token.hash = $1"#,
            hash
        )
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(RefreshFamily::from))
    }

    pub(super) async fn insert_revocation(&self, revocation: Revocation, now_micros: i64) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        revoke(&mut transaction, revocation, now_micros).await?;
        transaction.commit().await
    }

    pub(super) async fn select_revocations(&self, now_micros: i64) -> Result<Vec<Revocation>, sqlx::Error> {
        sqlx::query_as!(
            Revocation,
            r#"SELECT id AS "id: Uuid", expires_at AS until_micros FROM token_revocation WHERE expires_at > $1
               ORDER BY id"#,
            now_micros
        )
        .fetch_all(&self.readers)
        .await
    }

    pub(super) async fn remove_expired_tokens(&self, now_micros: i64) -> Result<u64, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let families = sqlx::query!("DELETE FROM refresh_family WHERE expires_at <= $1", now_micros)
            .execute(&mut *transaction)
            .await?;
        let revocations = sqlx::query!("DELETE FROM token_revocation WHERE expires_at <= $1", now_micros)
            .execute(&mut *transaction)
            .await?;
        let keys = sqlx::query!("DELETE FROM signing_key WHERE retired_at <= $1", now_micros)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(families.rows_affected() + revocations.rows_affected() + keys.rows_affected())
    }
}

/// Revokes every family of a user, in the transaction of the change that ends them.
pub(crate) async fn revoke_all(
    transaction: &mut Transaction<'static, Sqlite>,
    user_id: Uuid,
    now_micros: i64,
    until_micros: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO token_revocation (id, expires_at)
         SELECT id, $2 FROM refresh_family WHERE user_id = $1 AND revoked_at IS NULL
         ON CONFLICT (id) DO NOTHING",
        user_id,
        until_micros
    )
    .execute(&mut **transaction)
    .await?;
    let revoked = sqlx::query!(
        "UPDATE refresh_family SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL",
        user_id,
        now_micros
    )
    .execute(&mut **transaction)
    .await?;
    match revoked.rows_affected() {
        0 => Ok(()),
        _ => move_generation(transaction, Topic::Tokens).await,
    }
}

async fn insert_token(
    transaction: &mut Transaction<'static, Sqlite>,
    family_id: Uuid,
    hash: &[u8; 32],
) -> Result<(), sqlx::Error> {
    let hash = hash.as_slice();
    sqlx::query!("INSERT INTO refresh_token (hash, family_id) VALUES ($1, $2)", hash, family_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn revoke(
    transaction: &mut Transaction<'static, Sqlite>,
    revocation: Revocation,
    now_micros: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE refresh_family SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
        revocation.id,
        now_micros
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!(
        "INSERT INTO token_revocation (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
        revocation.id,
        revocation.until_micros
    )
    .execute(&mut **transaction)
    .await?;
    move_generation(transaction, Topic::Tokens).await
}
