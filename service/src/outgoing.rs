//! Requests of our own to others than models: issuers of tokens, webhooks. By `https`, or on this machine, and with the
//! machine's own certificates.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body::Body;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client that asks with bodies of this kind.
pub(crate) type HttpsClient<B> = Client<HttpsConnector<HttpConnector>, B>;

/// The address, if it may be fetched from: by `https`, on this machine by `http` too.
pub(crate) fn fetchable(url: &str) -> Result<Uri, String> {
    let uri = url.parse::<Uri>().map_err(|_| format!("\"{url}\" is no URL"))?;
    let host = uri.host().ok_or_else(|| format!("\"{url}\" names no host"))?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("must not hold a name or a password".to_owned());
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if is_here => Ok(uri),
        _ => Err(format!("\"{url}\" must begin with https://; http:// is for this machine alone")),
    }
}

/// A client for gRPC, which is HTTP/2 from the first byte.
///
/// # Errors
/// When the machine has no certificates to verify others by.
pub(crate) fn grpc_client<B: Body<Data = Bytes> + Send>() -> Result<HttpsClient<B>, String> {
    Ok(Client::builder(TokioExecutor::new()).http2_only(true).build(connector()?))
}

/// A client that keeps so many idle connections for each host.
///
/// # Errors
/// When the machine has no certificates to verify others by.
pub(crate) fn https_client<B: Body<Data = Bytes> + Send>(idle: usize) -> Result<HttpsClient<B>, String> {
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(idle).build(connector()?))
}

fn connector() -> Result<HttpsConnector<HttpConnector>, String> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(PATIENCE));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_native_roots()
        .map_err(|error| format!("nobody can be verified by https: {error}"))?;
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(tls.with_no_client_auth())
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp))
}
