//! `sabir.v1.Users`.

use std::sync::Arc;
use std::time::SystemTime;

use depends::RequestExt;
use sabir_proto::v1::users_server::Users;
use sabir_proto::v1::{
    CreateUserRequest, DeleteUserRequest, DeleteUserResponse, GetUserRequest, ListUsersRequest, ListUsersResponse,
    SetUserPasswordRequest, UpdateUserRequest, User,
};
use sabir_providers::Secret;
use sabir_store::{Subject, Update, unix_micros};
use serde_json::{Value, json};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::grant;
use super::paging::{next_page_token, page};
use super::teams::{ATTEMPTS, since};
use super::time::timestamp;
use crate::auth::{Passwords, Tokens};
use crate::dependencies::AdminSession;
use crate::error::{contended, field_status, missing, password_status, store_status};

/// Administers users.
#[derive(Clone)]
pub(crate) struct UsersApi {
    passwords: Passwords,
    tokens: Arc<Tokens>,
}

impl UsersApi {
    pub(crate) fn new(passwords: Passwords, tokens: Arc<Tokens>) -> Self {
        Self { passwords, tokens }
    }

    async fn hash(&self, password: String) -> Result<String, Status> {
        self.passwords.hash(&Secret::new(password)).await.map_err(|error| password_status(&error))
    }

    /// Changes a user who still is as they `was`; what ends sign-ins ends those that there are in the same transaction.
    /// `None` if others changed the user meanwhile: what is allowed is decided on what is there.
    async fn update(
        &self,
        session: &AdminSession,
        action: &str,
        was: &sabir_store::User,
        user: sabir_store::User,
    ) -> Result<Option<Response<User>>, Status> {
        let audit = session.audit(action, target(user.id), &detail(&user));
        let now = unix_micros(SystemTime::now());
        let updated = session.store().update_user(was, &user, now, self.tokens.forgotten_at(now), &audit).await;
        match updated.map_err(|error| store_status(&error))? {
            Update::Done => Ok(Some(Response::new(message(user)))),
            Update::Outdated => Ok(None),
        }
    }
}

