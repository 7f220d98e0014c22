//! `sabir.v1.Teams`.

use std::time::SystemTime;

use depends::RequestExt;
use sabir_proto::v1::teams_server::Teams;
use sabir_proto::v1::{
    CreateTeamRequest, DeleteTeamRequest, DeleteTeamResponse, GetTeamRequest, ListTeamsRequest, ListTeamsResponse,
    Team, UpdateTeamRequest,
};
use sabir_store::{Page, Update, unix_micros};
use serde_json::{Value, json};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::grant;
use super::paging::{next_page_token, page};
use super::time::timestamp;
use crate::dependencies::AdminSession;
use crate::error::{contended, field_status, missing, out_of_reach, store_status};

/// Administers teams.
#[derive(Clone, Debug)]
pub(crate) struct TeamsApi;

#[tonic::async_trait]
impl Teams for TeamsApi {
    async fn create_team(&self, request: Request<CreateTeamRequest>) -> Result<Response<Team>, Status> {
        let session = request.depends::<AdminSession>().await?;
        must_be_free(&session)?;
        let wanted = request.into_inner().team.unwrap_or_default();
        let now = unix_micros(SystemTime::now());
        let team = sabir_store::Team {
            id: Uuid::now_v7(),
            name: grant::name("team.name", &wanted.name)?,
            models: wanted.models,
            created_at_micros: now,
            disabled_at_micros: wanted.disabled.then_some(now),
        };
        let audit = session.audit("Teams/CreateTeam", target(team.id), &detail(&team));
        session.store().create_team(&team, &audit).await.map_err(|error| store_status(&error))?;
        Ok(Response::new(message(team)))
    }

    async fn get_team(&self, request: Request<GetTeamRequest>) -> Result<Response<Team>, Status> {
        let session = request.depends::<AdminSession>().await?;
        find(&session, &request.get_ref().id).await.map(|team| Response::new(message(team)))
    }

    async fn list_teams(&self, request: Request<ListTeamsRequest>) -> Result<Response<ListTeamsResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let request = request.into_inner();
        let page: Page = page(request.page_size, &request.page_token)?;
        let away = |error| store_status(&error);
        if let Some(own) = session.reach().team() {
            // The one page there is, however long pages are.
            let own = session.store().team(own).await.map_err(away)?.filter(|_| page.after.is_none());
            let teams = own.into_iter().map(message).collect();
            return Ok(Response::new(ListTeamsResponse { teams, ..Default::default() }));
        }
        let teams = session.store().list_teams(page).await.map_err(away)?;
        let next_page_token = next_page_token(page, teams.iter().map(|team| team.id));
        let teams = teams.into_iter().map(message).collect();
        Ok(Response::new(ListTeamsResponse { teams, next_page_token }))
    }

    async fn update_team(&self, request: Request<UpdateTeamRequest>) -> Result<Response<Team>, Status> {
        let session = request.depends::<AdminSession>().await?;
        must_be_free(&session)?;
        let UpdateTeamRequest { team, update_mask } = request.into_inner();
        let wanted = team.unwrap_or_default();
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            return Err(field_status("update_mask", "says what is to change"));
        }
        for _ in 0..ATTEMPTS {
            let was = find(&session, &wanted.id).await?;
            let mut team = was.clone();
            for path in &paths {
                match path.as_str() {
                    // A body may name the team that its path names.
                    "id" => {}
                    "name" => team.name = grant::name("team.name", &wanted.name)?,
                    "models" => team.models.clone_from(&wanted.models),
                    "disabled" => team.disabled_at_micros = since(wanted.disabled, team.disabled_at_micros),
                    other => return Err(field_status("update_mask", &format!("`{other}` of a team does not change"))),
                }
            }
            let audit = session.audit("Teams/UpdateTeam", target(team.id), &detail(&team));
            match session.store().update_team(&was, &team, &audit).await.map_err(|error| store_status(&error))? {
                Update::Done => return Ok(Response::new(message(team))),
                Update::Outdated => {}
            }
        }
        Err(contended("team"))
    }

    async fn delete_team(&self, request: Request<DeleteTeamRequest>) -> Result<Response<DeleteTeamResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        must_be_free(&session)?;
        let team = find(&session, &request.get_ref().id).await?;
        let audit = session.audit("Teams/DeleteTeam", target(team.id), &detail(&team));
        match session.store().delete_team(team.id, &audit).await.map_err(|error| store_status(&error))? {
            true => Ok(Response::new(DeleteTeamResponse {})),
            false => Err(missing("team", &team.id.to_string())),
        }
    }
}

/// How often a change is decided anew, because others changed the same team or user meanwhile.
pub(super) const ATTEMPTS: usize = 10;

/// The team of this id, if the caller may know of it.
async fn find(session: &AdminSession, id: &str) -> Result<sabir_store::Team, Status> {
    let absent = || missing("team", id);
    let id = Uuid::try_parse(id).map_err(|_| absent())?;
    if session.reach().team().is_some_and(|own| own != id) {
        return Err(absent());
    }
    session.store().team(id).await.map_err(|error| store_status(&error))?.ok_or_else(absent)
}

/// Refuses callers that belong to a team: what a team may do is not its own to say.
fn must_be_free(session: &AdminSession) -> Result<(), Status> {
    match session.reach().team() {
        Some(_) => Err(out_of_reach("who belongs to a team cannot change teams")),
        None => Ok(()),
    }
}

/// Since when something is disabled, if it is to be: what is disabled already stays so since it was.
pub(super) fn since(disabled: bool, before: Option<i64>) -> Option<i64> {
    disabled.then(|| before.unwrap_or_else(|| unix_micros(SystemTime::now())))
}

fn target(id: Uuid) -> String {
    format!("team {id}")
}

fn detail(team: &sabir_store::Team) -> Value {
    json!({"name": team.name, "models": team.models, "disabled": team.disabled_at_micros.is_some()})
}

fn message(team: sabir_store::Team) -> Team {
    Team {
        id: team.id.to_string(),
        name: team.name,
        models: team.models,
        disabled: team.disabled_at_micros.is_some(),
        create_time: Some(timestamp(team.created_at_micros)),
    }
}
