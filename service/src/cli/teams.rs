//! `sabir teams`.

use clap::Subcommand;
use sabir_client::v1::{CreateTeamRequest, DeleteTeamRequest, ListTeamsRequest, ListTeamsResponse, Team};

use super::CommandError;
use super::columns::columns;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};

/// How many teams are fetched at once.
const PAGE: i32 = 500;

/// Make, list and remove teams.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir teams create search --models 'openai/*,local/*'
  sabir teams
  sabir teams delete 01a20401-b2a4-743d-bbe5-d8e3ff1350cb")]
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
    /// List teams; this is also what happens without a subcommand.
    List,
    /// Make a team.
    Create {
        /// What to call it.
        name: String,
        /// Patterns of the models its members may ask; all if left out.
        #[arg(long, value_delimiter = ',')]
        models: Vec<String>,
    },
    /// Remove a team to which nobody belongs.
    Delete {
        /// Its id.
        id: String,
    },
}

/// Talks to the server and writes what it answers.
///
/// # Errors
/// What keeps the server from being reached, and what it refuses.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    block_on(async {
        let client = arguments.remote.connect().await?;
        let mut output = Output::standard();
        match arguments.action.unwrap_or(Action::List) {
            Action::List => {
                let (mut list, mut page_token) = (ListTeamsResponse::default(), String::new());
                loop {
                    let page = client.teams(ListTeamsRequest { page_size: PAGE, page_token }).await?;
                    list.teams.extend(page.teams);
                    page_token = page.next_page_token;
                    if page_token.is_empty() {
                        break;
                    }
                }
                if arguments.json {
                    return Ok(output.line(&json_of(&list, "sabir.v1.ListTeamsResponse")?)?);
                }
                if list.teams.is_empty() {
                    return Ok(output.line("There are no teams.")?);
                }
                Ok(output.text(&table(&list.teams))?)
            }
            Action::Create { name, models } => {
                let team = Team { name, models, ..Default::default() };
                let team = client.create_team(CreateTeamRequest { team: Some(team) }).await?;
                if arguments.json {
                    return Ok(output.line(&json_of(&team, "sabir.v1.Team")?)?);
                }
                Ok(output.text(&table(&[team]))?)
            }
            Action::Delete { id } => {
                let answer = client.delete_team(DeleteTeamRequest { id }).await?;
                if arguments.json {
                    return Ok(output.line(&json_of(&answer, "sabir.v1.DeleteTeamResponse")?)?);
                }
                Ok(output.line("The team is removed.")?)
            }
        }
    })
}

/// Teams in columns.
fn table(teams: &[Team]) -> String {
    let row = |team: &Team| {
        let models = if team.models.is_empty() { "all".to_owned() } else { team.models.join(",") };
        let state = if team.disabled { "disabled" } else { "active" };
        [team.id.clone(), team.name.clone(), models, state.to_owned()]
    };
    let rows: Vec<[String; 4]> = teams.iter().map(row).collect();
    columns(["ID", "NAME", "MODELS", "STATE"], &rows)
}
