//! Who or what a rule is about: a limit, a budget, an act in the audit log.

use std::fmt;

use uuid::Uuid;

/// Who or what a rule holds for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// All calls together.
    Everyone,
    /// The calls of a team, whoever in it makes them.
    Team(Uuid),
    /// The calls of a user, with whichever key.
    User(Uuid),
    /// The calls with one API key, and, after a rotation, with the key that took its place.
    Key(Uuid),
    /// The calls of a subject that another issuer vouches for: the issuer's URL and its `sub`, as [`Subject::external`]
    /// joins them.
    External(String),
    /// The calls that ask for a model, by the name they ask for.
    Model(String),
}

impl Subject {
    /// The subject of another issuer's token. The two are joined by a character that an issuer's URL cannot hold.
    pub fn external(issuer: &str, subject: &str) -> Self {
        Self::External(format!("{issuer}#{subject}"))
    }

    /// The kind, as a table keeps it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Team(_) => "team",
            Self::User(_) => "user",
            Self::Key(_) => "key",
            Self::External(_) => "external",
            Self::Model(_) => "model",
        }
    }

    /// The name within the kind, as a table keeps it; empty for everyone.
    pub fn name(&self) -> String {
        match self {
            Self::Everyone => String::new(),
            Self::Team(id) | Self::User(id) | Self::Key(id) => id.to_string(),
            Self::External(name) | Self::Model(name) => name.clone(),
        }
    }

    /// The subject that a table keeps as this kind and name; `None` if there is none such.
    pub fn parse(kind: &str, name: &str) -> Option<Self> {
        let id = || Uuid::try_parse(name).ok();
        match kind {
            "everyone" if name.is_empty() => Some(Self::Everyone),
            "team" => id().map(Self::Team),
            "user" => id().map(Self::User),
            "key" => id().map(Self::Key),
            "external" if !name.is_empty() => Some(Self::External(name.to_owned())),
            "model" if !name.is_empty() => Some(Self::Model(name.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => formatter.write_str("everyone"),
            subject => write!(formatter, "{} {}", subject.kind(), subject.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_survives_the_table() {
        let id = Uuid::from_u128(7);
        let subjects = [
            Subject::Everyone,
            Subject::Team(id),
            Subject::User(id),
            Subject::Key(id),
            Subject::external("https://issuer", "alice"),
            Subject::Model("openai/gpt-4o".to_owned()),
        ];
        for subject in subjects {
            assert_eq!(Subject::parse(subject.kind(), &subject.name()), Some(subject));
        }
        assert_eq!(Subject::parse("team", "no id"), None);
        assert_eq!(Subject::parse("nobody", ""), None);
    }
}
