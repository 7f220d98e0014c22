//! The tables of `docs/operations.md` are what the code declares; and what the code logs is declared.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::catalogue::{self, Metric};
use super::event;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn metrics() -> String {
    let row = |metric: &&Metric| {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        let labels = if labels.is_empty() { "-".to_owned() } else { labels.join(", ") };
        let Metric { name, otlp, kind, unit, help, .. } = metric;
        format!("| `{name}` | `{otlp}` | {} | `{unit}` | {labels} | {help} |\n", kind.word())
    };
    let head = "| Prometheus | OpenTelemetry | kind | unit | labels | what it counts |\n|---|---|---|---|---|---|\n";
    head.to_owned() + &catalogue::ALL.iter().map(row).collect::<String>()
}

fn events() -> String {
    let ours = event::ALL.iter().map(|(_, level, name, meaning)| (*name, *level, *meaning));
    let theirs = event::OF_STORES.iter().map(|(level, name, meaning)| (*name, *level, *meaning));
    let mut rows: Vec<_> = ours.chain(theirs).collect();
    rows.sort_unstable();
    let row = |(name, level, meaning): (&str, &str, &str)| format!("| `{name}` | {level} | {meaning} |\n");
    "| event | level | what it means |\n|---|---|---|\n".to_owned() + &rows.into_iter().map(row).collect::<String>()
}

#[test]
fn the_tables_for_operators_are_what_the_code_declares() {
    let path = root().join("docs/operations.md");
    let mut document = fs::read_to_string(&path).unwrap();
    let before = document.clone();
    for (name, table) in [("metrics", metrics()), ("events", events())] {
        let begin = format!("<!-- {name} -->\n");
        let (head, rest) = document.split_once(&begin).unwrap();
        let (_, tail) = rest.split_once("<!-- end -->").unwrap();
        document = format!("{head}{begin}{table}<!-- end -->{tail}");
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, document).unwrap();
        return;
    }
    assert_eq!(before, document, "UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn the_chart_asks_for_metrics_that_there_are() {
    let asked = fs::read_to_string(root().join("helm/metrics.txt")).unwrap();
    let declared: BTreeSet<&str> = catalogue::ALL.iter().map(|metric| metric.name).collect();
    let unknown: Vec<&str> = asked.split_whitespace().filter(|name| !declared.contains(name)).collect();
    assert!(unknown.is_empty(), "helm/metrics.txt asks for {unknown:?}");
}

/// The source files below a folder, those of tests left out.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    });
    found.filter(|path| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs")).collect()
}

/// The levels and first arguments of the log lines in a text, of which nobody may take a debug line for one.
fn logged(text: &str) -> Vec<(&str, &str)> {
    let levels = ["info", "warn", "error"];
    let lines = levels.into_iter().flat_map(|level| {
        let calls = text.split(&format!("tracing::{level}!(")).skip(1).collect::<Vec<_>>();
        calls.into_iter().map(move |call| (level, call.trim_start().split([',', '\n']).next().unwrap_or_default()))
    });
    lines.collect()
}

#[test]
fn every_line_of_the_log_has_an_event_that_is_declared() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    let here = root().join("service/src/telemetry/document.rs");
    for path in sources(&root().join("service/src")).into_iter().filter(|path| *path != here) {
        for (level, first) in logged(&fs::read_to_string(&path).unwrap()) {
            let id = first.strip_prefix("event = event::").unwrap_or_default();
            match event::ALL.iter().find(|(known, ..)| *known == id) {
                Some((_, declared, ..)) if *declared == level => drop(used.insert(id.to_owned())),
                _ => wrong.push(format!("{}: {level}: {first}", path.display())),
            }
        }
    }
    for path in sources(&root().join("service/store")) {
        for (level, first) in logged(&fs::read_to_string(&path).unwrap()) {
            let name = first.strip_prefix("event = \"").and_then(|name| name.strip_suffix('"')).unwrap_or_default();
            if !event::OF_STORES.iter().any(|(declared, known, _)| *declared == level && *known == name) {
                wrong.push(format!("{}: {level}: {first}", path.display()));
            }
        }
    }
    let idle = event::ALL.iter().filter(|(id, ..)| !used.contains(*id)).map(|(id, ..)| format!("never logged: {id}"));
    wrong.extend(idle);
    assert!(wrong.is_empty(), "lines of the log and `telemetry::event` differ:\n  {}", wrong.join("\n  "));
}
