//! Who may call which RPC: what the contract declares, and what is decided for the services beside it.

use std::collections::HashMap;

use super::{Policy, Scopes};

/// Health checks, for whoever watches over the server (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Server reflection, in both of its versions.
const REFLECTION: [&str; 2] = ["/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];

/// What an RPC asks of its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing.
    Public,
    /// A credential, whatever it allows.
    Authenticated,
    /// All of these scopes.
    Scopes(Scopes),
    /// It declares nothing, and is closed.
    Undeclared,
}

/// The contract cannot be enforced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{method} asks for the scope \"{scope}\", which is not known; scopes are declared in auth/scope.rs")]
pub struct AccessError {
    method: String,
    scope: String,
}

/// The rules of every RPC.
#[derive(Debug)]
pub(crate) struct Access {
    rules: HashMap<String, Rule>,
    reflection: Rule,
}

impl Access {
    /// The rules that these declarations make, with this policy for reflection.
    ///
    /// # Errors
    /// A scope that is not known.
    pub(crate) fn new<'a>(
        declared: impl IntoIterator<Item = transcode::Access<'a>>,
        reflection: Policy,
    ) -> Result<Self, AccessError> {
        let rules = declared.into_iter().map(|transcode::Access { path, scopes, public }| {
            let scopes = Scopes::parse(scopes.iter().map(String::as_str)).map_err(|unknown| AccessError {
                method: path.trim_start_matches('/').to_owned(),
                scope: unknown.to_owned(),
            })?;
            let rule = match (public, scopes.is_empty()) {
                (true, _) => Rule::Public,
                (false, false) => Rule::Scopes(scopes),
                (false, true) => Rule::Undeclared,
            };
            Ok((path.to_owned(), rule))
        });
        let reflection = match reflection {
            Policy::Public => Rule::Public,
            Policy::Authenticated => Rule::Authenticated,
        };
        Ok(Self { rules: rules.collect::<Result<_, _>>()?, reflection })
    }

    /// The rule of the RPC on this path; `None` if there is no such RPC.
    pub(super) fn rule(&self, path: &str) -> Option<Rule> {
        match self.rules.get(path) {
            Some(rule) => Some(*rule),
            None if path.starts_with(HEALTH) => Some(Rule::Public),
            None if REFLECTION.iter().any(|service| path.starts_with(service)) => Some(self.reflection),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Scope;

    fn access(declared: &[(&str, &[&str], bool)]) -> Result<Access, AccessError> {
        let scopes: Vec<Vec<String>> =
            declared.iter().map(|(_, scopes, _)| scopes.iter().map(|&scope| scope.to_owned()).collect()).collect();
        let declared = declared.iter().zip(&scopes);
        let declared = declared.map(|((path, _, public), scopes)| transcode::Access { path, scopes, public: *public });
        Access::new(declared, Policy::Authenticated)
    }

    #[test]
    fn what_is_declared_is_the_rule() {
        let access = access(&[("/a.S/X", &["chat"], false), ("/a.S/Y", &[], true), ("/a.S/Z", &[], false)]).unwrap();
        assert_eq!(access.rule("/a.S/X"), Some(Rule::Scopes([Scope::Chat].into_iter().collect())));
        assert_eq!(access.rule("/a.S/Y"), Some(Rule::Public));
        assert_eq!(access.rule("/a.S/Z"), Some(Rule::Undeclared));
        assert_eq!(access.rule("/a.S/W"), None);
        assert_eq!(access.rule("/grpc.health.v1.Health/Check"), Some(Rule::Public));
        assert_eq!(access.rule("/grpc.health.v1.HealthX/Check"), None);
        for version in ["v1", "v1alpha"] {
            let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            assert_eq!(access.rule(&path), Some(Rule::Authenticated));
        }
    }

    #[test]
    fn a_misspelt_scope_is_named_with_its_method() {
        let error = access(&[("/a.S/X", &["chat", "chatt"], false)]).unwrap_err();
        assert_eq!((error.method.as_str(), error.scope.as_str()), ("a.S/X", "chatt"));
    }
}
