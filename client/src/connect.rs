//! From a URL to a connection.

use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::Error;

/// How to connect. The defaults fit a server on the same machine or in the same cluster.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    connect_timeout: Duration,
    keep_alive: Duration,
    message_limit: usize,
    authority: Option<Certificate>,
    identity: Option<Identity>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(30),
            // Answers with audio or many choices are larger than gRPC's usual 4 MiB.
            message_limit: 64 << 20,
            authority: None,
            identity: None,
        }
    }
}

impl ConnectOptions {
    /// The defaults: 5 s to connect, a ping every 30 s of silence while calls are open, messages up to 64 MiB.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long connecting may take.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// After how much silence the server is asked whether it is still there, while calls are open. Below the idle limit
    /// of proxies on the way, a long call survives them.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = interval;
        self
    }

    /// The largest message to accept, in bytes.
    #[must_use]
    pub fn message_limit(mut self, bytes: usize) -> Self {
        self.message_limit = bytes;
        self
    }

    /// Who signs the certificates of `https://` servers, in PEM, beside the authorities that this machine trusts.
    #[must_use]
    pub fn ca_certificate(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.authority = Some(Certificate::from_pem(pem));
        self
    }

    /// A certificate and its private key, both in PEM, to show to servers that ask for one (mutual TLS).
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.identity = Some(Identity::from_pem(certificate, key));
        self
    }

    pub(crate) fn message_limit_bytes(&self) -> usize {
        self.message_limit
    }

    /// Opens the connection. It is opened again by itself when it breaks.
    pub(crate) async fn open(&self, url: &str) -> Result<Channel, Error> {
        let mut endpoint = Endpoint::from_shared(url.to_owned())
            .ok()
            .filter(|endpoint| matches!(endpoint.uri().scheme_str(), Some("http" | "https")))
            .filter(|endpoint| endpoint.uri().host().is_some())
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "\"{url}\" is no address; expected one like http://127.0.0.1:8080 or https://llm.example.com"
                ))
            })?;
        if endpoint.uri().scheme_str() == Some("https") {
            endpoint = endpoint.tls_config(self.tls()).map_err(|error| Error::Invalid(innermost(&error)))?;
        }
        endpoint
            .connect_timeout(self.connect_timeout)
            // Small messages must not wait for acknowledgements.
            .tcp_nodelay(true)
            .http2_keep_alive_interval(self.keep_alive)
            .keep_alive_timeout(self.keep_alive)
            .user_agent(concat!("sabir-client/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| Error::Invalid(error.to_string()))?
            .connect()
            .await
            .map_err(|error| Error::Connect { url: url.to_owned(), reason: innermost(&error) })
    }
}

impl ConnectOptions {
    fn tls(&self) -> ClientTlsConfig {
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(authority) = &self.authority {
            tls = tls.ca_certificate(authority.clone());
        }
        if let Some(identity) = &self.identity {
            tls = tls.identity(identity.clone());
        }
        tls
    }
}

/// The message at the root of an error: "Connection refused" instead of "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
