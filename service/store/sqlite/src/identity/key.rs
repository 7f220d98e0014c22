//! The tables `api_key` and `secret`.

use std::time::SystemTime;

use sabir_store::{ApiKey, AuditEntry, KeyFilter, KeyIdentity, Page, Team, Topic, User, unix_micros};
use sqlx::{Sqlite, Transaction, types::Json};
use uuid::Uuid;

use super::fixed;
use crate::{SqliteStore, change::finish};

/// The name under which the secret of the hashes is kept.
const HASH_SECRET: &str = "key_hash";

/// A row as SQLite gives it.
struct StoredKey {
    id: Uuid,
    name: String,
    prefix: String,
    hash: Vec<u8>,
    user_id: Option<Uuid>,
    team_id: Option<Uuid>,
    scopes: Json<Vec<String>>,
    models: Json<Vec<String>>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    lineage_id: Uuid,
}

impl TryFrom<StoredKey> for ApiKey {
    type Error = sqlx::Error;

    fn try_from(row: StoredKey) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            hash: fixed("hash", &row.hash)?,
            user_id: row.user_id,
            team_id: row.team_id,
            scopes: row.scopes.0,
            models: row.models.0,
            created_at_micros: row.created_at,
            expires_at_micros: row.expires_at,
            revoked_at_micros: row.revoked_at,
            lineage_id: row.lineage_id,
        })
    }
}

