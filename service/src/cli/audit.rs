//! `sabir audit`.

use sabir_client::v1::{AuditEntry, ListAuditEntriesRequest, ListAuditEntriesResponse};

use super::CommandError;
use super::columns::columns;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};

/// The most that the server gives at once.
const PAGE: u32 = 1_000;

/// Show who changed what, the latest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir audit
  sabir audit --actor 'user 01a20401-b2a4-743d-bbe5-d8e3ff1350cb' --limit 500
  sabir audit --target 'key 01a20401-b2a4-743d-bbe5-d8e3ff1350cb' --json | jq '.entries[].detail'")]
pub struct Arguments {
    #[command(flatten)]
    remote: Remote,
    /// Only what this caller did, as the list names it.
    #[arg(long, default_value = "", hide_default_value = true)]
    actor: String,
    /// Only what was done to this, as the list names it.
    #[arg(long, default_value = "", hide_default_value = true)]
    target: String,
    /// How many acts at most.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Write what the server answers as JSON, with what each act said.
    #[arg(long)]
    json: bool,
}

/// Writes the list to standard output.
///
/// # Errors
/// What keeps the server from being reached or the list from being written.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    block_on(async {
        let client = arguments.remote.connect().await?;
        let mut list = ListAuditEntriesResponse::default();
        let mut left = arguments.limit;
        while left > 0 {
            let page_size = left.min(PAGE);
            let request = ListAuditEntriesRequest {
                actor: arguments.actor.clone(),
                target: arguments.target.clone(),
                page_size: i32::try_from(page_size).unwrap_or_default(),
                page_token: std::mem::take(&mut list.next_page_token),
                ..Default::default()
            };
            let page = client.audit_entries(request).await?;
            left = left.saturating_sub(page_size);
            list.entries.extend(page.entries);
            list.next_page_token = page.next_page_token;
            if list.next_page_token.is_empty() {
                break;
            }
        }
        let mut output = Output::standard();
        if arguments.json {
            return Ok(output.line(&json_of(&list, "sabir.v1.ListAuditEntriesResponse")?)?);
        }
        if list.entries.is_empty() {
            return Ok(output.line("There is nothing in the audit log.")?);
        }
        Ok(output.text(&table(&list.entries))?)
    })
}

/// Acts in columns.
fn table(entries: &[AuditEntry]) -> String {
    let row = |entry: &AuditEntry| {
        let time = entry.time.map(|time| time.to_string()).unwrap_or_default();
        [time, entry.actor.clone(), entry.action.clone(), entry.target.clone()]
    };
    let rows: Vec<[String; 4]> = entries.iter().map(row).collect();
    columns(["TIME", "WHO", "DID", "TO"], &rows)
}
