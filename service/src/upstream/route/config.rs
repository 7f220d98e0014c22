//! `[routes.NAME]`: names that stand for several models.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Condition, Policy, Strategy};
use crate::config::Section;
use crate::upstream::ModelName;

/// Every route by its name.
pub type RoutesConfig = BTreeMap<String, RouteConfig>;

/// A route as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteConfig {
    /// The models, and how much of the calls each shall have.
    pub(crate) targets: Vec<(ModelName, f64)>,
    pub(crate) rules: Vec<(Condition, Vec<(ModelName, f64)>)>,
    pub(crate) policy: Policy,
}

/// How a provider that does not exist is reported.
pub(in crate::upstream) type Unknown<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads every route.
pub(in crate::upstream) fn read(mut section: Section<'_>, unknown: Unknown<'_>) -> RoutesConfig {
    let mut routes = RoutesConfig::new();
    for name in section.names() {
        if let Some(route) = RouteConfig::read(section.section(&name), unknown) {
            routes.insert(name, route);
        }
    }
    section.finish();
    routes
}

impl RouteConfig {
    fn read(mut section: Section<'_>, unknown: Unknown<'_>) -> Option<Self> {
        let targets = targets(&mut section, unknown);
        let strategy = section.choice(
            "strategy",
            &[
                ("ordered", Strategy::Ordered),
                ("weighted", Strategy::Weighted),
                ("least_loaded", Strategy::LeastLoaded),
                ("fastest", Strategy::Fastest),
            ],
            Strategy::Ordered,
        );
        let usual = targets.as_ref().map_or(1, Vec::len).max(1);
        let policy = Policy {
            strategy,
            attempts: section.value("attempts", usual),
            timeout: time(&mut section, "timeout"),
            hedge_after: time(&mut section, "hedge_after"),
            cache_similarity: section.optional("cache_similarity"),
        };
        if policy.attempts == 0 {
            section.problem("attempts", "must be at least 1");
        }
        if policy.cache_similarity.is_some_and(|least| !(0.5..=1.0).contains(&least)) {
            section.problem("cache_similarity", "must be between 0.5 and 1; 0.95 is a careful choice");
        }
        let mut rules = Vec::new();
        let mut when = section.section("when");
        for name in when.names() {
            rules.extend(rule(when.section(&name), unknown));
        }
        when.finish();
        section.finish();
        Some(Self { targets: targets?, rules, policy })
    }
}

fn time(section: &mut Section<'_>, key: &str) -> Option<Duration> {
    let time = section.optional::<Duration>(key);
    if time == Some(Duration::ZERO) {
        section.problem(key, "must be more than 0");
    }
    time
}

/// `targets`, and `weights` for each of them.
fn targets(section: &mut Section<'_>, unknown: Unknown<'_>) -> Option<Vec<(ModelName, f64)>> {
    let names = section.optional::<Vec<String>>("targets").unwrap_or_default();
    let weights = section.optional::<Vec<f64>>("weights");
    if names.is_empty() {
        section.problem("targets", "names at least one model, such as [\"openai/gpt-4o\"]");
        return None;
    }
    let mut targets = Vec::with_capacity(names.len());
    for (index, text) in names.iter().enumerate() {
        match ModelName::parse(text) {
            None => {
                section.problem("targets", format!("\"{text}\" is not a model's full name, such as \"openai/gpt-4o\""))
            }
            Some(name) => match unknown(&name.provider) {
                Some(hint) => section.problem("targets", hint),
                None => {
                    let weight = weights.as_ref().and_then(|weights| weights.get(index)).copied();
                    targets.push((name, weight.unwrap_or(1.0)));
                }
            },
        }
    }
    if weights.as_ref().is_some_and(|weights| weights.len() != names.len()) {
        section.problem("weights", format!("one weight for each of the {} targets", names.len()));
    }
    if weights.is_some_and(|weights| weights.iter().any(|weight| *weight <= 0.0)) {
        section.problem("weights", "must be more than 0");
    }
    (targets.len() == names.len()).then_some(targets)
}

fn rule(mut section: Section<'_>, unknown: Unknown<'_>) -> Option<(Condition, Vec<(ModelName, f64)>)> {
    let header = section.optional::<String>("header");
    let caller = section.optional::<String>("caller");
    let team = section.optional::<String>("team");
    let targets = targets(&mut section, unknown);
    let condition = match (header, caller, team) {
        (Some(header), None, None) => match header.split_once(':') {
            Some((name, value)) => {
                let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
                Some(Condition::Header { name, value })
            }
            None => {
                section.problem("header", "a name and a value with a colon between, such as \"x-tier: gold\"");
                None
            }
        },
        (None, Some(caller), None) => Some(Condition::Caller(caller)),
        (None, None, Some(team)) => Some(Condition::Team(team)),
        _ => {
            section.problem("header", "a rule has one of header, caller and team");
            None
        }
    };
    section.finish();
    Some((condition?, targets?))
}
