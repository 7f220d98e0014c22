//! The server that a command talks to, and its failures in words that say what to do.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sabir_client::{Authorization, CallOptions, Client, Code, ConnectOptions, Error};

use super::CommandError;

/// Which server to talk to.
#[derive(Debug, clap::Args)]
pub(crate) struct Remote {
    /// The address of the server.
    #[arg(long, value_name = "URL", env = "SABIR_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Who signs the certificate of an https:// server, in PEM, beside the authorities that this machine trusts.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The API key to say who calls, where the server asks for it. Others on this machine can read the arguments of a
    /// command: better give the key in the variable, or with --api-key-file.
    #[arg(long, value_name = "KEY", env = "SABIR_API_KEY", hide_env_values = true)]
    api_key: Option<ApiKey>,
    /// A file that holds the API key, which goes before one in the variable; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
}

/// More than any key or token is long: what is longer is another file.
const LONGEST_KEY: u64 = 16 * 1024;

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
        let mut options = ConnectOptions::new();
        if let Some(path) = &self.ca_file {
            let pem = std::fs::read(path);
            options = options.ca_certificate(
                pem.map_err(|error| CommandError::Remote(format!("--ca-file {}: {error}", path.display())))?,
            );
        }
        let client = Client::connect_with(&self.url, &options).await?;
        let ApiKey(key) = match (&self.api_key_file, &self.api_key) {
            (Some(path), _) => read_key(path)?,
            (None, Some(key)) => key.clone(),
            (None, None) => return Ok(client),
        };
        let options = CallOptions::new().authorization(Authorization::bearer(&key)?);
        Ok(client.with(options))
    }
}

/// The key in a file, without the line break that editors leave behind it.
fn read_key(path: &Path) -> Result<ApiKey, CommandError> {
    let read = |source: &mut dyn Read| -> io::Result<String> {
        let mut text = String::new();
        source.take(LONGEST_KEY).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = match path.as_os_str() == "-" {
        true => read(&mut io::stdin().lock()),
        false => File::open(path).and_then(|mut file| read(&mut file)),
    };
    let text = text.map_err(|error| {
        CommandError::Remote(format!("--api-key-file: cannot read a key from {}: {error}", path.display()))
    })?;
    match text.trim() {
        "" => Err(CommandError::Remote(format!("--api-key-file: there is no key in {}", path.display()))),
        key => Ok(ApiKey(key.to_owned())),
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
