//! `sabir.v1.Auth`.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use sabir_proto::v1::auth_server::Auth;
use sabir_proto::v1::{
    AuthorizationServer, CreateTokenRequest, CreateTokenResponse, GetAuthorizationServerRequest,
    GetJsonWebKeySetRequest, JsonWebKey, JsonWebKeySet, RevokeTokenRequest, RevokeTokenResponse,
};
use sabir_providers::Secret;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::auth::{ClientCredentials, Grant, GrantError, Grants, Scope, TokenRequest};
use crate::server::Peer;

/// How long others may keep the keys. New ones are published twice as long before they sign.
const KEYS_KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Gives out tokens.
#[derive(Debug, Clone)]
pub(crate) struct AuthApi {
    grants: Arc<Grants>,
}

impl AuthApi {
    pub(crate) fn new(grants: Arc<Grants>) -> Self {
        Self { grants }
    }
}

#[tonic::async_trait]
impl Auth for AuthApi {
    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let address = address(&request);
        let (metadata, _, message) = request.into_parts();
        let CreateTokenRequest { grant_type, username, password, refresh_token, scope, .. } = message;
        let client = client(&metadata, message.client_id, message.client_secret);
        let client = client.map_err(|error| refuse(&error, &metadata))?;
        let grant = match grant_type.as_str() {
            "password" => Ok(Grant::Password { name: username, password: Secret::new(password) }),
            "refresh_token" => Ok(Grant::Refresh(Secret::new(refresh_token))),
            "client_credentials" => Ok(Grant::Client),
            "" => Err(GrantError::Request("grant_type is missing")),
            _ => Err(GrantError::Type),
        };
        let grant = grant.map_err(|error| refuse(&error, &metadata))?;
        // A form that was not filled in is as one that does not ask for particular scopes.
        let scope = Some(scope).filter(|scope| !scope.is_empty());
        let request = TokenRequest { grant, client, scope, address };
        let issued = self.grants.issue(request).await.map_err(|error| refuse(&error, &metadata))?;
        let answer = CreateTokenResponse {
            access_token: issued.access_token.expose().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: issued.expires_in,
            refresh_token: issued.refresh_token.map(|token| token.expose().to_owned()),
            scope: issued.scopes.to_string(),
        };
        Ok(with_header(answer, HeaderValue::from_static("no-store")))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let address = address(&request);
        let (metadata, _, message) = request.into_parts();
        let revoked = async {
            let client = client(&metadata, message.client_id, message.client_secret)?;
            if message.token.is_empty() {
                return Err(GrantError::Request("token is missing"));
            }
            self.grants.revoke(&Secret::new(message.token), client.as_ref(), address).await
        };
        revoked.await.map_err(|error| refuse(&error, &metadata))?;
        Ok(with_header(RevokeTokenResponse {}, HeaderValue::from_static("no-store")))
    }

    async fn get_json_web_key_set(
        &self,
        _: Request<GetJsonWebKeySetRequest>,
    ) -> Result<Response<JsonWebKeySet>, Status> {
        let keys = self.grants.tokens().published_keys();
        let keys = keys.iter().filter_map(|key| {
            let key = serde_json::to_value(key).ok()?;
            let member = |name: &str| key.get(name)?.as_str().map(str::to_owned);
            Some(JsonWebKey {
                kty: member("kty")?,
                r#use: "sig".to_owned(),
                alg: member("alg")?,
                kid: member("kid")?,
                crv: member("crv"),
                x: member("x"),
                n: member("n"),
                e: member("e"),
            })
        });
        Ok(with_header(JsonWebKeySet { keys: keys.collect() }, KEYS_KEPT))
    }

    async fn get_authorization_server(
        &self,
        _: Request<GetAuthorizationServerRequest>,
    ) -> Result<Response<AuthorizationServer>, Status> {
        let issuer = &self.grants.tokens().config().issuer;
        if !issuer.starts_with("https://") && !issuer.starts_with("http://") {
            return Err(Status::not_found("the issuer of this server's tokens is no URL"));
        }
        let base = issuer.trim_end_matches('/');
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let answer = AuthorizationServer {
            issuer: issuer.clone(),
            token_endpoint: format!("{base}/v1/auth/token"),
            revocation_endpoint: format!("{base}/v1/auth/revoke"),
            jwks_uri: format!("{base}/v1/auth/jwks"),
            scopes_supported: Scope::ALL.iter().map(|scope| scope.name().to_owned()).collect(),
            response_types_supported: Vec::new(),
            grant_types_supported: names(&["password", "refresh_token", "client_credentials"]),
            token_endpoint_auth_methods_supported: names(&["client_secret_basic", "client_secret_post", "none"]),
        };
        Ok(with_header(answer, KEYS_KEPT))
    }
}

/// Where the request comes from.
fn address<T>(request: &Request<T>) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.address.ip())
}

/// The client that asks, from the one place where it says which it is.
fn client(metadata: &MetadataMap, id: String, secret: String) -> Result<Option<ClientCredentials>, GrantError> {
    let header = metadata.as_ref().get(AUTHORIZATION);
    let in_header = header.map(ClientCredentials::of_header).transpose()?.flatten();
    let in_body = (!id.is_empty()).then(|| ClientCredentials { id, secret: Secret::new(secret) });
    match (in_header, in_body) {
        // Some clients name themselves in the body as well.
        (Some(header), Some(body)) if header.id != body.id || !body.secret.is_empty() => {
            Err(GrantError::Request("the client says in two places which it is"))
        }
        (header, body) => Ok(header.or(body)),
    }
}

fn with_header<T>(answer: T, cache_control: HeaderValue) -> Response<T> {
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, cache_control);
    Response::from_parts(MetadataMap::from_headers(headers), answer, http::Extensions::new())
}

/// The status, with what RFC 6749, section 5.2, wants in the headers.
fn refuse(error: &GrantError, metadata: &MetadataMap) -> Status {
    let mut status = Status::from(error);
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if *error == GrantError::Client && metadata.as_ref().contains_key(AUTHORIZATION) {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"sabir\""));
    }
    *status.metadata_mut() = MetadataMap::from_headers(headers);
    status
}
