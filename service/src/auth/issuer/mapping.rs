//! What an issuer's claims mean here, as the configuration has it.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::{Scope, Scopes};
use super::Config;

/// What the token may do: what all of the issuer's may, and what its claim gives.
pub(super) fn scopes(config: &Config, claims: &Map<String, Value>) -> Scopes {
    let values = values(claims, &config.scope_claim);
    let mapped = values.iter().flat_map(|value| {
        let own = if config.scopes.is_empty() { Scope::parse(value) } else { None };
        // An issuer that knows nothing of this server does not make administrators by a word.
        let own = own.filter(|scope| *scope != Scope::Admin);
        let given = config.scopes.iter().filter(move |(name, _)| name == value).flat_map(|(_, scopes)| scopes.iter());
        own.into_iter().chain(given)
    });
    config.default_scopes.iter().chain(mapped).collect()
}

/// The team that is meant, the first of the configuration where the claim has several.
pub(super) fn team(config: &Config, claims: &Map<String, Value>) -> Option<Uuid> {
    let values = values(claims, &config.team_claim);
    config.teams.iter().find(|(name, _)| values.contains(&name.as_str())).map(|(_, id)| *id)
}

/// The values of a claim: the elements of an array, or the words of a text, as `scope` has them. A name with dots leads
/// into objects, unless there is a claim of that very name.
fn values<'a>(claims: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    let value = claims.get(name).or_else(|| {
        let mut parts = name.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    });
    match value {
        Some(Value::String(text)) => text.split(' ').filter(|word| !word.is_empty()).collect(),
        Some(Value::Array(elements)) => elements.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Config {
        Config {
            url: String::new(),
            audience: Vec::new(),
            algorithms: Vec::new(),
            default_scopes: [Scope::ModelsRead].into_iter().collect(),
            scope_claim: "scope".to_owned(),
            scopes: Vec::new(),
            team_claim: "realm_access.roles".to_owned(),
            teams: vec![("ml".to_owned(), Uuid::from_u128(1)), ("web".to_owned(), Uuid::from_u128(2))],
            models: Vec::new(),
        }
    }

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn without_a_table_scopes_go_by_our_names_save_admin() {
        let claims = claims(json!({"scope": "openid chat admin"}));
        assert_eq!(scopes(&config(), &claims).to_string(), "chat models.read");
    }

    #[test]
    fn with_a_table_only_what_is_in_it_counts() {
        let table = vec![("ops".to_owned(), [Scope::Admin].into_iter().collect())];
        let config = Config { scopes: table, ..config() };
        assert_eq!(scopes(&config, &claims(json!({"scope": "chat"}))).to_string(), "models.read");
        assert_eq!(scopes(&config, &claims(json!({"scope": ["ops", 7, null]}))).to_string(), "models.read admin");
        assert_eq!(scopes(&config, &claims(json!({"scope": {"ops": true}}))).to_string(), "models.read");
    }

    #[test]
    fn a_team_is_found_inside_objects() {
        let nested = claims(json!({"realm_access": {"roles": ["x", "web", "ml"]}}));
        assert_eq!(team(&config(), &nested), Some(Uuid::from_u128(1)), "the first of the configuration");
        assert_eq!(team(&config(), &claims(json!({"realm_access.roles": "web"}))), Some(Uuid::from_u128(2)));
        assert_eq!(team(&config(), &claims(json!({"realm_access": "web"}))), None);
    }
}
