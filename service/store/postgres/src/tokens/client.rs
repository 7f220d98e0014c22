//! The table `oauth_client`.

use sabir_store::{AuditEntry, OAuthClient, Page, Topic};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{PostgresStore, change::finish, identity::fixed};

/// A row as Postgres gives it.
struct StoredClient {
    id: Uuid,
    name: String,
    secret_hash: Vec<u8>,
    team_id: Option<Uuid>,
    scopes: Json<Vec<String>>,
    created_at: i64,
    disabled_at: Option<i64>,
}

impl TryFrom<StoredClient> for OAuthClient {
    type Error = sqlx::Error;

    fn try_from(row: StoredClient) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id,
            name: row.name,
            secret_hash: fixed("secret_hash", &row.secret_hash)?,
            team_id: row.team_id,
            scopes: row.scopes.0,
            created_at_micros: row.created_at,
            disabled_at_micros: row.disabled_at,
        })
    }
}

impl PostgresStore {
    pub(super) async fn insert_client(&self, client: &OAuthClient, audit: &AuditEntry) -> Result<(), sqlx::Error> {
        let (scopes, secret_hash) = (Json(&client.scopes), client.secret_hash.as_slice());
        let mut transaction = self.begin().await?;
        let added = sqlx::query!(
            "INSERT INTO oauth_client (id, name, secret_hash, team_id, scopes, created_at, disabled_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            client.id,
            client.name,
            secret_hash,
            client.team_id,
            scopes as _,
            client.created_at_micros,
            client.disabled_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        finish(transaction, added.rows_affected(), Topic::Tokens, audit).await.map(drop)
    }

    pub(super) async fn select_client(&self, id: Uuid) -> Result<Option<OAuthClient>, sqlx::Error> {
        let row = sqlx::query_as!(
            StoredClient,
            r#"SELECT id AS "id: Uuid", name, secret_hash, team_id AS "team_id: Uuid",
                      scopes AS "scopes: Json<Vec<String>>", created_at, disabled_at
               FROM oauth_client WHERE id = $1"#,
            id
        )
        .fetch_optional(&mut *self.connections.acquire().await?)
        .await?;
        row.map(OAuthClient::try_from).transpose()
    }

    pub(super) async fn select_clients(
        &self,
        team_id: Option<Uuid>,
        page: Page,
    ) -> Result<Vec<OAuthClient>, sqlx::Error> {
        let rows = sqlx::query_as!(
            StoredClient,
            r#"SELECT id AS "id: Uuid", name, secret_hash, team_id AS "team_id: Uuid",
                      scopes AS "scopes: Json<Vec<String>>", created_at, disabled_at
               FROM oauth_client
               WHERE ($1::uuid IS NULL OR team_id = $1) AND ($2::uuid IS NULL OR id < $2)
               ORDER BY id DESC
               LIMIT $3"#,
            team_id,
            page.after,
            i64::from(page.limit)
        )
        .fetch_all(&mut *self.connections.acquire().await?)
        .await?;
        rows.into_iter().map(OAuthClient::try_from).collect()
    }

    pub(super) async fn replace_client(&self, client: &OAuthClient, audit: &AuditEntry) -> Result<bool, sqlx::Error> {
        let (scopes, secret_hash) = (Json(&client.scopes), client.secret_hash.as_slice());
        let mut transaction = self.begin().await?;
        let changed = sqlx::query!(
            "UPDATE oauth_client SET name = $2, secret_hash = $3, team_id = $4, scopes = $5, disabled_at = $6
             WHERE id = $1",
            client.id,
            client.name,
            secret_hash,
            client.team_id,
            scopes as _,
            client.disabled_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        finish(transaction, changed.rows_affected(), Topic::Tokens, audit).await
    }

    pub(super) async fn remove_client(&self, id: Uuid, audit: &AuditEntry) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let removed = sqlx::query!("DELETE FROM oauth_client WHERE id = $1", id).execute(&mut *transaction).await?;
        finish(transaction, removed.rows_affected(), Topic::Tokens, audit).await
    }
}
