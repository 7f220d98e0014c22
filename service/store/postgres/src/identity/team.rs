//! The table `team`.

use sabir_store::{AuditEntry, Page, Team, Topic, Update};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{PostgresStore, change::finish};

/// A row as Postgres gives it.
struct StoredTeam {
    id: Uuid,
    name: String,
    models: Json<Vec<String>>,
    created_at: i64,
    disabled_at: Option<i64>,
}

impl From<StoredTeam> for Team {
    fn from(row: StoredTeam) -> Self {
        Self {
            id: row.id,
            name: row.name,
            models: row.models.0,
            created_at_micros: row.created_at,
            disabled_at_micros: row.disabled_at,
        }
    }
}

impl PostgresStore {
    pub(super) async fn insert_team(&self, team: &Team, audit: &AuditEntry) -> Result<(), sqlx::Error> {
        let models = Json(&team.models);
        let mut transaction = self.begin().await?;
        let added = sqlx::query!(
            "INSERT INTO team (id, name, models, created_at, disabled_at) VALUES ($1, $2, $3, $4, $5)",
            team.id,
            team.name,
            models as _,
            team.created_at_micros,
            team.disabled_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        finish(transaction, added.rows_affected(), Topic::Identity, audit).await.map(drop)
    }

    pub(super) async fn select_team(&self, id: Uuid) -> Result<Option<Team>, sqlx::Error> {
        let row = sqlx::query_as!(
            StoredTeam,
            r#"SELECT id, name, models AS "models: Json<Vec<String>>", created_at, disabled_at
               FROM team WHERE id = $1"#,
            id
        )
        .fetch_optional(&mut *self.connections.acquire().await?)
        .await?;
        Ok(row.map(Team::from))
    }

    pub(super) async fn select_teams(&self, page: Page) -> Result<Vec<Team>, sqlx::Error> {
        let rows = sqlx::query_as!(
            StoredTeam,
            r#"SELECT id, name, models AS "models: Json<Vec<String>>", created_at, disabled_at
               FROM team WHERE CAST($1 AS UUID) IS NULL OR id < $1 ORDER BY id DESC LIMIT $2"#,
            page.after,
            i64::from(page.limit)
        )
        .fetch_all(&mut *self.connections.acquire().await?)
        .await?;
        Ok(rows.into_iter().map(Team::from).collect())
    }

    /// What is there is read and written under a lock of the row, so that of two who change a team one comes second.
    pub(super) async fn replace_team(
        &self,
        was: &Team,
        team: &Team,
        audit: &AuditEntry,
    ) -> Result<Update, sqlx::Error> {
        let models = Json(&team.models);
        let mut transaction = self.begin().await?;
        let row = sqlx::query_as!(
            StoredTeam,
            r#"SELECT id, name, models AS "models: Json<Vec<String>>", created_at, disabled_at
               FROM team WHERE id = $1
               FOR UPDATE"#,
            team.id
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if row.map(Team::from).as_ref() != Some(was) {
            // Also where there is none: whoever reads again sees that.
            transaction.rollback().await?;
            return Ok(Update::Outdated);
        }
        let changed = sqlx::query!(
            "UPDATE team SET name = $2, models = $3, disabled_at = $4 WHERE id = $1",
            team.id,
            team.name,
            models as _,
            team.disabled_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        let done = finish(transaction, changed.rows_affected(), Topic::Identity, audit).await?;
        Ok(if done { Update::Done } else { Update::Outdated })
    }

    pub(super) async fn remove_team(&self, id: Uuid, audit: &AuditEntry) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let removed = sqlx::query!("DELETE FROM team WHERE id = $1", id).execute(&mut *transaction).await?;
        finish(transaction, removed.rows_affected(), Topic::Identity, audit).await
    }
}
