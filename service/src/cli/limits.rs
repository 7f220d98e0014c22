//! `sabir limits`.

use clap::Subcommand;
use sabir_client::v1::limit::SubjectKind;
use sabir_client::v1::{Limit, ListLimitsRequest, ListLimitsResponse, UpdateLimitRequest};

use super::CommandError;
use super::columns::columns;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};
use super::subject::{Whose, subject_text};

/// How many limits are fetched at once.
const PAGE: i32 = 500;

/// See and change how much may be asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir limits create --key 01a20401-b2a4-743d-bbe5-d8e3ff1350cb --requests 60 --tokens 100000
  sabir limits create --model openai/gpt-4o --concurrent 20
  sabir limits
  sabir limits set 01a2... --requests 120")]
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
    /// List limits; this is also what happens without a subcommand.
    List,
    /// Show one limit.
    Show {
        /// Its id.
        id: String,
    },
    /// Make a limit.
    Create {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        figures: Figures,
    },
    /// Change a limit. What is not given stays as it is.
    Set {
        /// Its id.
        id: String,
        #[command(flatten)]
        figures: Figures,
    },
    /// Remove a limit.
    Delete {
        /// Its id.
        id: String,
    },
}

/// What is limited.
#[derive(Debug, clap::Args)]
struct Figures {
    /// Requests per minute.
    #[arg(long, value_name = "NUMBER")]
    requests: Option<u32>,
    /// Requests at once, after a pause; as many as in a minute if it is left out.
    #[arg(long, value_name = "NUMBER")]
    request_burst: Option<u32>,
    /// Tokens per minute.
    #[arg(long, value_name = "NUMBER")]
    tokens: Option<u32>,
    /// Tokens at once, after a pause; as many as in a minute if it is left out.
    #[arg(long, value_name = "NUMBER")]
    token_burst: Option<u32>,
    /// Requests that may be open at once.
    #[arg(long, value_name = "NUMBER")]
    concurrent: Option<u32>,
}

impl Figures {
    /// The names of those that are given.
    fn paths(&self) -> Vec<String> {
        let paths = [
            self.requests.map(|_| "requests_per_minute"),
            self.request_burst.map(|_| "request_burst"),
            self.tokens.map(|_| "tokens_per_minute"),
            self.token_burst.map(|_| "token_burst"),
            self.concurrent.map(|_| "concurrent_requests"),
        ];
        paths.into_iter().flatten().map(str::to_owned).collect()
    }

    fn limit(&self) -> Limit {
        Limit {
            requests_per_minute: self.requests,
            request_burst: self.request_burst,
            tokens_per_minute: self.tokens,
            token_burst: self.token_burst,
            concurrent_requests: self.concurrent,
            ..Default::default()
        }
    }
}

/// Talks to the server and writes what it answers.
///
/// # Errors
/// What keeps the server from being reached, and what it refuses.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    block_on(async {
        let client = arguments.remote.connect().await?;
        let mut output = Output::standard();
        let limit = match arguments.action.unwrap_or(Action::List) {
            Action::List => {
                let mut list = ListLimitsResponse::default();
                loop {
                    let page_token = std::mem::take(&mut list.next_page_token);
                    let request = ListLimitsRequest { page_size: PAGE, page_token, ..Default::default() };
                    let page = client.limits(request).await?;
                    list.limits.extend(page.limits);
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    list.next_page_token = page.next_page_token;
                }
                if arguments.json {
                    return Ok(output.line(&json_of(&list, "sabir.v1.ListLimitsResponse")?)?);
                }
                return Ok(output.text(&table(&list.limits))?);
            }
            Action::Show { id } => client.limit(id).await?,
            Action::Create { whose, figures } => {
                let (kind, subject) = whose.subject();
                let subject_kind = SubjectKind::from_str_name(kind).unwrap_or_default().into();
                client.create_limit(Limit { subject_kind, subject, ..figures.limit() }).await?
            }
            Action::Set { id, figures } => {
                let paths = figures.paths();
                if paths.is_empty() {
                    let message =
                        "say what to change: --requests, --request-burst, --tokens, --token-burst, --concurrent";
                    return Err(CommandError::Usage(message.to_owned()));
                }
                let limit = Some(Limit { id, ..figures.limit() });
                let update_mask = Some(prost_types::FieldMask { paths });
                client.update_limit(UpdateLimitRequest { limit, update_mask }).await?
            }
            Action::Delete { id } => {
                client.delete_limit(id.as_str()).await?;
                return Ok(output.line(&format!("Limit {id} is removed."))?);
            }
        };
        if arguments.json {
            return Ok(output.line(&json_of(&limit, "sabir.v1.Limit")?)?);
        }
        Ok(output.text(&table(std::slice::from_ref(&limit)))?)
    })
}

/// Limits in columns. A burst stands behind its rate where it is another number.
fn table(limits: &[Limit]) -> String {
    let rate = |rate: Option<u32>, burst: Option<u32>| match (rate, burst) {
        (Some(rate), Some(burst)) => format!("{rate} ({burst})"),
        (Some(rate), None) => rate.to_string(),
        (None, _) => "-".to_owned(),
    };
    let rows: Vec<[String; 5]> = limits
        .iter()
        .map(|limit| {
            [
                limit.id.clone(),
                subject_text(limit.subject_kind().as_str_name(), &limit.subject),
                rate(limit.requests_per_minute, limit.request_burst),
                rate(limit.tokens_per_minute, limit.token_burst),
                rate(limit.concurrent_requests, None),
            ]
        })
        .collect();
    columns(["ID", "WHOSE", "REQUESTS/MIN (BURST)", "TOKENS/MIN (BURST)", "AT ONCE"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_line() {
        let limit = Limit {
            id: "7".to_owned(),
            subject_kind: SubjectKind::Everyone.into(),
            requests_per_minute: Some(60),
            request_burst: Some(5),
            concurrent_requests: Some(3),
            ..Default::default()
        };
        let text = table(&[limit]);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["7", "everyone", "60", "(5)", "-", "3"]);
    }
}
