//! Certificates made for a test, and a way in clear text to a server that speaks TLS, so that every client of the tests can be
//! looped over it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What an HTTP/2 client sends first.
const HTTP_2: &[u8] = b"PRI";

/// One that signs certificates, and a folder with what it has signed.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, as a client shows them.
pub(crate) struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// Its own certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A file of its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the certificate of this machine, in the place of the one before.
    pub(crate) fn sign_server(&self) {
        let (certificate, key) = self.sign(&[], &["localhost", "127.0.0.1"]);
        std::fs::write(self.file("server.pem"), certificate).unwrap();
        std::fs::write(self.file("server.key"), key).unwrap();
    }

    /// The lines of a configuration that has the server use that.
    pub(crate) fn lines(&self) -> String {
        let quoted = |path: &Path| format!("\"{}\"", path.display());
        format!(
            "[server.tls]\ncert_file = {}\nkey_file = {}\n",
            quoted(&self.file("server.pem")),
            quoted(&self.file("server.key"))
        )
    }

    /// The certificate of a client with this URI, also in the files `client.pem` and `client.key`.
    pub(crate) fn sign_client(&self, uri: &str) -> Shown {
        let (certificate, key) = self.sign(&[uri], &[]);
        std::fs::write(self.file("client.pem"), &certificate).unwrap();
        std::fs::write(self.file("client.key"), &key).unwrap();
        Shown {
            chain: vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        }
    }

    /// A certificate and its key, as PEM.
    fn sign(&self, uris: &[&str], hosts: &[&str]) -> (String, String) {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        // One that has its authority's name would look as if it had signed itself.
        params.distinguished_name.push(DnType::CommonName, "somebody in a test");
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A connection to a server that this authority vouches for.
    pub(crate) async fn connect(
        &self,
        server: SocketAddr,
        protocol: &[u8],
        shown: Option<&Shown>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let mut config = match shown {
            None => config.with_no_client_auth(),
            Some(shown) => config.with_client_auth_cert(shown.chain.clone(), shown.key.clone_key()).unwrap(),
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        let socket = TcpStream::connect(server).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, socket).await
    }
}

/// Takes connections in clear text and passes on what they say by TLS. It stops when it is dropped.
pub(crate) struct Tunnel {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Tunnel {
    /// Starts one to a server, showing a certificate if there is one.
    pub(crate) async fn start(authority: &Arc<Authority>, server: SocketAddr, shown: Option<Shown>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (authority, shown) = (Arc::clone(authority), Arc::new(shown));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (authority, shown) = (Arc::clone(&authority), Arc::clone(&shown));
                // Whatever breaks, the client sees its connection closed.
                tokio::spawn(async move { pass(client, server, &authority, (*shown).as_ref()).await.ok() });
            }
        });
        Self { address, accepting }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    authority: &Authority,
    shown: Option<&Shown>,
) -> std::io::Result<()> {
    let mut first = [0; HTTP_2.len()];
    client.read_exact(&mut first).await?;
    let protocol: &[u8] = if first == HTTP_2 { b"h2" } else { b"http/1.1" };
    let mut tls = authority.connect(server, protocol, shown).await?;
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(protocol), "the protocol is agreed on (RFC 7301)");
    tls.write_all(&first).await?;
    copy_bidirectional(&mut client, &mut tls).await.map(drop)
}
