//! The recorded probes: what was asked, what both answered, and why they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

const PROBES: &str = include_str!("probes.json");

/// The record for reading, as it was written last.
pub(super) const DIFFERENCES: &str = include_str!("differences.md");

/// At least as many probes as were promised.
const ENOUGH: usize = 150;

/// The reason of answers that have the same status, and differ in its form alone.
const TEXT_ALONE: &str = "errors-are-json";

#[derive(Deserialize)]
pub(super) struct Record {
    /// Why an answer differs, by a name.
    reasons: BTreeMap<String, Reason>,
    pub(super) probes: Vec<Probe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// What differs, in a few words.
    what: String,
    /// Why ours is right.
    why: String,
}

/// One question to both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    /// The chapter it belongs to.
    group: String,
    /// Verb and path.
    pub(super) ask: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) body: Option<String>,
    /// The headers of the answer that count.
    #[serde(default)]
    pub(super) show: Vec<String>,
    /// The reason, where the answers differ.
    #[serde(default)]
    differs: Option<String>,
    #[serde(default)]
    ours: Value,
    /// Left out where it is the same.
    #[serde(default)]
    envoy: Option<Value>,
}

impl Probe {
    /// Whether the error is the backend's own, whose words are to be kept.
    pub(super) fn handler_fails(&self) -> bool {
        self.ask.contains("/v1/fail/")
    }

    /// Takes down what was answered, and tells what is not as it was, or not explained.
    pub(super) fn compare(&mut self, ours: Value, theirs: Value) -> Vec<String> {
        let mut problems = Vec::new();
        let theirs = (theirs != ours).then_some(theirs);
        let recording = std::env::var_os("RECORD").is_some();
        if !recording && ours != self.ours {
            problems.push(format!("{}: we answer {ours}; recorded is {}", self.ask, self.ours));
        }
        if !recording && theirs != self.envoy {
            problems.push(format!("{}: Envoy answers {theirs:?}; recorded is {:?}", self.ask, self.envoy));
        }
        match (&theirs, &self.differs) {
            (Some(theirs), None) => {
                problems.push(format!("{}: differs for no reason\n    ours  {ours}\n    envoy {theirs}", self.ask));
            }
            (None, Some(reason)) => problems.push(format!("{}: no longer differs ({reason})", self.ask)),
            _ => {}
        }
        // Maps come in any order; what is equal stays as it is written.
        if (&ours, &theirs) != (&self.ours, &self.envoy) {
            (self.ours, self.envoy) = (ours, theirs);
        }
        problems
    }
}

impl Record {
    pub(super) fn read() -> Self {
        serde_json::from_str(PROBES).unwrap()
    }

    /// What is wrong with the record itself.
    pub(super) fn problems(&self) -> Vec<String> {
        let used: BTreeSet<&String> = self.probes.iter().filter_map(|probe| probe.differs.as_ref()).collect();
        let known: BTreeSet<&String> = self.reasons.keys().collect();
        let mut problems: Vec<String> = used
            .symmetric_difference(&known)
            .map(|name| format!("the reason {name} is unknown, or nowhere used"))
            .collect();
        if self.probes.len() < ENOUGH {
            problems.push(format!("{} probes are too few", self.probes.len()));
        }
        let mut seen = BTreeSet::new();
        for probe in &self.probes {
            if !seen.insert((&probe.ask, &probe.headers, &probe.body)) {
                problems.push(format!("{} is asked twice", probe.ask));
            }
        }
        problems
    }

    /// Writes both files: one line for each probe, so that a change shows as one.
    pub(super) fn write(&self) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/envoy");
        let lines = |items: Vec<String>| items.join(",\n    ");
        let reasons = self.reasons.iter().map(|(name, reason)| {
            format!("{}: {}", quoted(name), serde_json::json!({"what": reason.what, "why": reason.why}))
        });
        let probes = lines(self.probes.iter().map(Probe::line).collect());
        let text = format!(
            "{{\n  \"reasons\": {{\n    {}\n  }},\n  \"probes\": [\n    {probes}\n  ]\n}}\n",
            lines(reasons.collect())
        );
        std::fs::write(format!("{folder}/probes.json"), text).unwrap();
        std::fs::write(format!("{folder}/differences.md"), self.differences()).unwrap();
    }

    /// The record as a document.
    pub(super) fn differences(&self) -> String {
        let mut text = String::from(
            "# The transcoder beside Envoy 1.40\n\n\
             Written by the test `envoy`, which asks both the same in front of the same gRPC server; the whole record is\n\
             `tests/envoy/probes.json`, Envoy's configuration `tests/envoy/envoy.yaml`.\n\n\
             | probes of | asked | same answer | same status, said as text | differ |\n|---|---|---|---|---|\n",
        );
        let mut groups: Vec<&str> = Vec::new();
        for probe in &self.probes {
            if !groups.contains(&probe.group.as_str()) {
                groups.push(&probe.group);
            }
        }
        let row = |text: &mut String, name: &str, probes: Vec<&Probe>| {
            let differ = probes.iter().filter(|probe| probe.differs.is_some()).count();
            let text_alone = probes.iter().filter(|probe| probe.differs.as_deref() == Some(TEXT_ALONE)).count();
            let (all, same) = (probes.len(), probes.len() - differ);
            writeln!(text, "| {name} | {all} | {same} | {text_alone} | {} |", differ - text_alone).unwrap();
        };
        for group in groups {
            row(&mut text, group, self.probes.iter().filter(|probe| probe.group == group).collect());
        }
        row(&mut text, "**all**", self.probes.iter().collect());
        text.push_str("\n## Where they differ, and why\n");
        for (name, reason) in &self.reasons {
            let probes: Vec<&Probe> = self.probes.iter().filter(|probe| probe.differs.as_ref() == Some(name)).collect();
            write!(text, "\n### {}\n\n{}\n\n", reason.what, reason.why).unwrap();
            text.push_str("| asked | ours | Envoy |\n|---|---|---|\n");
            for probe in probes {
                let body = probe.body.as_ref().map_or_else(String::new, |body| format!(" {}", cell(body)));
                let envoy = probe.envoy.as_ref().map_or_else(String::new, |answer| cell(&answer.to_string()));
                let ours = cell(&probe.ours.to_string());
                writeln!(text, "| {}{body} | {ours} | {envoy} |", cell(&probe.ask)).unwrap();
            }
        }
        text
    }
}

impl Probe {
    fn line(&self) -> String {
        let mut members =
            vec![format!("\"group\": {}", quoted(&self.group)), format!("\"ask\": {}", quoted(&self.ask))];
        if !self.headers.is_empty() {
            members.push(format!("\"headers\": {}", serde_json::json!(self.headers)));
        }
        members.extend(self.body.as_ref().map(|body| format!("\"body\": {}", quoted(body))));
        if !self.show.is_empty() {
            members.push(format!("\"show\": {}", serde_json::json!(self.show)));
        }
        members.extend(self.differs.as_ref().map(|reason| format!("\"differs\": {}", quoted(reason))));
        members.push(format!("\"ours\": {}", self.ours));
        members.extend(self.envoy.as_ref().map(|answer| format!("\"envoy\": {answer}")));
        format!("{{{}}}", members.join(", "))
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Text in a cell of a table: as code, on one line, not endlessly long.
fn cell(text: &str) -> String {
    const LONGEST: usize = 240;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    if short.is_empty() {
        return "nothing".to_owned();
    }
    let short = short.replace('|', "\\|").replace(['\n', '\r'], " ");
    if short.contains('`') { format!("`` {short} ``") } else { format!("`{short}`") }
}
