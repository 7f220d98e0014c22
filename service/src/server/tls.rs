//! TLS: certificates from files, read again when the files change, and what clients' certificates say of who they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Section;
use crate::telemetry::event;

/// How often the files are looked at. Whoever mounts secrets replaces files minutes before the old ones expire.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The protocols that are offered, best first (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where the certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `server.tls.cert_file`: our certificate with those between it and its root, as PEM.
    pub cert_file: PathBuf,
    /// `server.tls.key_file`: its private key, as PEM.
    pub key_file: PathBuf,
    /// `server.tls.client_ca_file`: the roots of the certificates that clients may show, as PEM.
    pub client_ca_file: Option<PathBuf>,
    /// `server.tls.client_auth`: whether clients have to show one.
    pub client_auth: ClientAuth,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Who shows one is known by it; others may come as well.
    Optional,
    /// Nobody comes in without one.
    Required,
}

impl Config {
    /// Reads the section; `None` if there is none.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let cert_file = section.optional::<PathBuf>("cert_file");
        let key_file = section.optional::<PathBuf>("key_file");
        let client_ca_file = section.optional::<PathBuf>("client_ca_file");
        let ways = [("optional", ClientAuth::Optional), ("required", ClientAuth::Required)];
        let has_client_auth = section.has("client_auth");
        let client_auth = section.choice("client_auth", &ways, ClientAuth::Required);
        let config = match (cert_file, key_file) {
            (Some(cert_file), Some(key_file)) => Some(Self { cert_file, key_file, client_ca_file, client_auth }),
            (None, None) => {
                if client_ca_file.is_some() {
                    section.problem("client_ca_file", "needs server.tls.cert_file and server.tls.key_file");
                }
                None
            }
            (Some(_), None) => {
                section.problem("key_file", "is needed: the private key of server.tls.cert_file");
                None
            }
            (None, Some(_)) => {
                section.problem("cert_file", "is needed: the certificate of server.tls.key_file");
                None
            }
        };
        if has_client_auth && config.as_ref().is_none_or(|config| config.client_ca_file.is_none()) {
            section.problem("client_auth", "needs server.tls.client_ca_file");
        }
        if let Some(Err(error)) = config.as_ref().map(load) {
            section.problem(error.key, error.problem);
        }
        section.finish();
        config
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.cert_file, &self.key_file].into_iter().chain(&self.client_ca_file).map(PathBuf::as_path)
    }
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("server.tls.{key}: {problem}")]
pub struct TlsError {
    key: &'static str,
    problem: String,
}

/// Takes connections with the certificates of the moment. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// Reads the files, and goes on doing so on the runtime this is called in.
    ///
    /// # Errors
    /// Files that cannot be read, or do not fit together.
    pub(super) fn start(config: Config) -> Result<Self, TlsError> {
        let state = state(&config);
        let current = Arc::new(RwLock::new(Arc::new(load(&config)?)));
        tokio::spawn(watch(config, state, Arc::downgrade(&current)));
        Ok(Self { current })
    }

    /// Agrees with a client on keys.
    ///
    /// # Errors
    /// What the client does not agree to, or breaks.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// Who a client's certificate says it is: the URIs (such as SPIFFE ids), then the host names of its subject's alternative
/// names. Empty without a certificate. It has been verified by now.
pub(super) fn names(stream: &TlsStream<TcpStream>) -> Vec<String> {
    let (_, session) = stream.get_ref();
    let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) else { return Vec::new() };
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return Vec::new() };
    certificate.valid_uri_names().chain(certificate.valid_dns_names()).map(str::to_owned).collect()
}

/// Looks at the files now and then. What cannot be used is told of, and what was there before is kept.
async fn watch(config: Config, mut state: State, current: std::sync::Weak<RwLock<Arc<ServerConfig>>>) {
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let Some(current) = current.upgrade() else { return };
        let now = self::state(&config);
        if now == state {
            continue;
        }
        state = now;
        match load(&config) {
            Ok(loaded) => {
                *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
                tracing::info!(
                    event = event::CERTIFICATES_READ, certificate = %config.cert_file.display(),
                    "the certificates have been read again"
                );
            }
            Err(error) => {
                tracing::error!(event = event::CERTIFICATES_UNUSABLE, %error, "the new certificates cannot be used; the old ones are kept")
            }
        }
    }
}

/// What tells that files have changed, without reading them: links are followed, so that a mount that is swapped is seen.
type State = Vec<Option<(SystemTime, u64, PathBuf)>>;

fn state(config: &Config) -> State {
    let of = |path: &Path| {
        let data = fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len(), fs::canonicalize(path).ok()?))
    };
    config.files().map(of).collect()
}

fn load(config: &Config) -> Result<ServerConfig, TlsError> {
    let problem = |key: &'static str, path: &Path, error: &dyn std::fmt::Display| TlsError {
        key,
        problem: format!("{}: {error}", path.display()),
    };
    let certificates = |key: &'static str, path: &Path| {
        let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        match read {
            Ok(found) if found.is_empty() => Err(problem(key, path, &"holds no certificate")),
            Ok(found) => Ok(found),
            Err(error) => Err(problem(key, path, &error)),
        }
    };
    let chain = certificates("cert_file", &config.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&config.key_file);
    let key = key.map_err(|error| problem("key_file", &config.key_file, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| problem("cert_file", &config.cert_file, &error))?;
    let builder = match &config.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates("client_ca_file", path)? {
                roots.add(root).map_err(|error| problem("client_ca_file", path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match config.client_auth {
                ClientAuth::Optional => verifier.allow_unauthenticated(),
                ClientAuth::Required => verifier,
            };
            let verifier = verifier.build().map_err(|error| problem("client_ca_file", path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut made =
        builder.with_single_cert(chain, key).map_err(|error| problem("key_file", &config.key_file, &error))?;
    made.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    Ok(made)
}
