//! What a principal may do. The set is closed: a name that is not in it is refused wherever it is written, so that a
//! misspelt scope cannot come to mean something later.

use std::fmt;

/// Declares the scopes once: variant, name, what it lets do.
macro_rules! scopes {
    ($($variant:ident = $name:literal, $about:literal;)*) => {
        /// One thing that may be done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Scope {
            $(#[doc = $about] $variant,)*
        }

        impl Scope {
            /// Every scope, in the order of their bits.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name, as protos, tokens and tables have it.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it lets do, for documentation.
            pub(crate) fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

scopes! {
    Chat = "chat", "Ask models.";
    ModelsRead = "models.read", "List the models.";
    TeamsRead = "teams.read", "See teams.";
    TeamsWrite = "teams.write", "Make, change and remove teams.";
    UsersRead = "users.read", "See users.";
    UsersWrite = "users.write", "Make, change and remove users and clients.";
    KeysRead = "keys.read", "See API keys, though never the keys themselves.";
    KeysWrite = "keys.write", "Make, rotate and revoke API keys.";
    LimitsRead = "limits.read", "See limits.";
    LimitsWrite = "limits.write", "Make, change and remove limits.";
    BudgetsRead = "budgets.read", "See budgets and prices.";
    BudgetsWrite = "budgets.write", "Make, change and remove budgets, and replace prices.";
    UsageRead = "usage.read", "See who used what and what it cost.";
    AuditRead = "audit.read", "See the audit log and what was captured of requests.";
    Admin = "admin", "Everything, for every team.";
}

impl Scope {
    /// The scope of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.name() == name)
    }

    fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Scopes(u32);

impl Scopes {
    /// Every scope.
    pub(crate) fn all() -> Self {
        Scope::ALL.iter().copied().collect()
    }

    /// Whether it lets do this. `admin` lets do everything.
    pub(crate) fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// Whether it lets do all that `other` lets do.
    pub(crate) fn include(self, other: Self) -> bool {
        self.allow(Scope::Admin) || self.0 & other.0 == other.0
    }

    /// What both let do.
    pub(crate) fn both(self, other: Self) -> Self {
        match (self.allow(Scope::Admin), other.allow(Scope::Admin)) {
            (true, _) => other,
            (_, true) => self,
            _ => Self(self.0 & other.0),
        }
    }

    /// Whether it lets do nothing.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its scopes, in the order of [`Scope::ALL`].
    pub(crate) fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.0 & scope.bit() != 0)
    }

    /// The set of these names; the first name that is no scope, if there is one.
    ///
    /// # Errors
    /// The name that is no scope.
    pub(crate) fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        names.into_iter().map(|name| Scope::parse(name).ok_or(name)).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// The names with spaces between, as OAuth2 has them (RFC 6749, section 3.3).
impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(formatter, "{space}{}", scope.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_its_names_say() {
        let scopes = Scopes::parse(["keys.read", "chat"]).unwrap();
        assert_eq!(scopes.to_string(), "chat keys.read");
        assert!(scopes.allow(Scope::Chat) && !scopes.allow(Scope::KeysWrite));
        assert_eq!(Scopes::parse(["chat", "chatt"]), Err("chatt"));
        assert_eq!(Scopes::parse(Scope::ALL.iter().map(|scope| scope.name())), Ok(Scopes::all()));
    }

    #[test]
    fn admin_is_more_than_everything_else_together() {
        let admin: Scopes = [Scope::Admin].into_iter().collect();
        let others: Scopes = Scope::ALL.iter().copied().filter(|scope| *scope != Scope::Admin).collect();
        assert!(Scope::ALL.iter().all(|scope| admin.allow(*scope)));
        assert!(admin.include(others) && !others.include(admin));
        assert_eq!(admin.both(others), others);
        assert_eq!(others.both(admin), others);
    }
}
