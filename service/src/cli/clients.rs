//! `sabir clients`.

use clap::Subcommand;
use sabir_client::v1::{
    ClientWithSecret, CreateClientRequest, DeleteClientRequest, ListClientsRequest, ListClientsResponse, OAuthClient,
    RotateClientSecretRequest,
};

use super::CommandError;
use super::columns::columns;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};

/// How many clients are fetched at once.
const PAGE: i32 = 500;

/// Make, list and remove OAuth 2.0 clients, and give them new secrets.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A client is a program that gets tokens by POST /v1/auth/token, with the grant client_credentials, its id and its secret.

Examples:
  sabir clients create --name nightly-report --scopes chat,models.read
  sabir clients
  sabir clients rotate 01a20401-b2a4-743d-bbe5-d8e3ff1350cb
  sabir clients delete 01a20401-b2a4-743d-bbe5-d8e3ff1350cb")]
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
    /// List clients, never their secrets; this is also what happens without a subcommand.
    List {
        /// Only those of this team.
        #[arg(long, value_name = "ID")]
        team: Option<String>,
    },
    /// Make a client and show its secret, this once.
    Create {
        /// What to call it.
        #[arg(long)]
        name: String,
        /// The id of the team whose limits and budgets count for it.
        #[arg(long, value_name = "ID")]
        team: Option<String>,
        /// What it may be granted.
        #[arg(long, value_delimiter = ',', default_value = "chat,models.read")]
        scopes: Vec<String>,
    },
    /// Give a client a new secret and show it; the old one is refused from now on.
    Rotate {
        /// The id of the client.
        id: String,
    },
    /// Remove a client; its tokens are refused within a second.
    Delete {
        /// The id of the client.
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
        let issued = match arguments.action.unwrap_or(Action::List { team: None }) {
            Action::List { team: team_id } => {
                let mut request = ListClientsRequest { page_size: PAGE, team_id, ..Default::default() };
                let mut list = ListClientsResponse::default();
                loop {
                    let page = client.clients(request.clone()).await?;
                    list.clients.extend(page.clients);
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    request.page_token = page.next_page_token;
                }
                if arguments.json {
                    return Ok(output.line(&json_of(&list, "sabir.v1.ListClientsResponse")?)?);
                }
                if list.clients.is_empty() {
                    return Ok(output.line("There are no clients.")?);
                }
                return Ok(output.text(&table(&list.clients))?);
            }
            Action::Create { name, team: team_id, scopes } => {
                client.create_client(CreateClientRequest { name, team_id, scopes }).await?
            }
            Action::Rotate { id } => client.rotate_client_secret(RotateClientSecretRequest { id }).await?,
            Action::Delete { id } => {
                let answer = client.delete_client(DeleteClientRequest { id: id.clone() }).await?;
                if arguments.json {
                    return Ok(output.line(&json_of(&answer, "sabir.v1.DeleteClientResponse")?)?);
                }
                return Ok(output.line(&format!("Client {id} is removed."))?);
            }
        };
        show(&mut output, &issued, arguments.json)
    })
}

/// Shows a client with the secret that it has from now on.
fn show(output: &mut Output, issued: &ClientWithSecret, json: bool) -> Result<(), CommandError> {
    if json {
        return Ok(output.line(&json_of(issued, "sabir.v1.ClientWithSecret")?)?);
    }
    output.text(&table(issued.client.as_slice()))?;
    output.line(&format!("\n{}\n\nKeep the secret now: it is not shown again.", issued.secret))?;
    Ok(())
}

/// Clients in columns.
fn table(clients: &[OAuthClient]) -> String {
    let row = |client: &OAuthClient| {
        let team = client.team_id.clone().unwrap_or_else(|| "-".to_owned());
        let made = client.create_time.map(|time| time.to_string()).unwrap_or_default();
        [client.id.clone(), client.name.clone(), team, client.scopes.join(","), made]
    };
    let rows: Vec<[String; 5]> = clients.iter().map(row).collect();
    columns(["ID", "NAME", "TEAM", "SCOPES", "MADE"], &rows)
}
