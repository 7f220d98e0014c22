//! `sabir users`.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::Subcommand;
use sabir_client::v1::{CreateUserRequest, ListUsersRequest, ListUsersResponse, SetUserPasswordRequest, User};
use sabir_providers::Secret;

use super::CommandError;
use super::columns::columns;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};
use crate::auth::{AdministratorError, create_administrator, may_create_administrator};
use crate::config::Config;

/// How many users are fetched at once.
const PAGE: i32 = 500;

/// The longest text that is read for a password, in bytes, its line feed included.
const LONGEST: u64 = 4096;

/// Make and list users, and the first administrator.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir users create-admin alice
  sabir users create-admin alice --config /etc/sabir.toml --password-stdin < password
  sabir users list
  sabir users create bob --scopes chat,models.read
  sabir users set-password 01a20401-b2a4-743d-bbe5-d8e3ff1350cb")]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an administrator in the configured database itself, without a server, and show an API key once.
    CreateAdmin {
        /// The name to sign in with.
        name: String,
        /// The configuration file [default: $SABIR_CONFIG, else sabir.toml if it is there].
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,
        /// Even though there is an administrator already.
        #[arg(long)]
        another: bool,
    },
    /// List users.
    List {
        #[command(flatten)]
        remote: Remote,
        /// Write what the server answers as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a user.
    Create {
        #[command(flatten)]
        remote: Remote,
        /// The name to sign in with.
        name: String,
        /// The id of the user's team.
        #[arg(long, default_value = "", hide_default_value = true)]
        team: String,
        /// What the user may do.
        #[arg(long, value_delimiter = ',', default_value = "chat,models.read")]
        scopes: Vec<String>,
        /// Write what the server answers as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Set a user's password.
    SetPassword {
        #[command(flatten)]
        remote: Remote,
        /// The user's id.
        id: String,
        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,
    },
}

/// Does what is asked, and says what came of it.
///
/// # Errors
/// What keeps the database or the server from being reached, and what is refused.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    let mut output = Output::standard();
    match arguments.action {
        Action::CreateAdmin { name, config, password_stdin, another } => {
            let config = Config::load(config, None)?;
            block_on(async {
                let store = config.database.open().await.map_err(AdministratorError::from)?;
                let made = async {
                    // Nobody thinks of a password in vain. Nothing else waits while they do.
                    may_create_administrator(&*store, &name, another).await?;
                    let password = password(password_stdin)?;
                    let mint = config.auth.mint(&*store).await.map_err(AdministratorError::from)?;
                    Ok::<_, CommandError>(create_administrator(&*store, &mint, &name, password, another).await?)
                }
                .await;
                // What is written stays written, whatever closing says.
                let _ = store.close().await;
                let key = made?;
                output.line(&format!(
                    "{name} is an administrator. This API key is not shown again:\n\n{}\n\nUse it with\n\n  \
                     read -rs SABIR_API_KEY && export SABIR_API_KEY && sabir keys list",
                    key.expose()
                ))?;
                Ok(())
            })
        }
        Action::List { remote, json } => block_on(async {
            let client = remote.connect().await?;
            let (mut list, mut page_token) = (ListUsersResponse::default(), String::new());
            loop {
                let request = ListUsersRequest { page_size: PAGE, page_token, ..Default::default() };
                let page = client.users(request).await?;
                list.users.extend(page.users);
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            if json {
                return Ok(output.line(&json_of(&list, "sabir.v1.ListUsersResponse")?)?);
            }
            if list.users.is_empty() {
                return Ok(output.line("There are no users.")?);
            }
            Ok(output.text(&table(&list.users))?)
        }),
        Action::Create { remote, name, team: team_id, scopes, json } => block_on(async {
            let user = User { name, team_id, scopes, ..Default::default() };
            let user = remote
                .connect()
                .await?
                .create_user(CreateUserRequest { user: Some(user), ..Default::default() })
                .await?;
            if json {
                return Ok(output.line(&json_of(&user, "sabir.v1.User")?)?);
            }
            Ok(output.text(&table(&[user]))?)
        }),
        Action::SetPassword { remote, id, password_stdin } => {
            let password = password(password_stdin)?.expose().to_owned();
            block_on(async {
                remote.connect().await?.set_password(SetUserPasswordRequest { id, password }).await?;
                Ok(output.line("The password is set.")?)
            })
        }
    }
}

/// Asks for a password: never in an argument, where every process of the machine could see it.
fn password(from_input: bool) -> Result<Secret, CommandError> {
    if from_input {
        let mut text = String::new();
        std::io::stdin().take(LONGEST).read_to_string(&mut text)?;
        return Ok(Secret::new(text.trim_end_matches(['\r', '\n'])));
    }
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::Usage("there is no terminal to ask for a password; use --password-stdin".to_owned()));
    }
    let first = Secret::new(rpassword::prompt_password("Password: ")?);
    let again = Secret::new(rpassword::prompt_password("Once more: ")?);
    if first.expose() == again.expose() {
        Ok(first)
    } else {
        Err(CommandError::Usage("the passwords are not the same".to_owned()))
    }
}

/// Users in columns.
fn table(users: &[User]) -> String {
    let row = |user: &User| {
        let team = if user.team_id.is_empty() { "-".to_owned() } else { user.team_id.clone() };
        let state = if user.disabled { "disabled" } else { "active" };
        [user.id.clone(), user.name.clone(), team, user.scopes.join(","), state.to_owned()]
    };
    let rows: Vec<[String; 5]> = users.iter().map(row).collect();
    columns(["ID", "NAME", "TEAM", "SCOPES", "STATE"], &rows)
}