impl SqliteStore {
    pub(super) async fn insert_key(&self, key: &ApiKey, audit: &AuditEntry) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        let added = insert(&mut transaction, key).await?;
        finish(transaction, added, Topic::Identity, audit).await.map(drop)
    }

    pub(super) async fn select_key(&self, id: Uuid) -> Result<Option<ApiKey>, sqlx::Error> {
        let row = sqlx::query_as!(
            StoredKey,
            r#"SELECT id AS "id: Uuid", name, prefix, hash, user_id AS "user_id: Uuid", team_id AS "team_id: Uuid",
                      scopes AS "scopes: Json<Vec<String>>", models AS "models: Json<Vec<String>>",
                      created_at, expires_at, revoked_at, lineage_id AS "lineage_id: Uuid"
               FROM api_key WHERE id = $1"#,
            id
        )
        .fetch_optional(&self.readers)
        .await?;
        row.map(ApiKey::try_from).transpose()
    }

    /// One round trip for all that decides whether a key is let in, so that it is from one moment.
    pub(super) async fn select_identity(&self, hash: &[u8; 32]) -> Result<Option<KeyIdentity>, sqlx::Error> {
        let hash = hash.as_slice();
        let row = sqlx::query!(
            r#"SELECT key.id AS "id: Uuid", key.name, key.prefix, key.hash,
                      key.user_id AS "user_id: Uuid", key.team_id AS "team_id: Uuid",
                      key.scopes AS "scopes: Json<Vec<String>>", key.models AS "models: Json<Vec<String>>",
                      key.created_at, key.expires_at, key.revoked_at, key.lineage_id AS "lineage_id: Uuid",
                      owner.id AS "owner_id?: Uuid", owner.name AS "owner_name?",
                      owner.team_id AS "owner_team_id?: Uuid", owner.scopes AS "owner_scopes?: Json<Vec<String>>",
                      owner.password_hash AS "owner_password_hash?", owner.created_at AS "owner_created_at?",
                      owner.disabled_at AS "owner_disabled_at?",
                      team.id AS "shared_id?: Uuid", team.name AS "shared_name?",
                      team.models AS "shared_models?: Json<Vec<String>>", team.created_at AS "shared_created_at?",
                      team.disabled_at AS "shared_disabled_at?"
               FROM api_key AS key
               LEFT JOIN user_account AS owner ON owner.id = key.user_id
               LEFT JOIN team ON team.id = COALESCE(key.team_id, owner.team_id)
               WHERE key.hash = $1"#,
            hash
        )
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let user = match (row.owner_id, row.owner_name, row.owner_scopes, row.owner_created_at) {
            (Some(id), Some(name), Some(scopes), Some(created_at_micros)) => Some(User {
                id,
                name,
                team_id: row.owner_team_id,
                scopes: scopes.0,
                password_hash: row.owner_password_hash,
                created_at_micros,
                disabled_at_micros: row.owner_disabled_at,
            }),
            _ => None,
        };
        let team = match (row.shared_id, row.shared_name, row.shared_models, row.shared_created_at) {
            (Some(id), Some(name), Some(models), Some(created_at_micros)) => {
                Some(Team { id, name, models: models.0, created_at_micros, disabled_at_micros: row.shared_disabled_at })
            }
            _ => None,
        };
        let key = ApiKey {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            hash: fixed("hash", &row.hash)?,
            user_id: row.user_id,
            team_id: row.team_id,
            scopes: row.scopes.0,
            models: row.models.0,
            created_at_micros: row.created_at,
            expires_at_micros: row.expires_at,
            revoked_at_micros: row.revoked_at,
            lineage_id: row.lineage_id,
        };
        Ok(Some(KeyIdentity { key, user, team }))
    }

    pub(super) async fn select_keys(&self, filter: &KeyFilter, page: Page) -> Result<Vec<ApiKey>, sqlx::Error> {
        let now = unix_micros(SystemTime::now());
        let rows = sqlx::query_as!(
            StoredKey,
            r#"SELECT id AS "id: Uuid", name, prefix, hash, user_id AS "user_id: Uuid", team_id AS "team_id: Uuid",
                      scopes AS "scopes: Json<Vec<String>>", models AS "models: Json<Vec<String>>",
                      created_at, expires_at, revoked_at, lineage_id AS "lineage_id: Uuid"
               FROM api_key
               WHERE ($1 IS NULL OR team_id = $1) AND ($2 IS NULL OR user_id = $2)
                 AND ($3 OR revoked_at IS NULL OR revoked_at > $4) AND ($5 IS NULL OR id < $5)
                 AND ($7 IS NULL OR team_id = $7
                      OR team_id IS NULL AND user_id IN (SELECT id FROM user_account WHERE team_id = $7))
               ORDER BY id DESC
               LIMIT $6"#,
            filter.team_id,
            filter.user_id,
            filter.revoked,
            now,
            page.after,
            page.limit,
            filter.within_team
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    pub(super) async fn replace_key(&self, key: &ApiKey, audit: &AuditEntry) -> Result<bool, sqlx::Error> {
        let (scopes, models) = (Json(&key.scopes), Json(&key.models));
        let mut transaction = self.begin().await?;
        let changed = sqlx::query!(
            "UPDATE api_key
             SET name = $2, scopes = $3, models = $4, expires_at = $5,
                 revoked_at = CASE WHEN revoked_at < $6 OR $6 IS NULL THEN revoked_at ELSE $6 END
             WHERE id = $1",
            key.id,
            key.name,
            scopes,
            models,
            key.expires_at_micros,
            key.revoked_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        finish(transaction, changed.rows_affected(), Topic::Identity, audit).await
    }

    pub(super) async fn replace_by_key(
        &self,
        old: Uuid,
        old_until_micros: i64,
        new: &ApiKey,
        audit: &AuditEntry,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let ended = sqlx::query!(
            "UPDATE api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
            old,
            old_until_micros
        )
        .execute(&mut *transaction)
        .await?;
        if ended.rows_affected() > 0 {
            insert(&mut transaction, new).await?;
        }
        finish(transaction, ended.rows_affected(), Topic::Identity, audit).await
    }

    pub(super) async fn select_hash_secret(&self, candidate: &[u8; 32]) -> Result<[u8; 32], sqlx::Error> {
        let candidate = candidate.as_slice();
        // The statement changes nothing where there is a secret, but only so does it give it back.
        let secret = sqlx::query_scalar!(
            "INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = value
             RETURNING value",
            HASH_SECRET,
            candidate
        )
        .fetch_one(&self.writer)
        .await?;
        fixed("value", &secret)
    }
}

pub(super) async fn insert(transaction: &mut Transaction<'static, Sqlite>, key: &ApiKey) -> Result<u64, sqlx::Error> {
    let (hash, scopes, models) = (key.hash.as_slice(), Json(&key.scopes), Json(&key.models));
    let added = sqlx::query!(
        "INSERT INTO api_key (id, name, prefix, hash, user_id, team_id, scopes, models, created_at, expires_at,
                              revoked_at, lineage_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        key.id,
        key.name,
        key.prefix,
        hash,
        key.user_id,
        key.team_id,
        scopes,
        models,
        key.created_at_micros,
        key.expires_at_micros,
        key.revoked_at_micros,
        key.lineage_id
    )
    .execute(&mut **transaction)
    .await?;
    Ok(added.rows_affected())
}
