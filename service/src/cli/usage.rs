//! `sabir usage`.

mod table;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use prost_types::Timestamp;
use sabir_client::v1::query_usage_request::Dimension;
use sabir_client::v1::{ListUsageRecordsRequest, ListUsageRecordsResponse, QueryUsageRequest, QueryUsageResponse};
use sabir_client::{Client, UsageTable};

use self::table::{record_table, sum_table};
use super::CommandError;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};

/// The most that the server gives at once.
const PAGE: u32 = 1_000;

/// Show what was used, by whom, and what it cost.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Sums count whole days, UTC, and include a call a second or so after its end. This needs the scope usage.read.

Examples:
  sabir usage --by day --since 2026-11-01
  sabir usage --by team,model --since 2026-11-01 --until 2026-12-01
  sabir usage --by day,key --team 01a20401-b2a4-743d-bbe5-d8e3ff1350cb --csv --output november.csv
  sabir usage --records --model openai/gpt-4o-mini --limit 20 --json | jq '.records[].cost_nanos'")]
pub struct Arguments {
    #[command(flatten)]
    remote: Remote,
    /// What to tell apart; may be several, separated by commas. Everything is one sum if it is left out.
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',', conflicts_with = "records")]
    by: Vec<By>,
    /// Show single calls, the latest first, instead of sums.
    #[arg(long)]
    records: bool,
    /// Only calls from this day or time on, such as 2026-11-01 or 2026-11-01T09:30:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only calls before this day or time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Only calls with this key, by its id.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    key: String,
    /// Only calls of this user, by the user's id.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    user: String,
    /// Only calls that count for this team, by its id.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    team: String,
    /// Only calls that asked for this model, by the name they asked for.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    model: String,
    /// Only calls for which this provider was asked.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    provider: String,
    /// How many rows at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "csv")]
    limit: u32,
    /// Write what the server answers as JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Write all sums as comma-separated values.
    #[arg(long, conflicts_with = "records")]
    csv: bool,
    /// The file to write them to; standard output if it is left out. A file of that name is replaced.
    #[arg(long, value_name = "FILE", requires = "csv")]
    output: Option<PathBuf>,
}

/// What sums are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Day,
    Key,
    User,
    Team,
    Model,
    Provider,
}

impl From<By> for Dimension {
    fn from(by: By) -> Self {
        match by {
            By::Day => Self::Day,
            By::Key => Self::Key,
            By::User => Self::User,
            By::Team => Self::Team,
            By::Model => Self::Model,
            By::Provider => Self::Provider,
        }
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "a day or a time, such as 2026-11-01 or 2026-11-01T09:30:00Z".to_owned())
}

/// Asks the server and writes what it answers.
///
/// # Errors
/// What keeps the server from being reached or the answer from being written, and what the server refuses.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    block_on(async {
        let client = arguments.remote.connect().await?;
        if arguments.records {
            return records(&client, arguments).await;
        }
        let (csv, limit, json, file) = (arguments.csv, arguments.limit, arguments.json, arguments.output.clone());
        let by = arguments.by.clone();
        let question = QueryUsageRequest {
            group_by: arguments.by.into_iter().map(|by| Dimension::from(by).into()).collect(),
            start_time: arguments.since,
            end_time: arguments.until,
            key_id: arguments.key,
            user_id: arguments.user,
            team_id: arguments.team,
            model: arguments.model,
            provider: arguments.provider,
            ..Default::default()
        };
        match (csv, file) {
            (true, Some(path)) => export_to(&path, client.export_usage(question).await?).await,
            (true, None) => write(&mut io::stdout(), client.export_usage(question).await?).await,
            (false, _) => sums(&client, question, &by, limit, json).await,
        }
    })
}

/// Writes sums.
async fn sums(
    client: &Client,
    mut question: QueryUsageRequest,
    by: &[By],
    limit: u32,
    json: bool,
) -> Result<(), CommandError> {
    let mut list = QueryUsageResponse::default();
    let mut left = limit;
    while left > 0 {
        question.page_size = page_size(left);
        let page = client.usage(question.clone()).await?;
        left = left.saturating_sub(PAGE);
        list.sums.extend(page.sums);
        list.next_page_token = page.next_page_token;
        if list.next_page_token.is_empty() {
            break;
        }
        question.page_token.clone_from(&list.next_page_token);
    }
    let mut output = Output::standard();
    if json {
        return Ok(output.line(&json_of(&list, "sabir.v1.QueryUsageResponse")?)?);
    }
    if list.sums.is_empty() {
        return Ok(output.line("Nothing was used.")?);
    }
    output.text(&sum_table(&list.sums, by))?;
    more(&list.next_page_token, "--csv has every sum")
}

/// Writes single calls.
async fn records(client: &Client, arguments: Arguments) -> Result<(), CommandError> {
    let mut question = ListUsageRecordsRequest {
        start_time: arguments.since,
        end_time: arguments.until,
        key_id: arguments.key,
        user_id: arguments.user,
        team_id: arguments.team,
        model: arguments.model,
        provider: arguments.provider,
        ..Default::default()
    };
    let mut list = ListUsageRecordsResponse::default();
    let mut left = arguments.limit;
    while left > 0 {
        question.page_size = page_size(left);
        let page = client.usage_records(question.clone()).await?;
        left = left.saturating_sub(PAGE);
        list.records.extend(page.records);
        list.next_page_token = page.next_page_token;
        if list.next_page_token.is_empty() {
            break;
        }
        question.page_token.clone_from(&list.next_page_token);
    }
    let mut output = Output::standard();
    if arguments.json {
        return Ok(output.line(&json_of(&list, "sabir.v1.ListUsageRecordsResponse")?)?);
    }
    if list.records.is_empty() {
        return Ok(output.line("There are no such calls.")?);
    }
    output.text(&record_table(&list.records))?;
    more(&list.next_page_token, "narrow the question, or raise --limit")
}

fn page_size(left: u32) -> i32 {
    i32::try_from(left.min(PAGE)).unwrap_or_default()
}

/// Says beside a table that it is not all there is: whoever adds it up must know.
fn more(next_page_token: &str, way_out: &str) -> Result<(), CommandError> {
    if !next_page_token.is_empty() {
        writeln!(io::stderr(), "sabir: there may be more; {way_out}")?;
    }
    Ok(())
}

/// Writes a table to a file, which is there when all of it is: half a bill looks like a whole one.
async fn export_to(path: &Path, table: UsageTable) -> Result<(), CommandError> {
    let about = |error: io::Error| {
        CommandError::Stream(io::Error::new(error.kind(), format!("{} cannot be written: {error}", path.display())))
    };
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = File::create(&partial).map_err(about)?;
    let written = match write(&mut file, table).await {
        Ok(()) => file.sync_all().and_then(|()| fs::rename(&partial, path)).map_err(about),
        Err(CommandError::Stream(error)) => Err(about(error)),
        Err(error) => Err(error),
    };
    if written.is_err() {
        // What matters is why the table is not there.
        let _ = fs::remove_file(&partial);
    }
    written
}

async fn write(writer: &mut impl Write, mut table: UsageTable) -> Result<(), CommandError> {
    while let Some(piece) = table.next().await? {
        writer.write_all(&piece)?;
    }
    Ok(writer.flush()?)
}
