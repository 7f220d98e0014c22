//! Why no token is given out, in the terms of RFC 6749, section 5.2.

use std::time::Duration;

use sabir_store::StoreError;

use super::super::Refusal;
use super::super::signing::SigningError;
use super::super::token::TokensError;

use crate::telemetry::event;

/// Why no token is given out. What the caller is told never says which part was wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrantError {
    /// The request itself is wrong.
    #[error("{0}")]
    Request(&'static str),
    /// There is no such way to get a token.
    #[error("the grant type must be password, refresh_token or client_credentials")]
    Type,
    /// The client is not known, or its secret is wrong.
    #[error("the client's id or secret is not right")]
    Client,
    /// The name, the password or the refresh token is wrong.
    #[error("the credentials are not right, or not valid any more")]
    Grant,
    /// None of the scopes that are asked for can be granted.
    #[error("none of these scopes can be granted")]
    Scope,
    /// Too many attempts failed; for how long to wait.
    #[error("too many attempts; try again later")]
    TooManyAttempts(Duration),
    /// Too many others are signing in.
    #[error("too many are signing in; try again")]
    Busy,
    /// The database is away.
    #[error("the credentials cannot be checked now; try again")]
    Unavailable,
    /// Something is wrong with the server.
    #[error("no token could be made")]
    Internal,
}

impl GrantError {
    /// What it means that a user's team is refused.
    pub(super) fn of_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unavailable => Self::Unavailable,
            _ => Self::Grant,
        }
    }
}

impl From<StoreError> for GrantError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(event = event::TOKEN_UNAVAILABLE, %error, "no token could be given out");
        Self::Unavailable
    }
}

impl From<SigningError> for GrantError {
    fn from(error: SigningError) -> Self {
        tracing::error!(event = event::TOKEN_FAILED, %error, "no token could be given out");
        Self::Internal
    }
}

impl From<TokensError> for GrantError {
    fn from(error: TokensError) -> Self {
        match error {
            TokensError::Store(error) => error.into(),
            TokensError::Signing(error) => {
                tracing::error!(event = event::TOKEN_FAILED, error, "no token could be given out");
                Self::Internal
            }
        }
    }
}
