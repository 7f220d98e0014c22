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
use sabir_store::{AuditEntry, unix_micros};
use serde_json::json;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::grant;
use super::paging::{next_page_token, page};
use super::time::timestamp;
use super::users::no_more_than;
use crate::auth::{Tokens, new_client_secret};
use crate::dependencies::AdminSession;
use crate::error::{missing, store_status};

/// Administers clients.
#[derive(Clone)]
pub(crate) struct ClientsApi {
    tokens: Arc<Tokens>,
}

impl ClientsApi {
    pub(crate) fn new(tokens: Arc<Tokens>) -> Self {
        Self { tokens }
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
        let session = request.depends::<AdminSession>().await?;
        let wanted = request.into_inner();
        let scopes = grant::scopes(session.principal(), "scopes", &wanted.scopes)?;
        let team_id = session.reach().team_for_new("team_id", wanted.team_id()).await?;
        // Whoever makes a client can ask what it may.
        no_more_than(&session, &scopes, team_id).await?;
        let (secret, secret_hash) = self.secret()?;
        let client = sabir_store::OAuthClient {
            id: Uuid::now_v7(),
            name: grant::name("name", &wanted.name)?,
            secret_hash,
            team_id,
            scopes,
            created_at_micros: unix_micros(SystemTime::now()),
            disabled_at_micros: None,
        };
        let audit = audit(&session, "Clients/CreateClient", &client);
        session.store().create_client(&client, &audit).await.map_err(|error| store_status(&error))?;
        Ok(Response::new(with_secret(&client, &secret)))
    }

    async fn list_clients(
        &self,
        request: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let request = request.into_inner();
        let page = page(request.page_size, &request.page_token)?;
        let asked = grant::optional_id("team_id", request.team_id())?;
        let team = match (asked, session.reach().team()) {
            (Some(asked), Some(own)) if asked != own => return Ok(Response::new(ListClientsResponse::default())),
            (asked, own) => asked.or(own),
        };
        let clients = session.store().list_clients(team, page).await.map_err(|error| store_status(&error))?;
        let next_page_token = next_page_token(page, clients.iter().map(|client| client.id));
        Ok(Response::new(ListClientsResponse { clients: clients.iter().map(message).collect(), next_page_token }))
    }

    async fn rotate_client_secret(
        &self,
        request: Request<RotateClientSecretRequest>,
    ) -> Result<Response<ClientWithSecret>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let mut client = find(&session, &request.get_ref().id).await?;
        // Who has the secret has what it grants.
        no_more_than(&session, &client.scopes, client.team_id).await?;
        let (secret, secret_hash) = self.secret()?;
        client.secret_hash = secret_hash;
        let audit = audit(&session, "Clients/RotateClientSecret", &client);
        let changed = session.store().update_client(&client, &audit).await.map_err(|error| store_status(&error))?;
        if !changed {
            return Err(missing("client", &client.id.to_string()));
        }
        Ok(Response::new(with_secret(&client, &secret)))
    }

    async fn delete_client(
        &self,
        request: Request<DeleteClientRequest>,
    ) -> Result<Response<DeleteClientResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let client = find(&session, &request.get_ref().id).await?;
        grant::no_more_than(session.principal(), &client.scopes)?;
        let audit = audit(&session, "Clients/DeleteClient", &client);
        let removed = session.store().delete_client(client.id, &audit).await.map_err(|error| store_status(&error))?;
        if removed {
            Ok(Response::new(DeleteClientResponse {}))
        } else {
            Err(missing("client", &client.id.to_string()))
        }
    }
}

/// The client of this id, if the caller may know of it.
async fn find(session: &AdminSession, id: &str) -> Result<sabir_store::OAuthClient, Status> {
    let absent = || missing("client", id);
    let id = Uuid::try_parse(id).map_err(|_| absent())?;
    let client = session.store().client(id).await.map_err(|error| store_status(&error))?.ok_or_else(absent)?;
    let team = session.reach().team();
    // To those of another team it looks as if there were none.
    if team.is_some() && client.team_id != team { Err(absent()) } else { Ok(client) }
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

fn audit(session: &AdminSession, action: &str, client: &sabir_store::OAuthClient) -> AuditEntry {
    let detail = json!({"name": client.name, "team_id": client.team_id, "scopes": client.scopes});
    session.audit(action, format!("client {}", client.id), &detail)
}
