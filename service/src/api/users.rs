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
use sabir_store::{Store, Subject, unix_micros};
use serde_json::{Value, json};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::act::act;
use super::grant;
use super::paging::{next_page_token, page};
use super::reach::Reach;
use super::teams::since;
use super::time::timestamp;
use crate::auth::{Passwords, Principal};
use crate::dependencies::CurrentPrincipal;
use crate::error::{field_status, missing, password_status, store_status};

/// Administers users.
#[derive(Clone)]
pub(crate) struct UsersApi {
    store: Arc<dyn Store>,
    passwords: Passwords,
}

impl UsersApi {
    pub(crate) fn new(store: Arc<dyn Store>, passwords: Passwords) -> Self {
        Self { store, passwords }
    }

    /// The user of this id, if the caller may know of them.
    async fn find(&self, principal: &Principal, id: &str) -> Result<sabir_store::User, Status> {
        let absent = || missing("user", id);
        let id = Uuid::try_parse(id).map_err(|_| absent())?;
        if !Reach::of(principal, &*self.store).includes(&Subject::User(id)).await? {
            return Err(absent());
        }
        self.store.user(id).await.map_err(|error| store_status(&error))?.ok_or_else(absent)
    }

    /// The team that a user is to be in.
    async fn team(&self, principal: &Principal, id: &str) -> Result<Option<Uuid>, Status> {
        let reach = Reach::of(principal, &*self.store);
        let wanted = match grant::optional_id("user.team_id", id)? {
            None => None,
            Some(id) => Some(
                self.store
                    .team(id)
                    .await
                    .map_err(|error| store_status(&error))?
                    .ok_or_else(|| field_status("user.team_id", "is no team"))?,
            ),
        };
        grant::team(reach.team(), wanted.as_ref())
    }

    /// Refuses to put a user in this team into the caller's hand if the user may do more.
    async fn no_more_than(&self, principal: &Principal, scopes: &[String], team: Option<Uuid>) -> Result<(), Status> {
        grant::no_more_than(principal, scopes)?;
        let team = match team {
            // Who may ask every model may have users of every team.
            Some(id) if !principal.models.is_empty() => {
                self.store.team(id).await.map_err(|error| store_status(&error))?
            }
            _ => None,
        };
        grant::models_of_team(principal, team.as_ref())
    }

    async fn hash(&self, password: String) -> Result<String, Status> {
        self.passwords.hash(&Secret::new(password)).await.map_err(|error| password_status(&error))
    }

    async fn update(
        &self,
        principal: &Principal,
        action: &str,
        user: sabir_store::User,
    ) -> Result<Response<User>, Status> {
        let audit = act(principal, action, target(user.id), &detail(&user));
        match self.store.update_user(&user, &audit).await.map_err(|error| store_status(&error))? {
            true => Ok(Response::new(message(user))),
            false => Err(missing("user", &user.id.to_string())),
        }
    }
}

#[tonic::async_trait]
impl Users for UsersApi {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<User>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let CreateUserRequest { user, password } = request.into_inner();
        let wanted = user.unwrap_or_default();
        let now = unix_micros(SystemTime::now());
        let scopes = grant::scopes(principal, "user.scopes", &wanted.scopes)?;
        let team_id = self.team(principal, &wanted.team_id).await?;
        self.no_more_than(principal, &scopes, team_id).await?;
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
        let audit = act(principal, "Users/CreateUser", target(user.id), &detail(&user));
        self.store.create_user(&user, &audit).await.map_err(|error| store_status(&error))?;
        Ok(Response::new(message(user)))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        self.find(principal, &request.get_ref().id).await.map(|user| Response::new(message(user)))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let request = request.into_inner();
        let page = page(request.page_size, &request.page_token)?;
        let asked = grant::optional_id("team_id", &request.team_id)?;
        let team = match (Reach::of(principal, &*self.store).team(), asked) {
            (Some(own), Some(other)) if own != other => return Ok(Response::new(ListUsersResponse::default())),
            (own, asked) => asked.or(own),
        };
        let users = self.store.list_users(team, page).await.map_err(|error| store_status(&error))?;
        let next_page_token = next_page_token(page, users.iter().map(|user| user.id));
        let users = users.into_iter().map(message).collect();
        Ok(Response::new(ListUsersResponse { users, next_page_token }))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<User>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let UpdateUserRequest { user, update_mask } = request.into_inner();
        let wanted = user.unwrap_or_default();
        let mut user = self.find(principal, &wanted.id).await?;
        self.no_more_than(principal, &user.scopes, user.team_id).await?;
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            return Err(field_status("update_mask", "says what is to change"));
        }
        for path in &paths {
            match path.as_str() {
                // A body may name the user that its path names.
                "id" => {}
                "name" => user.name = grant::name("user.name", &wanted.name)?,
                "team_id" => user.team_id = self.team(principal, &wanted.team_id).await?,
                "scopes" => user.scopes = grant::scopes(principal, "user.scopes", &wanted.scopes)?,
                "disabled" => user.disabled_at_micros = since(wanted.disabled, user.disabled_at_micros),
                other => return Err(field_status("update_mask", &format!("`{other}` of a user does not change"))),
            }
        }
        self.no_more_than(principal, &user.scopes, user.team_id).await?;
        self.update(principal, "Users/UpdateUser", user).await
    }

    async fn set_user_password(&self, request: Request<SetUserPasswordRequest>) -> Result<Response<User>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let SetUserPasswordRequest { id, password } = request.into_inner();
        let user = self.find(principal, &id).await?;
        // Whoever knows the password can do what the user can.
        self.no_more_than(principal, &user.scopes, user.team_id).await?;
        let user = sabir_store::User { password_hash: Some(self.hash(password).await?), ..user };
        self.update(principal, "Users/SetUserPassword", user).await
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let user = self.find(principal, &request.get_ref().id).await?;
        grant::no_more_than(principal, &user.scopes)?;
        let audit = act(principal, "Users/DeleteUser", target(user.id), &detail(&user));
        match self.store.delete_user(user.id, &audit).await.map_err(|error| store_status(&error))? {
            true => Ok(Response::new(DeleteUserResponse {})),
            false => Err(missing("user", &user.id.to_string())),
        }
    }
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
