//! `sabir keys`.

use std::time::{Duration, SystemTime};

use clap::Subcommand;
use sabir_client::v1::{
    CreateKeyRequest, Key, ListKeysRequest, ListKeysResponse, NewKey, RevokeKeyRequest, RotateKeyRequest,
};

use super::CommandError;
use super::columns::columns;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};

/// How many keys are fetched at once.
const PAGE: i32 = 500;

/// Make, list, rotate and revoke API keys.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir keys create --name batch --scopes chat,models.read --models 'openai/*' --expires-in 90
  sabir keys list
  sabir keys rotate 01a20401-b2a4-743d-bbe5-d8e3ff1350cb --overlap 86400
  sabir keys revoke 01a20401-b2a4-743d-bbe5-d8e3ff1350cb")]
pub struct Arguments {
    #[command(flatten)]
    remote: Remote,
    /// Write what the server answers as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List keys, never the keys themselves.
    List {
        /// Only those of this team.
        #[arg(long, default_value = "", hide_default_value = true)]
        team: String,
        /// Only those of this user.
        #[arg(long, default_value = "", hide_default_value = true)]
        user: String,
        /// Those that are revoked too.
        #[arg(long)]
        revoked: bool,
    },
    /// Make a key and show it, this once.
    Create {
        /// What to call it.
        #[arg(long)]
        name: String,
        /// The id of the team it is for.
        #[arg(long, default_value = "", hide_default_value = true)]
        team: String,
        /// The id of the user it is for.
        #[arg(long, default_value = "", hide_default_value = true)]
        user: String,
        /// What it may do.
        #[arg(long, value_delimiter = ',', default_value = "chat,models.read")]
        scopes: Vec<String>,
        /// Patterns of the models it may ask; all that its team may if left out.
        #[arg(long, value_delimiter = ',')]
        models: Vec<String>,
        /// After how many days it expires; never if left out.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_in: Option<u32>,
    },
    /// Put a new key in the place of one, and show it.
    Rotate {
        /// The id of the key.
        id: String,
        /// For how many seconds the old key is accepted too.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        overlap: u32,
    },
    /// Revoke a key.
    Revoke {
        /// The id of the key.
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
        let issued = match arguments.action {
            Action::List { team: team_id, user: user_id, revoked: include_revoked } => {
                let mut request =
                    ListKeysRequest { page_size: PAGE, team_id, user_id, include_revoked, ..Default::default() };
                let mut list = ListKeysResponse::default();
                loop {
                    let page = client.keys(request.clone()).await?;
                    list.keys.extend(page.keys);
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    request.page_token = page.next_page_token;
                }
                if arguments.json {
                    return Ok(output.line(&json_of(&list, "sabir.v1.ListKeysResponse")?)?);
                }
                if list.keys.is_empty() {
                    return Ok(output.line("There are no keys.")?);
                }
                return Ok(output.text(&table(&list.keys))?);
            }
            Action::Create { name, team: team_id, user: user_id, scopes, models, expires_in } => {
                let expire_time = expires_in
                    .and_then(|days| SystemTime::now().checked_add(Duration::from_secs(u64::from(days) * 86_400)));
                let expire_time = expire_time.map(Into::into);
                let key = Key { name, team_id, user_id, scopes, models, expire_time, ..Default::default() };
                client.create_key(CreateKeyRequest { key: Some(key) }).await?
            }
            Action::Rotate { id, overlap } => {
                client.rotate_key(RotateKeyRequest { id, overlap_seconds: overlap, ..Default::default() }).await?
            }
            Action::Revoke { id } => {
                let key = client.revoke_key(RevokeKeyRequest { id }).await?;
                if arguments.json {
                    return Ok(output.line(&json_of(&key, "sabir.v1.Key")?)?);
                }
                return Ok(output.text(&table(&[key]))?);
            }
        };
        show(&mut output, &issued, arguments.json)
    })
}

/// Shows a key that has just been made.
fn show(output: &mut Output, issued: &NewKey, json: bool) -> Result<(), CommandError> {
    if json {
        return Ok(output.line(&json_of(issued, "sabir.v1.NewKey")?)?);
    }
    output.text(&table(issued.key.as_slice()))?;
    output.line(&format!("\n{}\n\nKeep it now: it is not shown again.", issued.secret))?;
    Ok(())
}

/// Keys in columns.
fn table(keys: &[Key]) -> String {
    let rows: Vec<[String; 6]> = keys
        .iter()
        .map(|key| {
            let passed = |time: &Option<prost_types::Timestamp>| {
                time.and_then(|time| SystemTime::try_from(time).ok()).is_some_and(|time| time <= SystemTime::now())
            };
            let state = match (passed(&key.revoke_time), passed(&key.expire_time)) {
                (true, _) => "revoked",
                (_, true) => "expired",
                _ => "active",
            };
            let owner = match (key.user_id.as_str(), key.team_id.as_str()) {
                ("", "") => "-".to_owned(),
                ("", team) => format!("team {team}"),
                (user, _) => format!("user {user}"),
            };
            let expires = key.expire_time.map_or_else(|| "never".to_owned(), |time| time.to_string());
            [key.id.clone(), key.name.clone(), format!("{}...", key.prefix), owner, expires, state.to_owned()]
        })
        .collect();
    columns(["ID", "NAME", "KEY", "OWNER", "EXPIRES", "STATE"], &rows)
}
