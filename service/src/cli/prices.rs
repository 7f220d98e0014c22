//! `sabir prices`.

use std::path::PathBuf;

use clap::Subcommand;
use sabir_client::v1::{
    ImportPricesRequest, ImportPricesResponse, ListPriceVersionsRequest, ModelPrice, PriceChange, PriceTable,
};

use super::CommandError;
use super::columns::columns;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};
use crate::budget::{Entry, PriceTable as Table, dollars};

/// How many versions are listed.
const VERSIONS: i32 = 100;

/// See and replace what models cost.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir prices
  sabir prices import prices.toml --check
  sabir prices import prices.toml
  sabir prices versions")]
pub struct Arguments {
    #[command(flatten)]
    remote: Remote,
    /// Write what the server answers as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the price table in force; this is also what happens without a subcommand.
    Show {
        /// An earlier version.
        #[arg(long, default_value_t = 0, hide_default_value = true)]
        version: i64,
    },
    /// List the tables that were in force.
    Versions,
    /// Put the table of a file in force, in place of the whole table before.
    Import {
        /// The table, in TOML or JSON.
        file: PathBuf,
        /// Only say what would change.
        #[arg(long)]
        check: bool,
        /// Import only if this version is still in force.
        #[arg(long, value_name = "VERSION")]
        after: Option<i64>,
    },
}

/// Talks to the server and writes what it answers.
///
/// # Errors
/// A file that is no price table, what keeps the server from being reached, and what it refuses.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    block_on(async {
        let mut output = Output::standard();
        let (text, json) = match arguments.action.unwrap_or(Action::Show { version: 0 }) {
            Action::Show { version } => {
                let table = arguments.remote.connect().await?.prices(version).await?;
                (shown(&table), json_of(&table, "sabir.v1.PriceTable")?)
            }
            Action::Versions => {
                let request = ListPriceVersionsRequest { page_size: VERSIONS, ..Default::default() };
                let versions = arguments.remote.connect().await?.price_versions(request).await?;
                (listed(&versions.versions), json_of(&versions, "sabir.v1.ListPriceVersionsResponse")?)
            }
            Action::Import { file, check, after } => {
                let unusable = |reason: String| CommandError::Usage(format!("{}: {reason}", file.display()));
                let text = std::fs::read_to_string(&file).map_err(|error| unusable(error.to_string()))?;
                let table = Table::read(&text).map_err(|error| unusable(error.to_string()))?;
                let prices = table.entries().iter().map(message).collect();
                let request = ImportPricesRequest { prices, expected_version: after, validate_only: check };
                let done = arguments.remote.connect().await?.import_prices(request).await?;
                (changed(&done, check), json_of(&done, "sabir.v1.ImportPricesResponse")?)
            }
        };
        if arguments.json { Ok(output.line(&json)?) } else { Ok(output.text(&text)?) }
    })
}

fn message(entry: &Entry) -> ModelPrice {
    ModelPrice {
        pattern: entry.pattern.clone(),
        input_nanos: Some(entry.input_nanos),
        cached_input_nanos: Some(entry.cached_input_nanos),
        output_nanos: Some(entry.output_nanos),
        reasoning_nanos: Some(entry.reasoning_nanos),
        max_output_tokens: entry.max_output_tokens,
        source: entry.source.clone(),
        as_of: entry.as_of.clone(),
    }
}

const PRICES: [&str; 4] = ["INPUT $/M", "CACHED $/M", "OUTPUT $/M", "REASONING $/M"];

fn amounts(price: &ModelPrice) -> [String; 4] {
    [price.input_nanos(), price.cached_input_nanos(), price.output_nanos(), price.reasoning_nanos()].map(dollars)
}

fn shown(table: &PriceTable) -> String {
    let rows: Vec<[String; 6]> = table
        .prices
        .iter()
        .map(|price| {
            let [input, cached, output, reasoning] = amounts(price);
            [price.pattern.clone(), input, cached, output, reasoning, price.as_of.clone()]
        })
        .collect();
    let [input, cached, output, reasoning] = PRICES;
    let head = format!("Version {}, from {}, SHA-256 {}\n", table.version, table.source, table.checksum);
    head + &columns(["MODEL", input, cached, output, reasoning, "AS OF"], &rows)
}

fn listed(versions: &[PriceTable]) -> String {
    let row = |table: &PriceTable| {
        let seconds = table.import_time.map_or(0, |time| time.seconds);
        [table.version.to_string(), table.source.clone(), table.checksum.clone(), seconds.to_string()]
    };
    columns(["VERSION", "SOURCE", "SHA-256", "IMPORTED (UNIX)"], &versions.iter().map(row).collect::<Vec<_>>())
}

fn changed(done: &ImportPricesResponse, check: bool) -> String {
    let row = |change: &PriceChange| {
        let (sign, price) = match (&change.before, &change.after) {
            (None, after) => ("+", after),
            (before, None) => ("-", before),
            (Some(_), after) => ("~", after),
        };
        let price = price.clone().unwrap_or_default();
        let [input, cached, output, reasoning] = amounts(&price);
        [sign.to_owned(), price.pattern, input, cached, output, reasoning]
    };
    let rows: Vec<[String; 6]> = done.changes.iter().map(row).collect();
    let [input, cached, output, reasoning] = PRICES;
    let end = match (rows.is_empty(), check) {
        (true, _) => format!("Nothing changes: version {} has these prices.\n", done.version),
        (false, true) => format!("{} changes to version {}; nothing was imported.\n", rows.len(), done.version),
        (false, false) => format!("Version {} is in force: {} changes.\n", done.version, rows.len()),
    };
    if rows.is_empty() { end } else { columns(["", "MODEL", input, cached, output, reasoning], &rows) + &end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_says_what_comes_goes_and_changes() {
        let price = |pattern: &str| {
            let nanos = Some(1_000_000_000);
            ModelPrice {
                pattern: pattern.to_owned(),
                input_nanos: nanos,
                cached_input_nanos: nanos,
                output_nanos: nanos,
                reasoning_nanos: nanos,
                ..Default::default()
            }
        };
        let change = |before: Option<&str>, after: Option<&str>| PriceChange {
            before: before.map(price),
            after: after.map(price),
        };
        let changes = vec![change(None, Some("a")), change(Some("b"), None), change(Some("c"), Some("c"))];
        let done = ImportPricesResponse { version: 4, checksum: String::new(), changes };
        let text = changed(&done, false);
        let signs: Vec<&str> = text.lines().skip(1).map(|line| &line[..4]).collect();
        assert_eq!(signs, ["+  a", "-  b", "~  c", "Vers"]);
        assert!(changed(&done, true).ends_with("3 changes to version 4; nothing was imported.\n"));
        assert!(changed(&ImportPricesResponse::default(), false).starts_with("Nothing changes"));
    }
}
