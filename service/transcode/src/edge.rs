//! The outer layer: tells the protocols apart and, for HTTP with JSON, finds the route before and renders the answer
//! after. What it wraps sees gRPC only.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method as Verb, Request, Response, StatusCode, Uri, Version};
use tonic::Status;
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower_layer::Layer;
use tower_service::Service;

use crate::accept;
use crate::bind::{Content, Pending};
use crate::compress;
use crate::deadline;
use crate::linger::Lingering;
use crate::metadata;
use crate::options::ErrorShape;
use crate::protocol::Protocol;
use crate::render;
use crate::route::Found;
use crate::status::{grpc_response, http_response};
use crate::transcoder::Shared;
use crate::watch::Watch;
use crate::websocket;

/// Wraps gRPC services so that they answer every protocol.
#[derive(Debug, Clone)]
pub struct TranscodeLayer {
    shared: Arc<Shared>,
}

impl TranscodeLayer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl<S> Layer<S> for TranscodeLayer {
    type Service = Transcode<S>;

    fn layer(&self, inner: S) -> Transcode<S> {
        Transcode { inner: Watch::new(inner, self.shared.clone()), shared: self.shared.clone() }
    }
}

/// Answers gRPC, gRPC-Web and HTTP with JSON from `S`, which answers gRPC.
#[derive(Debug, Clone)]
pub struct Transcode<S> {
    inner: Watch<S>,
    shared: Arc<Shared>,
}

impl<S, B> Service<Request<B>> for Transcode<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut request = request.map(Body::new);
        if request.version() < Version::HTTP_2 && !http_body::Body::is_end_stream(request.body()) {
            let waits = request.headers().contains_key(header::EXPECT);
            request = request.map(|body| Body::new(Lingering::new(body, waits)));
        }
        let protocol = classify(&request);
        request.extensions_mut().insert(protocol);
        let config = &self.shared.config;
        if let Err((http, status)) = check_head(&request, config.max_url, config.max_headers) {
            let response = match protocol {
                Protocol::Rest | Protocol::WebSocket => http_response(self.shared.error_shape, &status, Some(http)),
                _ => grpc_response(status, None),
            };
            return Box::pin(std::future::ready(Ok(response)));
        }
        if protocol == Protocol::WebSocket
            && let Some(route) = self.shared.routes.socket(request.uri().path()).cloned()
        {
            let inner = self.take();
            let shared = self.shared.clone();
            return Box::pin(async move { Ok(websocket::accept(&shared, &route, inner, request).await) });
        }
        if matches!(protocol, Protocol::Rest | Protocol::WebSocket) {
            request.extensions_mut().insert(Protocol::Rest);
            let inner = self.take();
            let shared = self.shared.clone();
            return Box::pin(async move { Ok(rest(&shared, inner, request).await) });
        }
        if protocol == Protocol::Grpc && request.version() < Version::HTTP_2 {
            let status = Status::invalid_argument("gRPC needs HTTP/2; over HTTP/1.1 use gRPC-Web or JSON");
            let response = http_response(self.shared.error_shape, &status, Some(StatusCode::BAD_REQUEST));
            return Box::pin(std::future::ready(Ok(response)));
        }
        let longest = self.shared.limits(request.uri().path()).max_timeout;
        if let Err(status) = set_deadline(&mut request, longest) {
            return Box::pin(std::future::ready(Ok(grpc_response(status, None))));
        }
        match protocol {
            Protocol::GrpcWeb => Box::pin(GrpcWebLayer::new().layer(self.take()).call(request)),
            _ => Box::pin(self.inner.call(request)),
        }
    }
}

impl<S: Clone> Transcode<S> {
    /// The inner service, which is ready; its clone waits for the next call.
    fn take(&mut self) -> Watch<S> {
        let clone = self.inner.clone();
        std::mem::replace(&mut self.inner, clone)
    }
}

/// The protocol, by content type; a request without one may ask for a socket.
fn classify(request: &Request<Body>) -> Protocol {
    let Some(content_type) = request.headers().get(header::CONTENT_TYPE) else {
        return if websocket::is_wanted(request) { Protocol::WebSocket } else { Protocol::Rest };
    };
    let Some(rest) = content_type.as_bytes().strip_prefix(b"application/grpc") else {
        return Protocol::Rest;
    };
    match rest.first() {
        None | Some(b'+' | b';' | b' ') => Protocol::Grpc,
        _ if rest.starts_with(b"-web") => Protocol::GrpcWeb,
        _ => Protocol::Rest,
    }
}

