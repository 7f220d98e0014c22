//! Whose budgets and limits a caller may see and change: everybody's, or, in a team and without `admin`, those of the team.

use sabir_store::{Store, Subject};
use tonic::Status;
use uuid::Uuid;

use super::grant;
use crate::auth::{Principal, Scope};
use crate::error::{field_status, out_of_reach, store_status};

/// What a caller may reach.
pub(crate) struct Reach<'a> {
    store: &'a dyn Store,
    /// The team to which it is confined.
    team: Option<Uuid>,
}

impl<'a> Reach<'a> {
    pub(crate) fn of(principal: &Principal, store: &'a dyn Store) -> Self {
        Self { store, team: principal.team_id.filter(|_| !principal.scopes.allow(Scope::Admin)) }
    }

    /// The team to which the caller is confined, if any.
    pub(crate) fn team(&self) -> Option<Uuid> {
        self.team
    }

    /// Whether what is about this subject is within the caller's reach.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn includes(&self, subject: &Subject) -> Result<bool, Status> {
        let Some(team) = self.team else { return Ok(true) };
        let within = match subject {
            Subject::Team(id) => *id == team,
            Subject::User(id) => self.team_of_user(*id).await? == Some(team),
            Subject::Key(id) => {
                let key = self.store.key(*id).await.map_err(|error| store_status(&error))?;
                match key {
                    None => false,
                    Some(key) => match (key.team_id, key.user_id) {
                        (Some(id), _) => id == team,
                        (None, Some(user)) => self.team_of_user(user).await? == Some(team),
                        (None, None) => false,
                    },
                }
            }
            Subject::Everyone | Subject::External(_) | Subject::Model(_) => false,
        };
        Ok(within)
    }

    /// The team for something new: the one of this id, or without one the one to which the caller is confined.
    ///
    /// # Errors
    /// The caller is confined to another team, or there is no such team.
    pub(crate) async fn team_for_new(&self, field: &str, id: &str) -> Result<Option<Uuid>, Status> {
        let Some(id) = grant::optional_id(field, id)? else { return Ok(self.team) };
        let team = self.store.team(id).await.map_err(|error| store_status(&error))?;
        let team = team.ok_or_else(|| field_status(field, "is no team"))?;
        match self.team {
            Some(own) if own != team.id => Err(out_of_reach("who belongs to a team can only act for that team")),
            _ => Ok(Some(team.id)),
        }
    }

    /// The subject as it is kept, a key by the first of its line.
    ///
    /// # Errors
    /// There is no such subject, or it is out of reach.
    pub(crate) async fn resolve(&self, subject: Subject) -> Result<Subject, Status> {
        let absent = || field_status("subject", &format!("there is no {subject}"));
        let away = |error| store_status(&error);
        if !self.includes(&subject).await? {
            return Err(absent());
        }
        match &subject {
            Subject::Team(id) => self.store.team(*id).await.map_err(away)?.map(|team| Subject::Team(team.id)),
            Subject::User(id) => self.store.user(*id).await.map_err(away)?.map(|user| Subject::User(user.id)),
            Subject::Key(id) => self.store.key(*id).await.map_err(away)?.map(|key| Subject::Key(key.lineage_id)),
            Subject::Everyone | Subject::External(_) | Subject::Model(_) => Some(subject.clone()),
        }
        .ok_or_else(absent)
    }

    async fn team_of_user(&self, id: Uuid) -> Result<Option<Uuid>, Status> {
        let user = self.store.user(id).await.map_err(|error| store_status(&error))?;
        Ok(user.and_then(|user| user.team_id))
    }
}
