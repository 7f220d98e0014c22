//! What a document says of an API that descriptors cannot know: its name, who answers for it, where it is served, and how
//! callers prove who they are.

use super::document::{ApiKeyPlace, Flows, Scheme, TokenFlow};
use super::ordered::Ordered;

/// What the documents say of the API as a whole.
///
/// Everything but `title` and `version` may stay as [`About::default`] has it.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The name of the API.
    pub title: String,
    /// The version of the API, not of OpenAPI.
    pub version: String,
    /// The API in one line.
    pub summary: Option<String>,
    /// The API in a few paragraphs of Markdown.
    pub description: Option<String>,
    /// The address of the terms of service.
    pub terms_of_service: Option<String>,
    /// Who to ask.
    pub contact: Option<Contact>,
    /// Under which terms the API may be used.
    pub licence: Option<Licence>,
    /// Where the API is served. Default: where the document came from (`/`).
    pub servers: Vec<Server>,
    /// More to read.
    pub external_docs: Option<ExternalDocs>,
    /// The ways for a caller to prove who they are, by name; one of them is enough. Without any, the documents say
    /// nothing of security.
    pub security: Vec<(String, SecurityScheme)>,
    /// Headers that every request may have, besides the transcoder's own.
    pub request_headers: Vec<Header>,
    /// Headers that every answer has, besides the transcoder's own.
    pub response_headers: Vec<Header>,
    /// Services that are served but not described, by full name: `grpc.health.v1.Health`.
    pub hidden_services: Vec<String>,
}

/// Who to ask about an API.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Contact {
    /// A person or an organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// An address for mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// The terms under which an API may be used.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Licence {
    /// Its name, such as `Apache License 2.0`.
    pub name: String,
    /// Its SPDX identifier, such as `Apache-2.0`. Source: <https://spdx.org/licenses/>.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
}

/// A place where an API is served.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Server {
    /// Its address; a path is relative to where the document came from.
    pub url: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A page with more to read.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ExternalDocs {
    /// Its address.
    pub url: String,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A header of requests or answers. Its value is a string.
#[derive(Debug, Clone)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// What it says, in Markdown.
    pub description: String,
    /// A value it could have.
    pub example: Option<String>,
}

/// How a caller proves who they are.
#[derive(Debug, Clone)]
pub enum SecurityScheme {
    /// A secret in a header.
    ApiKey {
        /// The header's name.
        header: String,
        /// Where to get a key, in Markdown.
        description: Option<String>,
    },
    /// `Authorization: Bearer ...`.
    Bearer {
        /// What the token looks like, such as `JWT`.
        format: Option<String>,
        /// Where to get a token, in Markdown.
        description: Option<String>,
    },
    /// A token in exchange for a name and a password (RFC 6749, section 4.3).
    OAuth2Password {
        /// Where tokens are given out.
        token_url: String,
        /// Where tokens are renewed, if elsewhere.
        refresh_url: Option<String>,
        /// What tokens can allow, by name, with a description.
        scopes: Vec<(String, String)>,
        /// Who may get a token, in Markdown.
        description: Option<String>,
    },
    /// A token for a program in exchange for its own credentials (RFC 6749, section 4.4).
    OAuth2ClientCredentials {
        /// Where tokens are given out.
        token_url: String,
        /// What tokens can allow, by name, with a description.
        scopes: Vec<(String, String)>,
        /// Who may get a token, in Markdown.
        description: Option<String>,
    },
}

impl SecurityScheme {
    /// The scheme as a document has it.
    pub(super) fn describe(&self) -> Scheme {
        match self.clone() {
            Self::ApiKey { header, description } => {
                Scheme::ApiKey { description, name: header, place: ApiKeyPlace::Header }
            }
            Self::Bearer { format, description } => {
                Scheme::Http { description, scheme: "bearer", bearer_format: format }
            }
            Self::OAuth2Password { token_url, refresh_url, scopes, description } => {
                let scopes = Ordered::from(scopes);
                let password = Some(TokenFlow { token_url, refresh_url, scopes });
                Scheme::OAuth2 { description, flows: Flows { password, ..Flows::default() } }
            }
            Self::OAuth2ClientCredentials { token_url, scopes, description } => {
                let scopes = Ordered::from(scopes);
                let client_credentials = Some(TokenFlow { token_url, refresh_url: None, scopes });
                Scheme::OAuth2 { description, flows: Flows { client_credentials, ..Flows::default() } }
            }
        }
    }

    /// Of the scopes that a method asks for, those that this scheme can give.
    pub(super) fn granted(&self, wanted: &[String]) -> Vec<String> {
        match self {
            Self::OAuth2Password { scopes, .. } | Self::OAuth2ClientCredentials { scopes, .. } => {
                wanted.iter().filter(|wanted| scopes.iter().any(|(name, _)| name == *wanted)).cloned().collect()
            }
            // OpenAPI 3.1 would let names stand here too; validators of before do not.
            Self::ApiKey { .. } | Self::Bearer { .. } => Vec::new(),
        }
    }
}
