//! `sabir openapi`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::CommandError;
use super::output::Output;
use crate::app;

/// Print the OpenAPI document of the HTTP form, as the server serves it at /openapi.json.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir openapi > openapi.json
  sabir openapi --version 3.2 --output openapi-3.2.json
  npx openapi-typescript <(sabir openapi)")]
pub struct Arguments {
    /// The version of OpenAPI: 3.1 for generators and most tools, 3.2 to have streams described too.
    #[arg(long, value_enum, default_value_t)]
    version: Version,
    /// Write to a file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Version {
    #[default]
    #[value(name = "3.1")]
    V3_1,
    #[value(name = "3.2")]
    V3_2,
}

/// Writes the document.
///
/// # Errors
/// What keeps it from being written.
pub fn main(arguments: &Arguments) -> Result<(), CommandError> {
    let documents = app::documents()?;
    let document = match arguments.version {
        Version::V3_1 => documents.v3_1,
        Version::V3_2 => documents.v3_2,
    };
    match &arguments.output {
        Some(path) => Ok(std::fs::write(path, &document)?),
        None => Ok(Output::standard().text(&String::from_utf8_lossy(&document))?),
    }
}
