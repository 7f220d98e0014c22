//! The server that a command talks to, and its failures in words that say what to do.

use std::future::Future;

use sabir_client::{Client, Code, Error};

use super::CommandError;

/// Which server to talk to.
#[derive(Debug, clap::Args)]
pub(crate) struct Remote {
    /// The address of the server.
    #[arg(long, value_name = "URL", env = "SABIR_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

impl Remote {
    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Client, CommandError> {
        Ok(Client::connect(&self.url).await?)
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::Remote(match error {
            Error::Connect { url, reason } => format!(
                "nothing answers on {url} ({reason}); start the server with `sabir serve`, or name another with --url"
            ),
            Error::Invalid(message) => message,
            Error::Call(error) => {
                let mut text = error.message.clone();
                if error.violations.len() > 1 {
                    for violation in &error.violations {
                        text.push_str(&format!("\n  {}: {}", violation.field, violation.message));
                    }
                }
                if let Some(pause) = error.retry_after {
                    text.push_str(&format!("\n  try again in {pause:?}"));
                }
                if error.code == Code::NotFound {
                    text.push_str("\n  `sabir models` lists every model");
                }
                if let Some(id) = &error.request_id {
                    text.push_str(&format!("\n  request id: {id}"));
                }
                text
            }
        })
    }
}

/// Runs a command's conversation with the server.
pub(crate) fn block_on(command: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    // A thread may still be waiting for a line from the terminal; nobody is interested in that line any more.
    runtime.shutdown_background();
    outcome
}