#[tonic::async_trait]
impl Users for UsersApi {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<User>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let CreateUserRequest { user, password } = request.into_inner();
        let wanted = user.unwrap_or_default();
        let now = unix_micros(SystemTime::now());
        let scopes = grant::scopes(session.principal(), "user.scopes", &wanted.scopes)?;
        let team_id = session.reach().team_for_new("user.team_id", &wanted.team_id).await?;
        no_more_than(&session, &scopes, team_id).await?;
        let user = sabir_store::User {
            id: Uuid::now_v7(),
            name: grant::name("user.name", &wanted.name)?,
            team_id,
            scopes,
            password_hash: match password {
                Some(password) => Some(self.hash(password).await?),
                None => None,
            },
            created_at_micros: now,
            disabled_at_micros: wanted.disabled.then_some(now),
        };
        let audit = session.audit("Users/CreateUser", target(user.id), &detail(&user));
        session.store().create_user(&user, &audit).await.map_err(|error| store_status(&error))?;
        Ok(Response::new(message(user)))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let session = request.depends::<AdminSession>().await?;
        find(&session, &request.get_ref().id).await.map(|user| Response::new(message(user)))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let request = request.into_inner();
        let page = page(request.page_size, &request.page_token)?;
        let asked = grant::optional_id("team_id", &request.team_id)?;
        let team = match (session.reach().team(), asked) {
            (Some(own), Some(other)) if own != other => return Ok(Response::new(ListUsersResponse::default())),
            (own, asked) => asked.or(own),
        };
        let users = session.store().list_users(team, page).await.map_err(|error| store_status(&error))?;
        let next_page_token = next_page_token(page, users.iter().map(|user| user.id));
        let users = users.into_iter().map(message).collect();
        Ok(Response::new(ListUsersResponse { users, next_page_token }))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<User>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let UpdateUserRequest { user, update_mask } = request.into_inner();
        let wanted = user.unwrap_or_default();
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            return Err(field_status("update_mask", "says what is to change"));
        }
        for _ in 0..ATTEMPTS {
            let was = changeable(&session, &wanted.id).await?;
            let mut user = was.clone();
            for path in &paths {
                match path.as_str() {
                    // A body may name the user that its path names.
                    "id" => {}
                    "name" => user.name = grant::name("user.name", &wanted.name)?,
                    "team_id" => user.team_id = session.reach().team_for_new("user.team_id", &wanted.team_id).await?,
                    "scopes" => user.scopes = grant::scopes(session.principal(), "user.scopes", &wanted.scopes)?,
                    "disabled" => user.disabled_at_micros = since(wanted.disabled, user.disabled_at_micros),
                    other => return Err(field_status("update_mask", &format!("`{other}` of a user does not change"))),
                }
            }
            no_more_than(&session, &user.scopes, user.team_id).await?;
            if let Some(updated) = self.update(&session, "Users/UpdateUser", &was, user).await? {
                return Ok(updated);
            }
        }
        Err(contended("user"))
    }

    async fn set_user_password(&self, request: Request<SetUserPasswordRequest>) -> Result<Response<User>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let SetUserPasswordRequest { id, password } = request.into_inner();
        // Whoever knows the password can do what the user can. Who may not set it costs no hash.
        changeable(&session, &id).await?;
        let hash = self.hash(password).await?;
        for _ in 0..ATTEMPTS {
            let was = changeable(&session, &id).await?;
            let user = sabir_store::User { password_hash: Some(hash.clone()), ..was.clone() };
            if let Some(updated) = self.update(&session, "Users/SetUserPassword", &was, user).await? {
                return Ok(updated);
            }
        }
        Err(contended("user"))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let user = find(&session, &request.get_ref().id).await?;
        grant::no_more_than(session.principal(), &user.scopes)?;
        let audit = session.audit("Users/DeleteUser", target(user.id), &detail(&user));
        match session.store().delete_user(user.id, &audit).await.map_err(|error| store_status(&error))? {
            true => Ok(Response::new(DeleteUserResponse {})),
            false => Err(missing("user", &user.id.to_string())),
        }
    }
}

/// The user of this id, if the caller may know of them.
async fn find(session: &AdminSession, id: &str) -> Result<sabir_store::User, Status> {
    let absent = || missing("user", id);
    let id = Uuid::try_parse(id).map_err(|_| absent())?;
    if !session.reach().includes(&Subject::User(id)).await? {
        return Err(absent());
    }
    session.store().user(id).await.map_err(|error| store_status(&error))?.ok_or_else(absent)
}

/// Refuses to put a user in this team into the caller's hand if the user may do more.
pub(super) async fn no_more_than(session: &AdminSession, scopes: &[String], team: Option<Uuid>) -> Result<(), Status> {
    grant::no_more_than(session.principal(), scopes)?;
    let team = match team {
        // Who may ask every model may have users of every team.
        Some(id) if !session.principal().models.is_empty() => {
            session.store().team(id).await.map_err(|error| store_status(&error))?
        }
        _ => None,
    };
    grant::models_of_team(session.principal(), team.as_ref())
}

/// The user of this id, if the caller may change them.
async fn changeable(session: &AdminSession, id: &str) -> Result<sabir_store::User, Status> {
    let user = find(session, id).await?;
    no_more_than(session, &user.scopes, user.team_id).await?;
    Ok(user)
}

fn target(id: Uuid) -> String {
    format!("user {id}")
}

fn detail(user: &sabir_store::User) -> Value {
    json!({
        "name": user.name,
        "team_id": user.team_id,
        "scopes": user.scopes,
        "disabled": user.disabled_at_micros.is_some(),
    })
}

fn message(user: sabir_store::User) -> User {
    User {
        id: user.id.to_string(),
        name: user.name,
        team_id: user.team_id.map(|id| id.to_string()).unwrap_or_default(),
        scopes: user.scopes,
        disabled: user.disabled_at_micros.is_some(),
        has_password: user.password_hash.is_some(),
        create_time: Some(timestamp(user.created_at_micros)),
    }
}
