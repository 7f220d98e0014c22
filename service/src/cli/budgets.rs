//! `sabir budgets`.

use clap::Subcommand;
use sabir_client::v1::budget::{Period, SubjectKind};
use sabir_client::v1::{Budget, ListBudgetsRequest, ListBudgetsResponse, UpdateBudgetRequest};

use super::CommandError;
use super::columns::columns;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};
use super::subject::{Whose, subject_text};
use crate::budget::{dollars, nanos};

/// How many budgets are fetched at once.
const PAGE: i32 = 500;

/// See and change how much money may be spent.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir budgets create --team 01a20401-b2a4-743d-bbe5-d8e3ff1350cb --amount 50 --period month --warn 80
  sabir budgets create --everyone --amount 1000 --period month
  sabir budgets
  sabir budgets set 01a2... --amount 75")]
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
    /// List budgets and how they stand; this is also what happens without a subcommand.
    List,
    /// Show one budget.
    Show {
        /// Its id.
        id: String,
    },
    /// Make a budget.
    Create {
        #[command(flatten)]
        whose: Whose,
        /// How much may be spent in each period, in dollars.
        #[arg(long, value_name = "DOLLARS", value_parser = amount)]
        amount: i64,
        /// When it begins again: none, day, week or month.
        #[arg(long, default_value = "none", value_parser = period)]
        period: Period,
        /// Only warn when it is spent, and refuse nothing.
        #[arg(long)]
        soft: bool,
        /// Warn when so many percent are spent; may be given more than once.
        #[arg(long, value_name = "PERCENT")]
        warn: Vec<u32>,
    },
    /// Change a budget.
    Set {
        /// Its id.
        id: String,
        /// How much may be spent in each period, in dollars.
        #[arg(long, value_name = "DOLLARS", value_parser = amount)]
        amount: Option<i64>,
        /// Whether calls are refused when it is spent.
        #[arg(long)]
        hard: Option<bool>,
        /// Warn when so many percent are spent; may be given more than once.
        #[arg(long, value_name = "PERCENT")]
        warn: Vec<u32>,
    },
    /// Remove a budget.
    Delete {
        /// Its id.
        id: String,
    },
}

fn amount(text: &str) -> Result<i64, String> {
    nanos(text).ok_or_else(|| "an amount of dollars, such as 50 or 0.25".to_owned())
}

fn period(text: &str) -> Result<Period, String> {
    match text {
        "none" => Ok(Period::None),
        "day" => Ok(Period::Day),
        "week" => Ok(Period::Week),
        "month" => Ok(Period::Month),
        _ => Err("one of none, day, week, month".to_owned()),
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
        let budget = match arguments.action.unwrap_or(Action::List) {
            Action::List => {
                let mut list = ListBudgetsResponse::default();
                loop {
                    let page_token = std::mem::take(&mut list.next_page_token);
                    let request = ListBudgetsRequest { page_size: PAGE, page_token, ..Default::default() };
                    let page = client.budgets(request).await?;
                    list.budgets.extend(page.budgets);
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    list.next_page_token = page.next_page_token;
                }
                if arguments.json {
                    return Ok(output.line(&json_of(&list, "sabir.v1.ListBudgetsResponse")?)?);
                }
                return Ok(output.text(&table(&list.budgets))?);
            }
            Action::Show { id } => client.budget(id).await?,
            Action::Create { whose, amount, period, soft, warn } => {
                let (kind, subject) = whose.subject();
                let budget = Budget {
                    subject_kind: SubjectKind::from_str_name(kind).unwrap_or_default().into(),
                    subject,
                    amount_nanos: Some(amount),
                    period: period.into(),
                    hard: Some(!soft),
                    warn_percents: warn,
                    ..Default::default()
                };
                client.create_budget(budget).await?
            }
            Action::Set { id, amount, hard, warn } => {
                let paths = [
                    amount.map(|_| "amount_nanos"),
                    hard.map(|_| "hard"),
                    (!warn.is_empty()).then_some("warn_percents"),
                ];
                let paths: Vec<String> = paths.into_iter().flatten().map(str::to_owned).collect();
                if paths.is_empty() {
                    return Err(CommandError::Usage("say what to change: --amount, --hard or --warn".to_owned()));
                }
                let budget = Budget { id, amount_nanos: amount, hard, warn_percents: warn, ..Default::default() };
                let update_mask = Some(prost_types::FieldMask { paths });
                client.update_budget(UpdateBudgetRequest { budget: Some(budget), update_mask }).await?
            }
            Action::Delete { id } => {
                client.delete_budget(id.as_str()).await?;
                return Ok(output.line(&format!("Budget {id} is removed."))?);
            }
        };
        if arguments.json {
            return Ok(output.line(&json_of(&budget, "sabir.v1.Budget")?)?);
        }
        Ok(output.text(&table(std::slice::from_ref(&budget)))?)
    })
}

/// Budgets in columns.
fn table(budgets: &[Budget]) -> String {
    let rows: Vec<[String; 8]> = budgets
        .iter()
        .map(|budget| {
            let state = budget.state.unwrap_or_default();
            [
                budget.id.clone(),
                subject_text(budget.subject_kind().as_str_name(), &budget.subject),
                dollars(budget.amount_nanos()),
                budget.period().as_str_name().trim_start_matches("PERIOD_").to_lowercase(),
                if budget.hard() { "hard" } else { "soft" }.to_owned(),
                dollars(state.spent_nanos),
                dollars(state.reserved_nanos),
                dollars(state.remaining_nanos),
            ]
        })
        .collect();
    columns(["ID", "WHOSE", "AMOUNT $", "PERIOD", "LIMIT", "SPENT $", "RESERVED $", "LEFT $"], &rows)
}

#[cfg(test)]
mod tests {
    use sabir_client::v1::BudgetState;

    use super::*;

    #[test]
    fn a_budget_is_a_line_in_dollars() {
        let budget = Budget {
            id: "7".to_owned(),
            subject_kind: SubjectKind::Model.into(),
            subject: "a/b".to_owned(),
            amount_nanos: Some(2_500_000_000),
            period: Period::Week.into(),
            hard: Some(true),
            state: Some(BudgetState { spent_nanos: 1, remaining_nanos: 2_499_999_999, ..Default::default() }),
            ..Default::default()
        };
        let text = table(&[budget]);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["7", "model", "a/b", "2.50", "week", "hard", "0.000000001", "0.00", "2.499999999"]);
        assert!(amount("1.5").is_ok() && amount("-1").is_err() && amount("one").is_err());
    }
}
