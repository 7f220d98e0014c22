//! The server that a command talks to, and its failures in words that say what to do.

use std::fmt;
use std::future::Future;

use sabir_client::{Authorization, CallOptions, Client, Code, Error};

use super::CommandError;

/// Which server to talk to.
#[derive(Debug, clap::Args)]
pub(crate) struct Remote {
    /// The address of the server.
    #[arg(long, value_name = "URL", env = "SABIR_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The API key to say who calls, where the server asks for it; better in the variable than in the command.
    #[arg(long, value_name = "KEY", env = "SABIR_API_KEY", hide_env_values = true)]
    api_key: Option<ApiKey>,
}

/// A key that cannot be shown.
#[derive(Clone)]
struct ApiKey(String);

impl From<&str> for ApiKey {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(..)")
    }
}

impl Remote {
    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Client, CommandError> {
        let client = Client::connect(&self.url).await?;
        match &self.api_key {
            Some(ApiKey(key)) => {
                let options = CallOptions::new().authorization(Authorization::bearer(key)?);
                Ok(client.with(options))
            }
            None => Ok(client),
        }
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
                let about_model = error.violations.iter().any(|violation| violation.field == "model");
                if error.code == Code::NotFound && about_model {
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
