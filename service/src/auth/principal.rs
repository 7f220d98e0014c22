//! Who makes a call.

use std::sync::{Arc, LazyLock};

use sabir_store::Subject;
use uuid::Uuid;

use super::Scopes;

/// Who makes a call, as the authentication layer found it. Shared by every call with the same credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// What the credential says of who it is.
    pub(crate) identity: Identity,
    /// The user, if the credential belongs to one of ours.
    pub(crate) user_id: Option<Uuid>,
    /// The team whose limits and budgets count.
    pub(crate) team_id: Option<Uuid>,
    /// What the call may do.
    pub(crate) scopes: Scopes,
    /// Patterns of the models that may be asked, each list to be satisfied (the key's, the team's); none for all.
    pub(crate) models: Vec<Vec<String>>,
    /// Its name in logs and in the audit log.
    pub(crate) actor: Arc<str>,
    /// Whose limits and budgets count for its calls, everyone's included, the model's apart.
    pub(crate) subjects: Vec<Subject>,
}

/// The kinds of credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Nobody has to say who they are: open mode.
    Open,
    /// An API key.
    Key {
        /// The key.
        id: Uuid,
        /// The first of its line of rotations, which limits and budgets are for.
        lineage_id: Uuid,
    },
    /// A user with a token of ours.
    User,
    /// A program with a token of ours, by client credentials.
    Client {
        /// The client's id.
        id: Arc<str>,
    },
    /// Somebody that another issuer vouches for.
    External {
        /// The issuer's URL.
        issuer: Arc<str>,
        /// The issuer's name for the caller.
        subject: Arc<str>,
    },
}

impl Principal {
    /// A principal that may do this. What follows from who it is, is found out once and not for each of its calls.
    pub(crate) fn new(
        identity: Identity,
        user_id: Option<Uuid>,
        team_id: Option<Uuid>,
        scopes: Scopes,
        models: Vec<Vec<String>>,
    ) -> Self {
        let actor = match (&identity, user_id) {
            (Identity::Key { id, .. }, _) => format!("key {id}"),
            (Identity::Client { id }, _) => format!("client {id}"),
            (Identity::External { issuer, subject }, _) => format!("external {issuer}#{subject}"),
            (_, Some(user)) => format!("user {user}"),
            _ => "anyone".to_owned(),
        };
        let own = match &identity {
            Identity::Key { lineage_id, .. } => Some(Subject::Key(*lineage_id)),
            Identity::External { issuer, subject } => Some(Subject::external(issuer, subject)),
            // A client is limited through its team.
            Identity::Open | Identity::User | Identity::Client { .. } => None,
        };
        let others = user_id.map(Subject::User).into_iter().chain(team_id.map(Subject::Team));
        let subjects = own.into_iter().chain(others).chain([Subject::Everyone]).collect();
        Self { identity, user_id, team_id, scopes, models, actor: actor.into(), subjects }
    }

    /// The principal of every call in open mode: it may do everything.
    pub(crate) fn open() -> Arc<Self> {
        static OPEN: LazyLock<Arc<Principal>> =
            LazyLock::new(|| Arc::new(Principal::new(Identity::Open, None, None, Scopes::all(), Vec::new())));
        Arc::clone(&OPEN)
    }

    /// The caller of what is for everybody, where others have to say who they are: it may do nothing else.
    pub(crate) fn nobody() -> Arc<Self> {
        static NOBODY: LazyLock<Arc<Principal>> =
            LazyLock::new(|| Arc::new(Principal::new(Identity::Open, None, None, Scopes::default(), Vec::new())));
        Arc::clone(&NOBODY)
    }

    /// Whether the model of these names may be asked (the one it is asked for by, and `provider/model`): every list that
    /// there is has a pattern that fits one of them.
    pub(crate) fn may_ask(&self, names: &[&str]) -> bool {
        self.models.iter().all(|patterns| patterns.iter().any(|pattern| names.iter().any(|name| fits(pattern, name))))
    }
}

/// Whether a pattern, where `*` stands for any text, fits the whole name. Linear in both: each `*` takes the first place
/// where the piece after it fits.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    // A split always has a first piece.
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_names() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "a/b"),
            ("a", "a"),
            ("openai/*", "openai/gpt"),
            ("*-mini", "gpt-mini"),
            ("a*b*c", "aXbYc"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "ab"), ("a", ""), ("openai/*", "azure/gpt"), ("a*a", "a"), ("a*b*c", "acb"), ("", "a")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn every_list_of_models_has_to_be_satisfied() {
        let lists = vec![vec!["openai/*".to_owned(), "local/*".to_owned()], vec!["*mini".to_owned()]];
        let principal = Principal { models: lists, ..Principal::clone(&Principal::open()) };
        assert!(principal.may_ask(&["openai/mini"]));
        assert!(!principal.may_ask(&["openai/large"]));
        assert!(!principal.may_ask(&["azure/mini"]));
        assert!(principal.may_ask(&["openai/large", "mini"]), "each list may be satisfied by either name");
        assert!(Principal::open().may_ask(&["anything"]));
    }
}
