//! Which client it is that asks: its id and secret, from HTTP Basic or from the body (RFC 6749, section 2.3.1).

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use sabir_providers::Secret;
use sabir_store::OAuthClient;
use uuid::Uuid;

use super::{GrantError, Grants, random};

/// What a client's secret begins with, by which programs that look for leaked secrets know it.
const PREFIX: &str = "cs-sabir-";

/// The longest `authorization` that is looked at, in bytes.
const LONGEST: usize = 1024;

/// What a client says it is.
#[derive(Debug, Clone)]
pub(crate) struct ClientCredentials {
    pub(crate) id: String,
    pub(crate) secret: Secret,
}

impl ClientCredentials {
    /// The client that an `authorization` header names; `None` if that is not of HTTP Basic, or names nobody, as forms
    /// for people send it that were not filled in.
    ///
    /// # Errors
    /// `Request` if it cannot be read.
    pub(crate) fn of_header(header: &HeaderValue) -> Result<Option<Self>, GrantError> {
        const UNREADABLE: GrantError = GrantError::Request("the `authorization` of the client cannot be read");
        let bytes = header.as_bytes();
        let Some((scheme, rest)) =
            bytes.split_at_checked(6).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"basic "))
        else {
            return Ok(None);
        };
        debug_assert_eq!(scheme.len() + rest.len(), bytes.len());
        if rest.len() > LONGEST {
            return Err(UNREADABLE);
        }
        let text = STANDARD.decode(rest.trim_ascii()).map_err(|_| UNREADABLE)?;
        let text = String::from_utf8(text).map_err(|_| UNREADABLE)?;
        let (id, secret) = text.split_once(':').ok_or(UNREADABLE)?;
        // Ids and secrets of ours have no character that a form would write otherwise.
        Ok((!id.is_empty()).then(|| Self { id: id.to_owned(), secret: Secret::new(secret) }))
    }
}

/// A new secret for a client.
pub(crate) fn new_client_secret() -> Result<Secret, GrantError> {
    random(PREFIX)
}

impl Grants {
    /// The client, if it is the one it says it is.
    pub(super) async fn client(
        &self,
        credentials: &ClientCredentials,
        address: Option<IpAddr>,
    ) -> Result<OAuthClient, GrantError> {
        let id = Uuid::try_parse(&credentials.id).ok();
        let attempt = format!("client {}", id.unwrap_or_default());
        self.begin(&attempt, address)?;
        let client = match id {
            Some(id) => {
                self.tokens.store().client(id).await.inspect_err(|_| self.attempts.abandoned(&attempt, address))?
            }
            None => None,
        };
        // The same work whether there is such a client or not.
        let hash = client.as_ref().map_or([0; 32], |client| client.secret_hash);
        let fits = self.tokens.client_hash().fits(credentials.secret.expose(), &hash);
        let client = client.filter(|client| fits && client.disabled_at_micros.is_none()).ok_or(GrantError::Client)?;
        if let Some(team) = client.team_id {
            self.tokens.active_team(team).await.map_err(|refusal| match GrantError::of_refusal(refusal) {
                GrantError::Grant => GrantError::Client,
                other => other,
            })?;
        }
        self.attempts.succeeded(&attempt, address);
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_names_itself_in_http_basic() {
        let read = |text: &str| ClientCredentials::of_header(&HeaderValue::from_str(text).unwrap());
        let client = read("Basic aWQ6YTpi").unwrap().unwrap();
        assert_eq!((client.id.as_str(), client.secret.expose()), ("id", "a:b"));
        assert!(read("basic Og==").unwrap().is_none(), "a form that was not filled in");
        assert!(read("Bearer x").unwrap().is_none());
        for wrong in ["Basic ", "Basic ?", "Basic aWQ=", "Basic /////w=="] {
            assert!(matches!(read(wrong), Err(GrantError::Request(_))), "{wrong}");
        }
    }
}
