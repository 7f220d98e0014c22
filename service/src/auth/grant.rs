//! How users and programs come by tokens: by a password, by a refresh token, by credentials of their own (RFC 6749).
//!
//! Whoever guesses is slowed down, learns nothing from the answer and nothing from the time it takes. It must not know
//! how a request looks on the wire.

mod client;
mod error;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sabir_providers::Secret;
use sabir_store::{OAuthClient, RefreshFamily, Renewal, unix_micros};
use uuid::Uuid;

use super::attempts::Attempts;
use super::token::{Claims, Tokens, now_seconds};
use super::{PasswordError, Passwords, Scope, Scopes};

use crate::telemetry::event;

pub(crate) use client::{ClientCredentials, new_client_secret};
pub(crate) use error::GrantError;

/// What a refresh token begins with, by which programs that look for leaked secrets know it.
const REFRESH_PREFIX: &str = "rt-sabir-";

/// How a caller shows that a token is due.
pub(crate) enum Grant {
    /// A user signs in (section 4.3).
    Password {
        /// The user's name.
        name: String,
        /// The user's password.
        password: Secret,
    },
    /// A token that was given out with another (section 6).
    Refresh(Secret),
    /// The client asks for itself (section 4.4).
    Client,
}

/// A request for a token.
pub(crate) struct TokenRequest {
    pub(crate) grant: Grant,
    /// The client, if it says which it is.
    pub(crate) client: Option<ClientCredentials>,
    /// The scopes that are asked for; `None` for all there are.
    pub(crate) scope: Option<String>,
    /// Where the request comes from, if that is known.
    pub(crate) address: Option<IpAddr>,
}

/// What is given out.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    /// In how many seconds the access token expires.
    pub(crate) expires_in: i64,
    pub(crate) scopes: Scopes,
}

/// Gives out tokens.
#[derive(Debug)]
pub(crate) struct Grants {
    tokens: Arc<Tokens>,
    passwords: Passwords,
    attempts: Attempts,
}

impl Grants {
    /// Gives out these tokens.
    pub(crate) fn new(tokens: Arc<Tokens>, passwords: Passwords) -> Self {
        let attempts = Attempts::new(tokens.config().attempts_per_address);
        Self { tokens, passwords, attempts }
    }

    /// The tokens.
    pub(crate) fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// Gives out a token, if one is due.
    ///
    /// # Errors
    /// See [`GrantError`].
    pub(crate) async fn issue(&self, request: TokenRequest) -> Result<Issued, GrantError> {
        let client = match &request.client {
            Some(credentials) => Some(self.client(credentials, request.address).await?),
            None => None,
        };
        let scope = request.scope.as_deref();
        match (request.grant, client) {
            (Grant::Password { name, password }, client) => {
                self.sign_in(&name, &password, client.as_ref(), scope, request.address).await
            }
            (Grant::Refresh(token), client) => self.renew(&token, client.as_ref(), scope, request.address).await,
            (Grant::Client, Some(client)) => self.for_client(&client, scope),
            (Grant::Client, None) => Err(GrantError::Client),
        }
    }

    /// Ends the sign-in that a token comes from. A token that is not known is no error (RFC 7009, section 2.2).
    ///
    /// # Errors
    /// See [`GrantError`].
    pub(crate) async fn revoke(
        &self,
        token: &Secret,
        client: Option<&ClientCredentials>,
        address: Option<IpAddr>,
    ) -> Result<(), GrantError> {
        let client = match client {
            Some(credentials) => Some(self.client(credentials, address).await?.id),
            None => None,
        };
        let (session, owner) = if token.expose().starts_with(REFRESH_PREFIX) {
            let hash = self.tokens.refresh_hash().of(token.expose());
            match self.tokens.store().family_of(&hash).await? {
                Some(family) if family.revoked_at_micros.is_none() => (family.id, family.client_id),
                _ => return Ok(()),
            }
        } else {
            match self.tokens.verify(token.expose()) {
                Ok(claims) => (claims.sid, claims.client_id),
                Err(_) => return Ok(()),
            }
        };
        // Whoever has the token may end it, save that one client cannot end another's.
        if owner.is_some() && client.is_some() && owner != client {
            return Ok(());
        }
        self.tokens.revoke(session).await?;
        tracing::info!(event = event::SIGN_IN_ENDED, %session, "a sign-in was ended");
        Ok(())
    }

