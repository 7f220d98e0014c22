//! Callers who are known by the certificate of their connection (mutual TLS), and the `[auth.certificates.NAME]` sections
//! that say what they may do.
//!
//! The certificate has been verified by now (`server.tls.client_ca_file`). Its names are URIs, such as SPIFFE ids, and
//! host names; what is no longer used for names, the subject itself, is not looked at (RFC 9525, section 2).

use std::sync::Arc;

use uuid::Uuid;

use super::issuer::scopes_of;
use super::principal::fits;
use super::{Identity, Principal, Scopes};
use crate::config::Section;

/// What stands for the issuer in the names of such callers.
const ISSUER: &str = "certificate";

/// How many callers are remembered, so that a principal is not made anew for each call.
const REMEMBERED: u64 = 10_000;

/// Whose certificates count for what.
#[derive(Clone, Debug)]
pub struct Config {
    /// `name`: a pattern of the certificate's name, where `*` stands for any text.
    pub name: String,
    /// `scopes`: what they may do.
    pub(crate) scopes: Scopes,
    /// `team`: the team whose limits and budgets count.
    pub team: Option<Uuid>,
    /// `models`: patterns of the models that they may ask; empty for all that the team may.
    pub models: Vec<String>,
}

/// Reads all sections.
pub(super) fn read(mut section: Section<'_>) -> Vec<Config> {
    let configs = section.names().into_iter().map(|name| read_one(section.section(&name))).collect();
    section.finish();
    configs
}

fn read_one(mut section: Section<'_>) -> Config {
    let name = section.optional::<String>("name").unwrap_or_default();
    if name.trim_matches('*').is_empty() {
        section.problem("name", "must say whose certificates are meant, such as \"spiffe://example.org/ns/prod/*\"");
    }
    let scopes = section.value("scopes", vec!["chat".to_owned()]);
    let scopes = scopes_of(&section, "scopes", &scopes);
    let team = section.optional::<String>("team").and_then(|id| {
        let team = Uuid::try_parse(&id).ok();
        if team.is_none() {
            section.problem("team", "must be the id of a team, as `sabir teams list` shows it");
        }
        team
    });
    let models = section.value("models", Vec::new());
    section.finish();
    Config { name, scopes, team, models }
}

/// Tells callers apart by the names in their certificates.
#[derive(Debug)]
pub(crate) struct Certificates {
    rules: Vec<Config>,
    known: moka::sync::Cache<String, Arc<Principal>>,
}

impl Certificates {
    /// By these rules, of which the first that fits counts.
    pub(super) fn new(rules: Vec<Config>) -> Self {
        Self { rules, known: moka::sync::Cache::new(REMEMBERED) }
    }

    /// Who a certificate with these names is, if it is anybody here.
    pub(super) fn caller(&self, names: &[String]) -> Option<Arc<Principal>> {
        self.rules.iter().find_map(|rule| {
            let name = names.iter().find(|name| fits(&rule.name, name))?;
            Some(self.known.get_with_by_ref(name, || Arc::new(rule.principal(name))))
        })
    }
}

impl Config {
    fn principal(&self, name: &str) -> Principal {
        Principal::new(
            Identity::External { issuer: ISSUER.into(), subject: name.into() },
            None,
            self.team,
            self.scopes,
            Some(self.models.clone()).filter(|models| !models.is_empty()).into_iter().collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, models: &[&str]) -> Config {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        Config { name: name.to_owned(), scopes: Scopes::default(), team: None, models }
    }

    #[test]
    fn the_first_rule_that_fits_a_name_counts() {
        let certificates = Certificates::new(vec![
            rule("spiffe://a/prod/*", &["x"]),
            rule("spiffe://a/*", &["y"]),
            rule("h.example", &[]),
        ]);
        let caller = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            certificates.caller(&names).map(|caller| (caller.actor.to_string(), caller.models.concat().concat()))
        };
        let known = |name: &str, models: &str| Some((format!("external certificate#{name}"), models.to_owned()));
        assert_eq!(caller(&["h.example", "spiffe://a/prod/s"]), known("spiffe://a/prod/s", "x"));
        assert_eq!(caller(&["spiffe://a/dev/s"]), known("spiffe://a/dev/s", "y"));
        assert_eq!(caller(&["h.example"]), known("h.example", ""));
        assert_eq!(caller(&["other.example"]), None);
        assert_eq!(caller(&[]), None);
    }
}
