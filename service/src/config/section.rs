//! A table of the configuration, read key by key.
//!
//! Each component reads its own section. Whatever nobody asked for is an unknown key; whatever was asked for is a known
//! one, so that the list of keys can never differ from what is read.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::problem::Problem;
use super::setting::{FromSetting, Setting};
use crate::nearest::nearest;

/// What all sections of one reading share.
#[derive(Default)]
pub(crate) struct Reading {
    environment: BTreeMap<String, String>,
    problems: RefCell<Vec<Problem>>,
    known: RefCell<Vec<String>>,
}

impl Reading {
    /// A reading in which these are the variables of other programs that count as well.
    pub(crate) fn new(environment: BTreeMap<String, String>) -> Self {
        Self { environment, ..Self::default() }
    }

    /// All problems so far, and every key that was asked for.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<String>) {
        (self.problems.into_inner(), self.known.into_inner())
    }

    /// Notes a problem.
    pub(crate) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }
}

/// A table that is being read. Call [`finish`](Section::finish) when all its keys have been asked for.
pub(crate) struct Section<'r> {
    reading: &'r Reading,
    path: String,
    rest: BTreeMap<String, Setting>,
    asked: Vec<String>,
}

impl<'r> Section<'r> {
    /// The whole configuration.
    pub(crate) fn root(reading: &'r Reading, settings: BTreeMap<String, Setting>) -> Self {
        Self { reading, path: String::new(), rest: settings, asked: Vec::new() }
    }

    /// Reads a key that has a default.
    pub(crate) fn value<T: FromSetting>(&mut self, key: &str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// Reads a key that may be left out.
    pub(crate) fn optional<T: FromSetting>(&mut self, key: &str) -> Option<T> {
        self.reading.known.borrow_mut().push(self.key(key));
        let setting = self.take(key)?;
        let value = T::from_setting(&setting);
        if value.is_none() {
            self.reading.report(Problem::new(
                &self.named(key, &setting),
                format!("expected {}, found {}", T::EXPECTED, describe(&setting)),
            ));
        }
        value
    }

    /// Reads a key that holds one of a few words.
    pub(crate) fn choice<T: Copy>(&mut self, key: &str, words: &[(&str, T)], default: T) -> T {
        let Some(text) = self.optional::<String>(key) else { return default };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => *value,
            None => {
                let list: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                self.problem(key, format!("expected one of {}, found \"{text}\"", list.join(", ")));
                default
            }
        }
    }

    /// Opens a table within this one. A missing table reads as an empty one.
    pub(crate) fn section(&mut self, key: &str) -> Section<'r> {
        let rest = match self.take(key) {
            None => BTreeMap::new(),
            Some(Setting::Table(table)) => table,
            Some(other) => {
                self.reading.report(Problem::new(
                    &self.named(key, &other),
                    format!("expected a table, found {}", describe(&other)),
                ));
                BTreeMap::new()
            }
        };
        Section { reading: self.reading, path: self.key(key), rest, asked: Vec::new() }
    }

    /// The names of the keys in this table that nobody has asked for yet: for tables whose keys are names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.rest.keys().cloned().collect()
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.rest.contains_key(key)
    }

    /// Whether the key's value comes from its variable.
    pub(crate) fn is_variable(&self, key: &str) -> bool {
        matches!(self.rest.get(key), Some(Setting::Variable { .. }))
    }

    /// A variable that is not one of ours, such as a vendor's.
    pub(crate) fn environment(&self, variable: &str) -> Option<String> {
        self.reading.environment.get(variable).cloned()
    }

    /// Notes a problem with a key of this table.
    pub(crate) fn problem(&self, key: &str, message: impl Into<String>) {
        self.reading.report(Problem::new(&self.key(key), message));
    }

    /// The whole name of a key of this table.
    pub(crate) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports what is left as unknown.
    pub(crate) fn finish(self) {
        for (key, setting) in &self.rest {
            let near = nearest(key, self.asked.iter().map(String::as_str), 1);
            let hint = match near.first() {
                Some(known) => format!("did you mean `{}`?", self.key(known)),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            self.reading.report(Problem::new(&self.named(key, setting), format!("no such key; {hint}")));
        }
    }

    fn take(&mut self, key: &str) -> Option<Setting> {
        if !self.asked.iter().any(|asked| asked == key) {
            self.asked.push(key.to_owned());
        }
        self.rest.remove(key)
    }

    /// How a problem names the key: by its variable, if the value came from one.
    fn named(&self, key: &str, setting: &Setting) -> String {
        match setting {
            Setting::Variable { name, .. } => name.clone(),
            Setting::Table(inner) if !self.asked.iter().any(|asked| asked == key) => {
                only_variable(inner).unwrap_or_else(|| self.key(key))
            }
            _ => self.key(key),
        }
    }
}

/// The variable that made this table, if exactly one value is in it and a variable is where it came from.
fn only_variable(table: &BTreeMap<String, Setting>) -> Option<String> {
    let mut settings = table.values();
    match (settings.next(), settings.next()) {
        (Some(Setting::Variable { name, .. }), None) => Some(name.clone()),
        (Some(Setting::Table(inner)), None) => only_variable(inner),
        _ => None,
    }
}

/// What was found instead, without its text: it may be a secret that ended up under the wrong key.
fn describe(setting: &Setting) -> String {
    match setting {
        Setting::Table(_) => "a table".to_owned(),
        Setting::Variable { text, .. } if text.is_empty() => "an empty text".to_owned(),
        Setting::Variable { .. } => "other text".to_owned(),
        Setting::File(toml::Value::String(text)) if text.is_empty() => "an empty string".to_owned(),
        Setting::File(toml::Value::String(_)) => "another string".to_owned(),
        Setting::File(value) => format!("a value of type {}", value.type_str()),
    }
}
