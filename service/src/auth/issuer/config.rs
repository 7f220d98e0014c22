//! The `[auth.issuers.NAME]` sections: whose tokens are accepted, and what they may do here.

use jsonwebtoken::Algorithm;
use uuid::Uuid;

use super::super::{Scope, Scopes};
use crate::config::Section;
use crate::outgoing::fetchable;

/// The algorithms that may be pinned: those of public keys. A shared secret that an issuer publishes is none.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// An issuer whose tokens are accepted.
#[derive(Clone, Debug)]
pub struct Config {
    /// `url`: the `iss` of its tokens, and where discovery begins.
    pub url: String,
    /// `audience`: the `aud` that tokens must have, one of these.
    pub audience: Vec<String>,
    /// `algorithms`: how its tokens are signed, and no other way.
    pub(crate) algorithms: Vec<Algorithm>,
    /// `default_scopes`: what every token of it may do.
    pub(crate) default_scopes: Scopes,
    /// `scope_claim`: the claim that says what a token may do; dots lead into objects.
    pub scope_claim: String,
    /// `[scopes]`: values of that claim, with the scopes that each gives. Without any, scopes are named as ours are,
    /// `admin` excepted.
    pub(crate) scopes: Vec<(String, Scopes)>,
    /// `team_claim`: the claim that says whose budget is used; dots lead into objects.
    pub team_claim: String,
    /// `[teams]`: values of that claim, with the id of the team that each means.
    pub teams: Vec<(String, Uuid)>,
    /// `models`: patterns of the models that its tokens may ask; empty for all that the team may.
    pub models: Vec<String>,
}

/// Reads all sections of issuers.
pub(crate) fn read(mut section: Section<'_>) -> Vec<Config> {
    let names = section.names();
    let mut configs: Vec<Config> = Vec::with_capacity(names.len());
    for name in names {
        let config = read_one(section.section(&name));
        if configs.iter().any(|other| other.url == config.url) {
            section.problem(&name, format!("another issuer has the url \"{}\" already", config.url));
        }
        configs.push(config);
    }
    section.finish();
    configs
}

fn read_one(mut section: Section<'_>) -> Config {
    let url = section.optional::<String>("url").unwrap_or_default();
    match fetchable(&url) {
        _ if url.is_empty() => section.problem("url", "is needed: the `iss` of its tokens"),
        Ok(_) => {}
        Err(problem) => section.problem("url", problem),
    }
    let audience = section.value("audience", Vec::<String>::new());
    if audience.is_empty() {
        section.problem("audience", "is needed: without it, tokens that were given out for others would be accepted");
    }
    let algorithms = section.value("algorithms", vec!["RS256".to_owned()]);
    let pinned = algorithms.iter().filter_map(|name| {
        let known = ALGORITHMS.iter().find(|(known, _)| known == name).map(|(_, algorithm)| *algorithm);
        if known.is_none() {
            let names = ALGORITHMS.map(|(name, _)| name).join(", ");
            section.problem("algorithms", format!("\"{name}\" is not one of {names}"));
        }
        known
    });
    let pinned: Vec<Algorithm> = pinned.collect();
    if algorithms.is_empty() {
        section.problem("algorithms", "must name at least one");
    }
    let default_scopes = section.value("default_scopes", Vec::<String>::new());
    let default_scopes = scopes_of(&section, "default_scopes", &default_scopes);
    let mut table = section.section("scopes");
    let scopes = table.names().into_iter().map(|value| {
        let names = table.value(&value, Vec::<String>::new());
        let scopes = scopes_of(&table, &value, &names);
        (value, scopes)
    });
    let scopes = scopes.collect();
    table.finish();
    let mut table = section.section("teams");
    let teams = table.names().into_iter().filter_map(|value| {
        let id = table.optional::<String>(&value)?;
        let id = Uuid::try_parse(&id).ok();
        if id.is_none() {
            table.problem(&value, "must be the id of a team, as `sabir teams list` shows it");
        }
        Some((value, id?))
    });
    let teams = teams.collect();
    table.finish();
    let config = Config {
        url,
        audience,
        algorithms: pinned,
        default_scopes,
        scope_claim: section.value("scope_claim", "scope".to_owned()),
        scopes,
        team_claim: section.value("team_claim", "groups".to_owned()),
        teams,
        models: section.value("models", Vec::new()),
    };
    section.finish();
    config
}

/// The scopes of these names; what is none is reported.
pub(in crate::auth) fn scopes_of(section: &Section<'_>, key: &str, names: &[String]) -> Scopes {
    Scopes::parse(names.iter().map(String::as_str)).unwrap_or_else(|unknown| {
        let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        section.problem(key, format!("\"{unknown}\" is no scope; there are {}", known.join(", ")));
        Scopes::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_without_encryption() {
        for good in ["https://a.example/x", "http://127.0.0.1:80/", "http://localhost:80", "http://[::1]:80/a"] {
            assert!(fetchable(good).is_ok(), "{good}");
        }
        for bad in ["http://a.example", "ftp://a.example", "a.example", "", "https://u:p@a.example", "http://10.0.0.1"]
        {
            assert!(fetchable(bad).is_err(), "{bad}");
        }
    }
}