    async fn sign_in(
        &self,
        name: &str,
        password: &Secret,
        client: Option<&OAuthClient>,
        scope: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<Issued, GrantError> {
        let attempt = format!("user {name}");
        self.begin(&attempt, address)?;
        let user = self.tokens.identity().user_named(name).await;
        let user = user.inspect_err(|_| self.attempts.abandoned(&attempt, address))?;
        // The same work whether there is such a user or not.
        let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
        let fits = match self.passwords.verify(password, hash).await {
            Ok(fits) => fits,
            Err(PasswordError::TooLong) => false,
            Err(PasswordError::Busy | PasswordError::Failed) => {
                self.attempts.abandoned(&attempt, address);
                return Err(GrantError::Busy);
            }
        };
        let user = user.filter(|user| fits && user.disabled_at_micros.is_none()).ok_or(GrantError::Grant)?;
        self.attempts.succeeded(&attempt, address);
        if let Some(team) = user.team_id {
            self.tokens.active_team(team).await.map_err(GrantError::of_refusal)?;
        }
        let scopes = narrowed(Scopes::known(user.scopes.iter().map(String::as_str)), scope)?;
        let now = unix_micros(SystemTime::now());
        let lifetime = i64::try_from(self.tokens.config().refresh_lifetime.as_micros()).unwrap_or(i64::MAX);
        let family = RefreshFamily {
            id: Uuid::now_v7(),
            user_id: user.id,
            client_id: client.map(|client| client.id),
            scopes: names(scopes),
            created_at_micros: now,
            expires_at_micros: now.saturating_add(lifetime),
            revoked_at_micros: None,
        };
        let refresh_token = random(REFRESH_PREFIX)?;
        let hash = self.tokens.refresh_hash().of(refresh_token.expose());
        let password_hash = user.password_hash.as_deref().unwrap_or_default();
        if !self.tokens.store().begin_family(&family, password_hash, &hash).await? {
            return Err(GrantError::Grant);
        }
        self.answer(family.user_id, family.client_id, Some(family.id), scopes, Some(refresh_token))
    }

    async fn renew(
        &self,
        token: &Secret,
        client: Option<&OAuthClient>,
        scope: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<Issued, GrantError> {
        let next = random(REFRESH_PREFIX)?;
        let hash = |token: &Secret| self.tokens.refresh_hash().of(token.expose());
        let (given, next_hash) = (hash(token), hash(&next));
        // Before the token is used up: what is asked for wrongly shall not cost it.
        let asked = scope.map(parse).transpose()?;
        let now = unix_micros(SystemTime::now());
        let until = self.tokens.forgotten_at(now);
        let client_id = client.map(|client| client.id);
        let family = match self.tokens.store().renew(&given, client_id, &next_hash, now, until).await? {
            Renewal::Renewed(family) => family,
            Renewal::Replayed(family) => {
                tracing::warn!(event = event::REFRESH_REPLAYED, session = %family.id, user = %family.user_id, address = ?address,
                    "a refresh token was used twice: its sign-in is ended");
                self.tokens.note_replay().await?;
                return Err(GrantError::Grant);
            }
            Renewal::Unknown | Renewal::Expired | Renewal::Revoked => return Err(GrantError::Grant),
        };
        let user = self.tokens.identity().user(family.user_id).await?;
        let user = user.filter(|user| user.disabled_at_micros.is_none()).ok_or(GrantError::Grant)?;
        if let Some(team) = user.team_id {
            self.tokens.active_team(team).await.map_err(GrantError::of_refusal)?;
        }
        // Never more than was granted first, nor than the user has now.
        let granted = Scopes::known(family.scopes.iter().map(String::as_str));
        let has = granted.both(Scopes::known(user.scopes.iter().map(String::as_str)));
        let scopes = asked.map_or(has, |asked| within(has, asked));
        if scopes.is_empty() {
            return Err(GrantError::Scope);
        }
        self.answer(family.user_id, family.client_id, Some(family.id), scopes, Some(next))
    }

    fn for_client(&self, client: &OAuthClient, scope: Option<&str>) -> Result<Issued, GrantError> {
        let scopes = narrowed(Scopes::known(client.scopes.iter().map(String::as_str)), scope)?;
        self.answer(client.id, Some(client.id), None, scopes, None)
    }

    fn answer(
        &self,
        subject: Uuid,
        client_id: Option<Uuid>,
        session: Option<Uuid>,
        scopes: Scopes,
        refresh_token: Option<Secret>,
    ) -> Result<Issued, GrantError> {
        let config = self.tokens.config();
        let expires_in = i64::try_from(config.access_lifetime.as_secs()).unwrap_or(i64::MAX);
        let (now, jti) = (now_seconds(), Uuid::now_v7());
        let claims = Claims {
            iss: config.issuer.clone(),
            sub: subject,
            aud: config.audience.clone(),
            client_id,
            scope: scopes.to_string(),
            iat: now,
            exp: now.saturating_add(expires_in),
            jti,
            sid: session.unwrap_or(jti),
        };
        let access_token = Secret::new(self.tokens.sign(&claims)?);
        Ok(Issued { access_token, refresh_token, expires_in, scopes })
    }

    fn begin(&self, attempt: &str, address: Option<IpAddr>) -> Result<(), GrantError> {
        self.attempts.begin(attempt, address).map_err(GrantError::TooManyAttempts)
    }
}

/// The scopes that a request asks for.
fn parse(scope: &str) -> Result<Scopes, GrantError> {
    Scopes::parse(scope.split(' ').filter(|name| !name.is_empty())).map_err(|_| GrantError::Scope)
}

/// Of what there is, what is asked for. Who is no administrator gets nothing by asking to be one.
fn within(has: Scopes, asked: Scopes) -> Scopes {
    let asked = asked.iter().filter(|scope| *scope != Scope::Admin || has.allow(Scope::Admin)).collect();
    has.both(asked)
}

/// Of what there is, what is asked for (RFC 6749, section 3.3).
fn narrowed(has: Scopes, scope: Option<&str>) -> Result<Scopes, GrantError> {
    let scopes = match scope {
        Some(scope) => within(has, parse(scope)?),
        None => has,
    };
    if scopes.is_empty() { Err(GrantError::Scope) } else { Ok(scopes) }
}

fn names(scopes: Scopes) -> Vec<String> {
    let mut names: Vec<String> = scopes.iter().map(|scope| scope.name().to_owned()).collect();
    names.sort();
    names
}

/// A secret of 256 random bits behind a prefix.
fn random(prefix: &str) -> Result<Secret, GrantError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| GrantError::Internal)?;
    Ok(Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_narrowed_and_never_widened() {
        let has: Scopes = [Scope::Chat, Scope::ModelsRead].into_iter().collect();
        assert_eq!(narrowed(has, None), Ok(has));
        assert_eq!(narrowed(has, Some("chat  keys.write")).unwrap().to_string(), "chat");
        for nothing in ["keys.write", "", "openid", "chat,models.read", "admin"] {
            assert_eq!(narrowed(has, Some(nothing)), Err(GrantError::Scope), "{nothing}");
        }
        assert_eq!(narrowed(has, Some("chat admin")).unwrap().to_string(), "chat");
        let admin: Scopes = [Scope::Admin].into_iter().collect();
        assert_eq!(narrowed(admin, Some("chat")).unwrap().to_string(), "chat");
    }
}
