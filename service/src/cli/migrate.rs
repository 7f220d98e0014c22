//! `sabir migrate`.

use std::path::PathBuf;

use super::CommandError;
use super::output::Output;
use super::remote::block_on;
use crate::app::StartError;
use crate::config::Config;

/// Bring the schema of the configured database up to date.
///
/// Several may do so at once: one does the work, the others wait for it. `sabir serve` refuses to run on a Postgres database
/// with another schema than it knows; SQLite files it brings up to date by itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir migrate --config /etc/sabir.toml
  DATABASE_URL=postgres://sabir@db.internal/sabir sabir migrate")]
pub struct Arguments {
    /// The configuration file [default: $SABIR_CONFIG, else sabir.toml if it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Migrates, and says what was done.
///
/// # Errors
/// What the configuration or the database lacks.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    let config = Config::load(arguments.config, None)?;
    block_on(async {
        let done = config.database.migrate().await.map_err(StartError::from)?;
        Ok(Output::standard().text(&format!("{done}\n"))?)
    })
}
