//! `sabir.v1.Clients`.

use std::sync::Arc;
use std::time::SystemTime;

use depends::RequestExt;
use sabir_proto::v1::clients_server::Clients;
use sabir_proto::v1::{
    ClientWithSecret, CreateClientRequest, DeleteClientRequest, DeleteClientResponse, ListClientsRequest,
    ListClientsResponse, OAuthClient, RotateClientSecretRequest,
};
use sabir_providers::Secret;
use sabir_store::{AuditEntry, Store, Subject, unix_micros};
use serde_json::json;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::paging::{next_page_token, page};
use super::reach::Reach;
use super::time::timestamp;
use crate::auth::{Principal, Refusal, Scopes, Tokens, new_client_secret};
use crate::dependencies::CurrentPrincipal;
use crate::error::{field_status, missing, store_status};

/// Administers clients.
#[derive(Clone)]
pub(crate) struct ClientsApi {
    store: Arc<dyn Store>,
    tokens: Arc<Tokens>,
}

impl ClientsApi {
    pub(crate) fn new(store: Arc<dyn Store>, tokens: Arc<Tokens>) -> Self {
        Self { store, tokens }
    }

    /// The client of this id, if the caller may know of it.
    async fn find(&self, principal: &Principal, id: &str) -> Result<sabir_store::OAuthClient, Status> {
        let absent = || missing("client", id);
        let id = Uuid::try_parse(id).map_err(|_| absent())?;
        let client = self.store.client(id).await.map_err(|error| store_status(&error))?.ok_or_else(absent)?;
        let team = Reach::of(principal, &*self.store).team();
        // To those of another team it looks as if there were none.
        if team.is_some() && client.team_id != team { Err(absent()) } else { Ok(client) }
    }

    /// A secret with its hash.
    fn secret(&self) -> Result<(Secret, [u8; 32]), Status> {
        let secret = new_client_secret().map_err(|error| Status::from(&error))?;
        let hash = self.tokens.client_hash().of(secret.expose());
        Ok((secret, hash))
    }
}

#[tonic::async_trait]
impl Clients for ClientsApi {
    async fn create_client(&self, request: Request<CreateClientRequest>) -> Result<Response<ClientWithSecret>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let wanted = request.into_inner();
        let scopes = granted(principal, &wanted.scopes)?;
        let reach = Reach::of(principal, &*self.store);
        let team_id = match wanted.team_id.as_deref().map(Uuid::try_parse) {
            // Whoever belongs to a team makes clients of the team.
            None => reach.team(),
            Some(Err(_)) => return Err(field_status("team_id", "is no id")),
            Some(Ok(id)) => {
                let absent = |_| field_status("team_id", "there is no such team");
                reach.resolve(Subject::Team(id)).await.map_err(absent)?;
                Some(id)
            }
        };
        let (secret, secret_hash) = self.secret()?;
        let mut names: Vec<String> = scopes.iter().map(|scope| scope.name().to_owned()).collect();
        names.sort();
        let client = sabir_store::OAuthClient {
            id: Uuid::now_v7(),
            name: wanted.name,
            secret_hash,
            team_id,
            scopes: names,
            created_at_micros: unix_micros(SystemTime::now()),
            disabled_at_micros: None,
        };
        let audit = audit(principal, "Clients/CreateClient", &client);
        self.store.create_client(&client, &audit).await.map_err(|error| store_status(&error))?;
        Ok(Response::new(with_secret(&client, &secret)))
    }

    async fn list_clients(
        &self,
        request: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let request = request.into_inner();
        let page = page(request.page_size, &request.page_token)?;
        let asked = request.team_id.as_deref().map(Uuid::try_parse).transpose();
        let asked = asked.map_err(|_| field_status("team_id", "is no id"))?;
        let team = match (asked, Reach::of(principal, &*self.store).team()) {
            (Some(asked), Some(own)) if asked != own => return Ok(Response::new(ListClientsResponse::default())),
            (asked, own) => asked.or(own),
        };
        let clients = self.store.list_clients(team, page).await.map_err(|error| store_status(&error))?;
        let next_page_token = next_page_token(page, clients.iter().map(|client| client.id));
        Ok(Response::new(ListClientsResponse { clients: clients.iter().map(message).collect(), next_page_token }))
    }

    async fn rotate_client_secret(
        &self,
        request: Request<RotateClientSecretRequest>,
    ) -> Result<Response<ClientWithSecret>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let mut client = self.find(principal, &request.get_ref().id).await?;
        // Who has the secret has what it grants.
        granted(principal, &client.scopes)?;
        let (secret, secret_hash) = self.secret()?;
        client.secret_hash = secret_hash;
        let audit = audit(principal, "Clients/RotateClientSecret", &client);
        let changed = self.store.update_client(&client, &audit).await.map_err(|error| store_status(&error))?;
        if !changed {
            return Err(missing("client", &client.id.to_string()));
        }
        Ok(Response::new(with_secret(&client, &secret)))
    }

    async fn delete_client(
        &self,
        request: Request<DeleteClientRequest>,
    ) -> Result<Response<DeleteClientResponse>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let client = self.find(principal, &request.get_ref().id).await?;
        let audit = audit(principal, "Clients/DeleteClient", &client);
        let removed = self.store.delete_client(client.id, &audit).await.map_err(|error| store_status(&error))?;
        if removed {
            Ok(Response::new(DeleteClientResponse {}))
        } else {
            Err(missing("client", &client.id.to_string()))
        }
    }
}

/// The scopes of these names, if the caller has all of them.
fn granted(principal: &Principal, names: &[String]) -> Result<Scopes, Status> {
    let scopes = Scopes::parse(names.iter().map(String::as_str))
        .map_err(|unknown| field_status("scopes", &format!("{unknown:?} is no scope")))?;
    match scopes.iter().find(|scope| !principal.scopes.allow(*scope)) {
        Some(beyond) => Err(Status::from(&Refusal::Scope(beyond))),
        None => Ok(scopes),
    }
}

fn message(client: &sabir_store::OAuthClient) -> OAuthClient {
    OAuthClient {
        id: client.id.to_string(),
        name: client.name.clone(),
        team_id: client.team_id.map(|team| team.to_string()),
        scopes: client.scopes.clone(),
        create_time: Some(timestamp(client.created_at_micros)),
    }
}

fn with_secret(client: &sabir_store::OAuthClient, secret: &Secret) -> ClientWithSecret {
    ClientWithSecret { client: Some(message(client)), secret: secret.expose().to_owned() }
}

fn audit(principal: &Principal, action: &str, client: &sabir_store::OAuthClient) -> AuditEntry {
    let detail =
        json!({"name": client.name, "team_id": client.team_id.map(|id| id.to_string()), "scopes": client.scopes});
    AuditEntry {
        id: Uuid::now_v7(),
        at_micros: unix_micros(SystemTime::now()),
        actor: principal.actor(),
        action: action.to_owned(),
        target: format!("client {}", client.id),
        detail: detail.to_string(),
    }
}
