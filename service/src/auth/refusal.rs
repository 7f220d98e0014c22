//! Why a caller is not let in. What the caller is told never says which part of a credential was wrong.

use super::Scope;

/// Why a call is refused before its body is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// There is no credential, and one is needed. UNAUTHENTICATED, 401.
    #[error("authentication is needed: send `authorization: Bearer` with an API key or a token")]
    Missing,
    /// The credential is not one that is accepted: unknown, malformed, revoked, of another issuer. UNAUTHENTICATED, 401.
    #[error("the API key or token is not valid")]
    Invalid,
    /// The credential was valid once. UNAUTHENTICATED, 401.
    #[error("the API key or token has expired")]
    Expired,
    /// The principal may not call this method. PERMISSION_DENIED, 403.
    #[error("this needs the scope `{}`", .0.name())]
    Scope(Scope),
    /// Nobody may call this method: it declares no scope. PERMISSION_DENIED, 403.
    #[error("this method is not open to anybody")]
    Undeclared,
    /// Whether the credential is valid cannot be found out now. UNAVAILABLE, 503.
    #[error("who you are cannot be checked now; try again")]
    Unavailable,
}

impl Refusal {
    /// What to authenticate with, as RFC 6750 (section 3) has it; `None` where another credential would not help.
    pub(crate) fn challenge(&self) -> Option<String> {
        const REALM: &str = "Bearer realm=\"sabir\"";
        match self {
            // Nothing was shown, so that there is nothing to say about it.
            Self::Missing => Some(REALM.to_owned()),
            Self::Invalid | Self::Expired => {
                Some(format!("{REALM}, error=\"invalid_token\", error_description=\"{self}\""))
            }
            Self::Scope(scope) => Some(format!("{REALM}, error=\"insufficient_scope\", scope=\"{}\"", scope.name())),
            Self::Undeclared | Self::Unavailable => None,
        }
    }
}
