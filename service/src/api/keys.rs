//! `sabir.v1.Keys`.

use std::sync::Arc;
use std::time::SystemTime;

use depends::RequestExt;
use sabir_proto::v1::keys_server::Keys;
use sabir_proto::v1::{
    CreateKeyRequest, GetKeyRequest, Key, ListKeysRequest, ListKeysResponse, NewKey, RevokeKeyRequest,
    RotateKeyRequest, UpdateKeyRequest,
};
use sabir_store::{ApiKey, KeyFilter, Subject, unix_micros};
use serde_json::{Value, json};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::grant;
use super::paging::{next_page_token, page};
use super::time::{micros, timestamp};
use crate::auth::{self, KeyMint};
use crate::dependencies::AdminSession;
use crate::error::{field_status, missing, no_randomness, revoked, store_status};

/// Administers API keys.
#[derive(Clone)]
pub(crate) struct KeysApi {
    mint: Arc<KeyMint>,
}

impl KeysApi {
    pub(crate) fn new(mint: Arc<KeyMint>) -> Self {
        Self { mint }
    }

    fn mint(&self) -> Result<auth::NewKey, Status> {
        self.mint.make().map_err(|_| no_randomness())
    }
}

#[tonic::async_trait]
impl Keys for KeysApi {
    async fn create_key(&self, request: Request<CreateKeyRequest>) -> Result<Response<NewKey>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let wanted = request.into_inner().key.unwrap_or_default();
        grant::models(session.principal(), "key.models", &wanted.models)?;
        let user_id = user(&session, &wanted.user_id).await?;
        let team_id = session.reach().team_for_new("key.team_id", &wanted.team_id).await?;
        let id = Uuid::now_v7();
        let new = self.mint()?;
        let key = ApiKey {
            id,
            name: grant::name("key.name", &wanted.name)?,
            prefix: new.prefix,
            hash: new.hash,
            user_id,
            team_id,
            scopes: grant::scopes(session.principal(), "key.scopes", &wanted.scopes)?,
            models: wanted.models,
            created_at_micros: now(),
            expires_at_micros: wanted.expire_time.map(|time| micros("key.expire_time", time)).transpose()?,
            revoked_at_micros: None,
            lineage_id: id,
        };
        let audit = session.audit("Keys/CreateKey", target(key.id), &detail(&key));
        session.store().create_key(&key, &audit).await.map_err(|error| store_status(&error))?;
        Ok(Response::new(NewKey { key: Some(message(key)), secret: new.secret.expose().to_owned() }))
    }

    async fn get_key(&self, request: Request<GetKeyRequest>) -> Result<Response<Key>, Status> {
        let session = request.depends::<AdminSession>().await?;
        find(&session, &request.get_ref().id).await.map(|key| Response::new(message(key)))
    }

    async fn list_keys(&self, request: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let request = request.into_inner();
        let page = page(request.page_size, &request.page_token)?;
        let asked = grant::optional_id("team_id", &request.team_id)?;
        let user_id = grant::optional_id("user_id", &request.user_id)?;
        let reach = session.reach();
        let beyond = match user_id {
            Some(id) => !reach.includes(&Subject::User(id)).await?,
            None => false,
        };
        let team_id = match (reach.team(), asked) {
            (Some(own), Some(other)) if own != other => return Ok(Response::new(ListKeysResponse::default())),
            _ if beyond => return Ok(Response::new(ListKeysResponse::default())),
            _ => asked,
        };
        let filter = KeyFilter { team_id, user_id, within_team: reach.team(), revoked: request.include_revoked };
        let keys = session.store().list_keys(&filter, page).await.map_err(|error| store_status(&error))?;
        let next_page_token = next_page_token(page, keys.iter().map(|key| key.id));
        let keys = keys.into_iter().map(message).collect();
        Ok(Response::new(ListKeysResponse { keys, next_page_token }))
    }

    async fn update_key(&self, request: Request<UpdateKeyRequest>) -> Result<Response<Key>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let UpdateKeyRequest { key, update_mask } = request.into_inner();
        let wanted = key.unwrap_or_default();
        let mut key = find(&session, &wanted.id).await?;
        grant::no_more_than(session.principal(), &key.scopes)?;
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            return Err(field_status("update_mask", "says what is to change"));
        }
        for path in &paths {
            match path.as_str() {
                // A body may name the key that its path names.
                "id" => {}
                "name" => key.name = grant::name("key.name", &wanted.name)?,
                "scopes" => key.scopes = grant::scopes(session.principal(), "key.scopes", &wanted.scopes)?,
                "models" => {
                    grant::models(session.principal(), "key.models", &wanted.models)?;
                    key.models.clone_from(&wanted.models);
                }
                "expire_time" => {
                    key.expires_at_micros =
                        wanted.expire_time.map(|time| micros("key.expire_time", time)).transpose()?;
                }
                other => return Err(field_status("update_mask", &format!("`{other}` of a key does not change"))),
            }
        }
        update(&session, "Keys/UpdateKey", key).await
    }

    async fn rotate_key(&self, request: Request<RotateKeyRequest>) -> Result<Response<NewKey>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let RotateKeyRequest { id, overlap_seconds, expire_time } = request.into_inner();
        let old = find(&session, &id).await?;
        // The caller gets the new key in hand.
        grant::no_more_than(session.principal(), &old.scopes)?;
        grant::models(session.principal(), "key.models", &old.models)?;
        let new = self.mint()?;
        let now = now();
        let key = ApiKey {
            id: Uuid::now_v7(),
            prefix: new.prefix,
            hash: new.hash,
            created_at_micros: now,
            expires_at_micros: expire_time.map(|time| micros("expire_time", time)).transpose()?,
            revoked_at_micros: None,
            ..old.clone()
        };
        let until = now.saturating_add(i64::from(overlap_seconds) * 1_000_000);
        let detail = json!({"new": key.id, "overlap_seconds": overlap_seconds});
        let audit = session.audit("Keys/RotateKey", target(old.id), &detail);
        match session.store().rotate_key(old.id, until, &key, &audit).await.map_err(|error| store_status(&error))? {
            true => Ok(Response::new(NewKey { key: Some(message(key)), secret: new.secret.expose().to_owned() })),
            false => Err(revoked("a key that is revoked, or has been rotated, is not rotated again")),
        }
    }

    async fn revoke_key(&self, request: Request<RevokeKeyRequest>) -> Result<Response<Key>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let key = find(&session, &request.get_ref().id).await?;
        grant::no_more_than(session.principal(), &key.scopes)?;
        // A key that was rotated may have some time left; what is revoked already stays so since it was.
        let at = key.revoked_at_micros.map_or_else(now, |revoked| revoked.min(now()));
        update(&session, "Keys/RevokeKey", ApiKey { revoked_at_micros: Some(at), ..key }).await
    }
}

