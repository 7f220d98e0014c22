//! Who calls, and what they may do.
//!
//! Identity comes from the head of a request alone, before its body is read. What comes out is a [`Principal`] in the
//! request's extensions, the same for every protocol.

mod access;
mod administrator;
mod attempts;
mod authenticator;
mod bearer;
mod certificate;
mod config;
mod credential;
mod derive;
mod docs;
mod grant;
mod issuer;
mod key;
mod keys;
mod layer;
mod memory;
mod password;
mod principal;
mod recent;
mod refusal;
mod scope;
mod signing;
mod token;

pub(crate) use access::Access;
pub use access::AccessError;
pub use administrator::AdministratorError;
pub(crate) use administrator::{create_administrator, has_administrator, may_create_administrator};
pub(crate) use authenticator::Authenticator;
pub(crate) use bearer::Bearers;
pub(crate) use certificate::Certificates;
pub use config::{Config, Mode, Policy};
pub(crate) use credential::Credential;
pub(crate) use docs::DocsLayer;
pub(crate) use grant::{ClientCredentials, Grant, GrantError, Grants, TokenRequest, new_client_secret};
pub(crate) use issuer::Issuers;
pub(crate) use key::{KeyMint, NewKey};
pub(crate) use keys::Keys;
pub(crate) use layer::AuthLayer;
pub(crate) use password::{PasswordError, Passwords};
pub(crate) use principal::fits;
pub(crate) use principal::{Identity, Principal};
pub(crate) use refusal::Refusal;
pub(crate) use scope::{Scope, Scopes};
pub(crate) use token::Tokens;
pub use token::TokensError;
