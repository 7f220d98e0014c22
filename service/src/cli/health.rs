//! `sabir health`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;

use super::CommandError;
use super::output::Output;
use super::remote::block_on;
use crate::config::Config;
use crate::outgoing::https_client;

/// Ask a server whether it wants calls.
///
/// Ends with 0 if it does and with 1 if it does not, or if nobody answers: made for health checks of containers.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir health
  sabir health --address http://10.0.0.7:8080
  sabir health --config /etc/sabir.toml --timeout 2")]
pub struct Arguments {
    /// The address of the server [default: where the configuration says that it listens].
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    /// The configuration file [default: $SABIR_CONFIG, else sabir.toml if it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How long to wait for an answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout: u64,
}

/// Asks, and says what came of it.
///
/// # Errors
/// A server that is not ready, or does not answer.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    let address = match arguments.address {
        Some(address) => address,
        None => usual(&Config::load(arguments.config, None)?),
    };
    let wrong = |problem: String| CommandError::Remote(format!("{address} is not ready: {problem}"));
    let uri: Uri = format!("{}/readyz", address.trim_end_matches('/'))
        .parse()
        .ok()
        .filter(|uri: &Uri| uri.host().is_some())
        .ok_or_else(|| {
            CommandError::Usage(format!("--address: \"{address}\" is no URL, as http://127.0.0.1:8080 is"))
        })?;
    block_on(async {
        let client = https_client::<Empty<Bytes>>(0).map_err(&wrong)?;
        let request = Request::get(uri).body(Empty::new()).map_err(|error| wrong(error.to_string()))?;
        let answer = tokio::time::timeout(Duration::from_secs(arguments.timeout), client.request(request)).await;
        let answer = answer
            .map_err(|_| wrong(format!("there was no answer within {} seconds", arguments.timeout)))?
            .map_err(|error| wrong(reason(&error)))?;
        match answer.status() {
            StatusCode::OK => Ok(Output::standard().line(&format!("{address} is ready"))?),
            StatusCode::SERVICE_UNAVAILABLE => Err(wrong("it is stopping".to_owned())),
            other => Err(wrong(format!("it answered {other} to /readyz"))),
        }
    })
}

/// Where a server with this configuration says so. The admin listener is for those who cannot check a certificate that is
/// made out to the server's name in the network.
fn usual(config: &Config) -> String {
    match (&config.server.tls, config.admin.enabled) {
        (None, _) => format!("http://{}", reachable(config.server.listen)),
        (Some(_), true) => format!("http://{}", reachable(config.admin.listen)),
        (Some(_), false) => format!("https://{}", reachable(config.server.listen)),
    }
}

/// Where a server on this machine can be reached that listens there.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let host = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    SocketAddr::new(host, listen.port())
}

/// The innermost reason, which is what a person can do something about.
fn reason(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
