//! Whose token it is: one of ours, or one of another issuer that is trusted. The unverified `iss` says who is asked; what
//! it says counts only once whoever that is has checked the rest.

use std::sync::Arc;

use serde::Deserialize;

use super::{Issuers, Principal, Refusal, Tokens};

/// Tells whose token it is.
#[derive(Debug)]
pub(crate) struct Bearers {
    tokens: Arc<Tokens>,
    issuers: Issuers,
}

impl Bearers {
    /// Of our tokens and of those of these issuers.
    pub(crate) fn new(tokens: Arc<Tokens>, issuers: Issuers) -> Self {
        Self { tokens, issuers }
    }

    /// What memory says of a token; `None` if it has to be looked at.
    pub(super) fn recall(&self, token: &str) -> Option<Result<Arc<Principal>, Refusal>> {
        self.tokens.recall(token)
    }

    /// Checks a token and looks up who is behind it.
    pub(super) async fn look_up(&self, token: &str) -> Result<Arc<Principal>, Refusal> {
        match self.ask(token).await {
            Err(Refusal::Unavailable) => self.tokens.superseded(token).unwrap_or(Err(Refusal::Unavailable)),
            found => found,
        }
    }

    async fn ask(&self, token: &str) -> Result<Arc<Principal>, Refusal> {
        let issuer = issuer(token).ok_or(Refusal::Invalid)?;
        if self.tokens.is_ours(&issuer) {
            return self.tokens.look_up(token).await;
        }
        let (principal, expires_at) = self.issuers.verify(&issuer, token).await?;
        self.tokens.vouched(token, principal, expires_at).await
    }
}

/// Who a token says it is from.
fn issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    jsonwebtoken::dangerous::insecure_decode::<Issuer>(token).ok().map(|token| token.claims.iss)
}