/// The key of this id, if the caller may know of it.
async fn find(session: &AdminSession, id: &str) -> Result<ApiKey, Status> {
    let absent = || missing("key", id);
    let id = Uuid::try_parse(id).map_err(|_| absent())?;
    if !session.reach().includes(&Subject::Key(id)).await? {
        return Err(absent());
    }
    session.store().key(id).await.map_err(|error| store_status(&error))?.ok_or_else(absent)
}

/// The user that a new key is to have.
async fn user(session: &AdminSession, id: &str) -> Result<Option<Uuid>, Status> {
    let Some(id) = grant::optional_id("key.user_id", id)? else { return Ok(None) };
    let absent = || field_status("key.user_id", "is no user");
    let user = session.store().user(id).await.map_err(|error| store_status(&error))?.ok_or_else(absent)?;
    if !session.reach().includes(&Subject::User(id)).await? {
        return Err(absent());
    }
    // A key of a user is as good as the user's password.
    grant::no_more_than(session.principal(), &user.scopes)?;
    Ok(Some(id))
}

async fn update(session: &AdminSession, action: &str, key: ApiKey) -> Result<Response<Key>, Status> {
    let audit = session.audit(action, target(key.id), &detail(&key));
    match session.store().update_key(&key, &audit).await.map_err(|error| store_status(&error))? {
        true => Ok(Response::new(message(key))),
        false => Err(missing("key", &key.id.to_string())),
    }
}

fn now() -> i64 {
    unix_micros(SystemTime::now())
}

fn target(id: Uuid) -> String {
    format!("key {id}")
}

fn detail(key: &ApiKey) -> Value {
    json!({
        "name": key.name,
        "prefix": key.prefix,
        "user_id": key.user_id,
        "team_id": key.team_id,
        "scopes": key.scopes,
        "models": key.models,
        "expires_at_micros": key.expires_at_micros,
    })
}

fn message(key: ApiKey) -> Key {
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    Key {
        id: key.id.to_string(),
        name: key.name,
        prefix: key.prefix,
        user_id: id(key.user_id),
        team_id: id(key.team_id),
        scopes: key.scopes,
        models: key.models,
        expire_time: key.expires_at_micros.map(timestamp),
        revoke_time: key.revoked_at_micros.map(timestamp),
        create_time: Some(timestamp(key.created_at_micros)),
        lineage_id: key.lineage_id.to_string(),
    }
}
