//! `sabir requests`.

use sabir_client::v1::{Capture, CapturedText, ListCapturesRequest, ListCapturesResponse};

use super::CommandError;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};

/// The most that the server gives at once.
const PAGE_SIZE: u32 = 100;

/// How much of a text stands in a row, in characters.
const EXCERPT: usize = 60;

/// Show what was captured of prompts and answers, the latest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Captures are made where the server has capture.enabled = true. This needs the scope audit.read.

Examples:
  sabir requests
  sabir requests --model openai/gpt-4o-mini --limit 5 --json | jq '.captures[].response'")]
pub struct Arguments {
    #[command(flatten)]
    remote: Remote,
    /// Only calls of this caller, as the list names it.
    #[arg(long)]
    actor: Option<String>,
    /// Only calls that asked for this model.
    #[arg(long)]
    model: Option<String>,
    /// How many calls at most.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Write the list as JSON, whole texts included, as GET /v1/admin/requests has it.
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
        let mut list = ListCapturesResponse::default();
        let mut left = arguments.limit;
        while left > 0 {
            let page_size = left.min(PAGE_SIZE);
            let asked = ListCapturesRequest {
                page_size: i32::try_from(page_size).unwrap_or_default(),
                page_token: std::mem::take(&mut list.next_page_token),
                actor: arguments.actor.clone().unwrap_or_default(),
                model: arguments.model.clone().unwrap_or_default(),
                ..Default::default()
            };
            let page = client.captures(asked).await?;
            left = left.saturating_sub(page_size);
            list.captures.extend(page.captures);
            (list.next_page_token, list.dropped) = (page.next_page_token, page.dropped);
            if list.next_page_token.is_empty() {
                break;
            }
        }
        let mut output = Output::standard();
        if arguments.json {
            return Ok(output.line(&json_of(&list, "sabir.v1.ListCapturesResponse")?)?);
        }
        if list.captures.is_empty() {
            return Ok(output.line("Nothing was captured. The server captures when capture.enabled is true.")?);
        }
        Ok(output.text(&table(&list.captures))?)
    })
}

/// The captures, one a line.
fn table(captures: &[Capture]) -> String {
    let rows: Vec<[String; 5]> = captures
        .iter()
        .map(|capture| {
            let (asked, answered) = (excerpt(&capture.request), excerpt(&capture.response));
            [capture.id.clone(), capture.actor.clone(), capture.model.clone(), asked, answered]
        })
        .collect();
    let titles = ["REQUEST", "CALLER", "MODEL", "ASKED LAST", "ANSWERED"].map(str::to_owned);
    let mut widths = [0; 5];
    for row in rows.iter().chain([&titles]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    [&titles].into_iter().chain(&rows).map(line).collect()
}

/// The beginning of the last text, on one line; whatever a terminal would take for a command is left out.
fn excerpt(texts: &[CapturedText]) -> String {
    let Some(last) = texts.last() else { return String::new() };
    let call = if last.call.is_empty() { String::new() } else { format!("{}: ", last.call) };
    let text = format!("{call}{}", last.text);
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_one_line_without_control_characters() {
        let said =
            |text: &str| vec![CapturedText { role: "user".to_owned(), text: text.to_owned(), ..Default::default() }];
        let capture = Capture {
            id: "1".to_owned(),
            actor: "anyone".to_owned(),
            model: "m".to_owned(),
            request: said("one\ntwo\u{1b}[2J"),
            response: said(&"ä".repeat(200)),
            ..Default::default()
        };
        let text = table(&[capture]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[1].contains("one two [2J") && lines[1].ends_with(&"ä".repeat(EXCERPT)), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