/// Refuses what is too long before anything looks at it.
fn check_head(request: &Request<Body>, max_url: usize, max_headers: usize) -> Result<(), (StatusCode, Status)> {
    let url = request.uri().path_and_query().map_or(0, |url| url.as_str().len());
    if url > max_url {
        let status =
            Status::invalid_argument(format!("the path with query is longer than the limit of {max_url} bytes"));
        return Err((StatusCode::URI_TOO_LONG, status));
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > max_headers {
        let status =
            Status::resource_exhausted(format!("the headers are larger than the limit of {max_headers} bytes"));
        return Err((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, status));
    }
    Ok(())
}

/// Puts the deadline that the headers ask for into the request's extensions.
pub(crate) fn set_deadline(request: &mut Request<Body>, longest: Option<Duration>) -> Result<(), Status> {
    if let Some(deadline) = deadline::of(request.headers(), longest)? {
        request.extensions_mut().insert(deadline);
    }
    Ok(())
}

/// Serves one HTTP request with JSON.
async fn rest<S>(shared: &Arc<Shared>, mut inner: Watch<S>, mut request: Request<Body>) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
    S::Future: Send + 'static,
{
    let head = request.method() == Verb::HEAD;
    let mut found = shared.routes.find(request.method(), request.uri().path());
    if head && !matches!(found, Found::Route(_)) {
        found = shared.routes.find(&Verb::GET, request.uri().path());
    }
    let route = match found {
        Found::Route(route) => route.clone(),
        Found::WrongVerb(allowed) => {
            return wrong_verb(shared.error_shape, request.method(), allowed);
        }
        Found::Nothing => return nothing(shared.error_shape, &request),
    };
    let shape = route.method.error_shape;
    if let Err(status) = set_deadline(&mut request, route.method.limits.max_timeout) {
        return http_response(shape, &status, None);
    }
    let content = match Content::of(shared, &route, &request) {
        Ok(content) => content,
        Err(refusal) => return refusal.into_http(shape),
    };
    let uri = std::mem::replace(request.uri_mut(), Uri::from(route.method.path.clone()));
    *request.method_mut() = Verb::POST;
    *request.version_mut() = Version::HTTP_2;
    let wanted = accept::wanted(request.headers(), &route.method, route.twin.is_some());
    let wanted = accept::Wanted { head, ..wanted };
    let accepted = request.headers_mut().remove(header::ACCEPT_ENCODING);
    if let Err(status) = metadata::of_request(request.headers_mut(), shared.config.request_headers.as_ref()) {
        return http_response(shape, &status, None);
    }
    request.extensions_mut().insert(Pending { route: route.clone(), uri, content });
    let answer = match inner.call(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let response = render::answer(shared, &route, wanted, answer).await;
    let mut response = compress::answer(accepted, response, shared.config.compress_from).await;
    if head {
        without_body(&mut response);
    }
    response
}

/// What GET would be answered with, but for the body; its length is told where it is known (RFC 9110, section 9.3.2).
/// Dropping the body ends the call.
fn without_body(response: &mut Response<Body>) {
    if let Some(length) = http_body::Body::size_hint(response.body()).exact() {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = Body::empty();
}

fn wrong_verb(shape: ErrorShape, verb: &Verb, mut allowed: Vec<Verb>) -> Response<Body> {
    if allowed.contains(&Verb::GET) && !allowed.contains(&Verb::HEAD) {
        allowed.push(Verb::HEAD);
    }
    allowed.push(Verb::OPTIONS);
    let names = allowed.iter().map(Verb::as_str).collect::<Vec<_>>().join(", ");
    let mut response = if verb == Verb::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        let problem = format!("{verb} is not allowed here; allowed: {names}");
        http_response(shape, &Status::unimplemented(problem), Some(StatusCode::METHOD_NOT_ALLOWED))
    };
    if let Ok(names) = HeaderValue::from_str(&names) {
        response.headers_mut().insert(header::ALLOW, names);
    }
    response
}

fn nothing(shape: ErrorShape, request: &Request<Body>) -> Response<Body> {
    let path: String = request.uri().path().chars().take(200).collect();
    http_response(shape, &Status::not_found(format!("there is nothing at {} {path}", request.method())), None)
}
