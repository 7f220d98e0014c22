//! `sabir serve`.

mod environment;

use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};

use super::CommandError;
use crate::app;
use crate::config::Config;
use crate::server::{self, Shutdown};
use crate::telemetry::Export;

/// Serve models on one port: gRPC, gRPC-Web and OpenAI-compatible HTTP.
///
/// Works without any configuration: it listens on 127.0.0.1:8080, keeps its records in sabir.db, runs the local model if
/// its file is there, and offers every provider whose usual variables are set (OPENAI_API_KEY, ...).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir serve
  sabir serve --config /etc/sabir.toml
  sabir serve --listen 127.0.0.1:9000
  OPENAI_API_KEY=sk-... sabir serve")]
pub struct Arguments {
    /// The configuration file [default: $SABIR_CONFIG, else sabir.toml if it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, as in 127.0.0.1:8080; wins over the file and the environment.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Serves until it is told to stop.
///
/// # Errors
/// What keeps it from starting, and what was lost when it stopped.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    environment::prepare();
    let config = Config::load(arguments.config, arguments.listen)?;
    let ended = runtime(&config.server)?.block_on(async {
        let export = Export::start(&config.telemetry)?;
        config.log.start(&export);
        let shutdown = Shutdown::new();
        shutdown.on_signals()?;
        Ok::<_, CommandError>(app::run(&config, shutdown, export, |_| {}).await?)
    })?;
    match ended.lost() {
        None => Ok(()),
        Some(lost) => Err(CommandError::Unfinished(lost)),
    }
}

/// The runtime for everything, but for connections if each core has a runtime of its own. With one worker it is one
/// without threads: nothing is ever handed from one to another.
fn runtime(server: &server::Config) -> std::io::Result<Runtime> {
    match (server.runtime, server.cores()) {
        (server::Runtime::PerCore, _) | (_, 1) => Builder::new_current_thread().enable_all().build(),
        (server::Runtime::Shared, workers) => Builder::new_multi_thread().worker_threads(workers).enable_all().build(),
    }
}
