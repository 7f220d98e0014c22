//! The admin listener: `/metrics`, `/livez` and `/readyz`, on a port of its own that need not be reachable by callers.
//!
//! It goes on while the server drains, so that somebody can watch it do so.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tonic::body::Body;
use tower::{Layer as _, Service};

use super::probes::{ProbesLayer, Readiness};
use super::{Config as ServerConfig, ServeError, Server, Shutdown};
use crate::config::Section;
use crate::telemetry::{Form, Telemetry, event};

/// Where it listens when nothing is said.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464);

/// How many connections it has at once. Scrapers need one each.
const CONNECTIONS: usize = 64;

/// Whether and where it listens.
#[derive(Clone, Debug)]
pub struct Config {
    /// `admin.enabled`: whether it listens.
    pub enabled: bool,
    /// `admin.listen`: where.
    pub listen: SocketAddr,
    /// Whether somebody said where. If nobody did, an address that is taken is no reason not to start.
    is_chosen: bool,
}

impl Config {
    /// Reads the `[admin]` section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let is_chosen = section.has("listen");
        let config =
            Self { enabled: section.value("enabled", true), listen: section.value("listen", USUAL), is_chosen };
        section.finish();
        config
    }

    /// Opens the socket, if it is wanted. `server` says how connections are treated.
    ///
    /// # Errors
    /// [`ServeError::Admin`] if somebody chose an address that is taken or not ours.
    pub(crate) fn bind(&self, server: &ServerConfig) -> Result<Option<Server>, ServeError> {
        if !self.enabled {
            return Ok(None);
        }
        // Whoever scrapes has no certificate of ours to check; nothing here is secret.
        let config = ServerConfig { listen: self.listen, max_connections: CONNECTIONS, tls: None, ..server.clone() };
        match Server::bind(&config) {
            Ok(server) => {
                tracing::info!(event = event::ADMIN_LISTENING, "metrics are at http://{}/metrics", server.address());
                Ok(Some(server))
            }
            Err(ServeError::Listen { address, source }) if self.is_chosen => Err(ServeError::Admin { address, source }),
            Err(error) => {
                let address = self.listen;
                tracing::warn!(
                    event = event::ADMIN_UNAVAILABLE, %address, %error,
                    "there will be no metrics: choose another address with admin.listen or SABIR_ADMIN__LISTEN"
                );
                Ok(None)
            }
        }
    }
}

/// Serves it until `shutdown` asks it to stop.
pub(crate) async fn serve(server: Server, telemetry: Telemetry, readiness: Readiness, shutdown: Shutdown) {
    let service = ProbesLayer::new(readiness).layer(Metrics { telemetry });
    server.serve(service, shutdown).await;
}

/// Answers `/metrics`.
#[derive(Clone, Debug)]
struct Metrics {
    telemetry: Telemetry,
}

impl Service<Request<Incoming>> for Metrics {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        ready(Ok(match (request.uri().path(), request.method()) {
            ("/metrics", &Method::GET | &Method::HEAD) => {
                let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
                self.metrics(Form::wanted(accept.unwrap_or_default()))
            }
            ("/metrics", _) => {
                let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is allowed here\n");
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
            _ => text(StatusCode::NOT_FOUND, "here are /metrics, /livez and /readyz\n"),
        }))
    }
}

impl Metrics {
    fn metrics(&self, form: Form) -> Response<Body> {
        let mut response = text(StatusCode::OK, form.write(&self.telemetry.read()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
        response
    }
}

fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(text.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
