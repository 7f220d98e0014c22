//! The command line. Each command has a file; this one has what they share.
//!
//! Commands that talk to a server do so through the client crate alone, as any other program would.

pub mod audit;
pub mod budgets;
pub mod chat;
pub mod clients;
pub mod config;
pub mod health;
pub mod keys;
pub mod limits;
pub mod migrate;
pub mod models;
pub mod openapi;
pub mod prices;
pub mod requests;
pub mod serve;
pub mod teams;
pub mod usage;
pub mod users;

mod columns;
mod json;
mod output;
mod remote;
mod subject;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::StartError;
use crate::config::ConfigError;
use crate::telemetry::ExportError;

const EXAMPLES: &str = "\
Examples:
  sabir serve                                  serve on 127.0.0.1:8080, with the local model and every
                                               provider whose key is in the environment
  sabir models                                 list the models of the running server
  sabir chat openai/gpt-4o-mini \"Why is the sea salty?\"
  sabir chat                                   talk to the first model in the list

Configuration: sabir.toml in the current folder, or --config; every key is also a variable,
such as SABIR_SERVER__LISTEN.";

/// One typed LLM API over gRPC, gRPC-Web and OpenAI-compatible HTTP, in front of any model.
#[derive(Debug, Parser)]
#[command(name = "sabir", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve models on one port: gRPC, gRPC-Web and OpenAI-compatible HTTP.
    Serve(serve::Arguments),
    /// Ask a server whether it wants calls.
    Health(health::Arguments),
    /// Look at the configuration without serving.
    Config(config::Arguments),
    /// Bring the schema of the configured database up to date.
    Migrate(migrate::Arguments),
    /// Ask a model of a running server, once or in a conversation.
    Chat(chat::Arguments),
    /// List the models of a running server.
    Models(models::Arguments),
    /// Show what was captured of prompts and answers, where the server captures it.
    Requests(requests::Arguments),
    /// See and change how much money may be spent.
    Budgets(budgets::Arguments),
    /// See and change how much may be asked.
    Limits(limits::Arguments),
    /// See and replace what models cost.
    Prices(prices::Arguments),
    /// Make, list, rotate and revoke API keys.
    Keys(keys::Arguments),
    /// Make, list and remove OAuth 2.0 clients, and give them new secrets.
    Clients(clients::Arguments),
    /// Make, list and remove teams.
    Teams(teams::Arguments),
    /// Show what was used, by whom, and what it cost.
    Usage(usage::Arguments),
    /// Show who changed what.
    Audit(audit::Arguments),
    /// Make and list users, and the first administrator.
    Users(users::Arguments),
    /// Print the OpenAPI document.
    Openapi(openapi::Arguments),
}

/// Why a command failed. The message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration was to be checked, and cannot be used.
    #[error(transparent)]
    Unsound(ConfigError),
    /// Telemetry cannot be sent as configured.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The server could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Open calls or usage rows were lost at the end; the log has said which.
    #[error("stopped before everything was finished: {0}")]
    Unfinished(String),
    /// There is no new administrator.
    #[error(transparent)]
    Administrator(#[from] crate::auth::AdministratorError),
    /// The call to the server failed.
    #[error("{0}")]
    Remote(String),
    /// The arguments do not make sense together.
    #[error("{0}")]
    Usage(String),
    /// Reading or writing failed.
    #[error("{0}")]
    Stream(#[from] std::io::Error),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl CommandError {
    /// The exit code: 2 for what was asked for wrongly, as for wrong arguments; 130 as shells have it for Ctrl-C.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) => 2,
            Self::Interrupted => 130,
            Self::Unsound(_)
            | Self::Export(_)
            | Self::Start(_)
            | Self::Administrator(_)
            | Self::Unfinished(_)
            | Self::Remote(_)
            | Self::Stream(_) => 1,
        }
    }
}

/// Tells the user how the command ended, and turns that into the program's exit code.
pub fn report(outcome: Result<(), CommandError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough, as `head` has.
        Err(CommandError::Stream(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(CommandError::Interrupted) => ExitCode::from(CommandError::Interrupted.exit_code()),
        Err(error) => {
            // If even standard error is gone, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "sabir: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
