//! `sabir config`.

use std::path::PathBuf;

use clap::Subcommand;

use super::CommandError;
use super::output::Output;
use crate::config::Config;

/// Look at the configuration without serving.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the configuration, with the files and variables that it names, and report everything that is wrong with it.
    ///
    /// Ends with 0 if a server could start with it and with 1 if not. Nothing is opened or connected.
    #[command(after_help = "\
Examples:
  sabir config check
  sabir config check --config /etc/sabir.toml")]
    Check(Check),
}

#[derive(Debug, clap::Args)]
struct Check {
    /// The configuration file [default: $SABIR_CONFIG, else sabir.toml if it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    let Command::Check(Check { config }) = arguments.command;
    let config = Config::load(config, None).map_err(CommandError::Unsound)?;
    let providers = config.upstream.providers.len();
    let summary = format!(
        "the configuration can be used: it listens on {}, with {providers} providers and the local model {}",
        config.server.listen,
        if config.upstream.local.enabled { "on" } else { "off" },
    );
    Ok(Output::standard().line(&summary)?)
}
