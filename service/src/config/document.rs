//! The configuration file and the environment, merged into one tree of settings.
//!
//! It knows the naming rule of the variables and nothing about which keys exist.

use std::collections::BTreeMap;

use super::problem::Problem;
use super::setting::Setting;
use crate::nearest::nearest;

/// What every variable of the service begins with.
const PREFIX: &str = "SABIR_";

/// Variables that are not `SABIR_SECTION__KEY`, and the key that they stand for. `None`: read elsewhere.
const SHORT_NAMES: &[(&str, Option<&[&str]>)] = &[
    ("SABIR_LISTEN", Some(&["server", "listen"])),
    ("SABIR_CONFIG", None),
    ("SABIR_URL", None),
    ("SABIR_API_KEY", None),
];

/// Merges the text of the file, if there is one, with the environment. The environment wins.
///
/// Also returns what is wrong: a file that is not TOML, and variables that no key can be made of.
pub(crate) fn merge(
    file: Option<&str>,
    environment: &BTreeMap<String, String>,
) -> (BTreeMap<String, Setting>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut root = match file.map(str::parse::<toml::Table>) {
        None => BTreeMap::new(),
        Some(Ok(table)) => from_table(table),
        Some(Err(error)) => {
            // Its full text quotes the line, which may hold a key.
            let before = error.span().and_then(|span| file.and_then(|text| text.get(..span.start)));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            problems.push(Problem::new("", format!("line {line}: {}", error.message())));
            BTreeMap::new()
        }
    };
    // A full name comes after its short form and so wins over it.
    let mut variables: Vec<(&String, &String)> =
        environment.iter().filter(|(name, text)| name.starts_with(PREFIX) && !is_service_link(name, text)).collect();
    variables.sort_by_key(|(name, _)| name.contains("__"));
    for (name, text) in variables {
        let spelt = name[PREFIX.len()..].to_ascii_lowercase();
        let path: Vec<&str> = match SHORT_NAMES.iter().find(|(short, _)| short == name) {
            Some((_, None)) => continue,
            Some((_, Some(path))) => path.to_vec(),
            None => spelt.split("__").collect(),
        };
        let value = Setting::Variable { name: name.clone(), text: text.clone() };
        if path.len() < 2 || path.contains(&"") {
            problems.push(Problem::new(name, unknown_variable(name)));
        } else if !insert(&mut root, &path, value) {
            problems.push(Problem::new(name, "names a key inside of a value that is not a table"));
        }
    }
    (root, problems)
}

#[cfg(test)]
/// The variable that stands for a key: `server.listen` is `SABIR_SERVER__LISTEN`.
pub(crate) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

fn unknown_variable(name: &str) -> String {
    match nearest(name, SHORT_NAMES.iter().map(|(short, _)| *short), 1).first() {
        Some(near) => format!("no such variable; did you mean {near}? A key's variable is named SABIR_SECTION__KEY"),
        None => "no such variable; a key's variable is named SABIR_SECTION__KEY".to_owned(),
    }
}

/// Whether Kubernetes made this variable: for a Service named `sabir` it puts `SABIR_PORT`, `SABIR_SERVICE_HOST`,
/// `SABIR_PORT_8080_TCP_ADDR` and more into every container of the namespace. They are no configuration of ours.
///
/// Source: <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
fn is_service_link(name: &str, text: &str) -> bool {
    !name.contains("__")
        && (name.contains("_SERVICE_HOST")
            || name.contains("_SERVICE_PORT")
            || name.contains("_TCP_")
            || name.contains("_UDP_")
            || text.starts_with("tcp://")
            || text.starts_with("udp://"))
}

fn from_table(table: toml::Table) -> BTreeMap<String, Setting> {
    table
        .into_iter()
        .map(|(key, value)| match value {
            toml::Value::Table(inner) => (key, Setting::Table(from_table(inner))),
            value => (key, Setting::File(value)),
        })
        .collect()
}

/// Sets the value at the path, making the tables on the way. False if a value that is no table stands in the way.
pub(crate) fn insert(table: &mut BTreeMap<String, Setting>, path: &[&str], value: Setting) -> bool {
    match path {
        [] => false,
        [key] => {
            table.insert((*key).to_owned(), value);
            true
        }
        [key, rest @ ..] => match table.entry((*key).to_owned()).or_insert_with(|| Setting::Table(BTreeMap::new())) {
            Setting::Table(inner) => insert(inner, rest, value),
            _ => false,
        },
    }
}
