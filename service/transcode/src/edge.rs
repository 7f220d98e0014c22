//! The outer layer: tells the protocols apart and, for HTTP with JSON, finds the route before and renders the answer
//! after. What it wraps sees gRPC only.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method as Verb, Request, Response, StatusCode, Uri, Version};
use tonic::Status;
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower_layer::Layer;
use tower_service::Service;

use crate::bind::{Content, Pending};
use crate::deadline::{self, Timed};
use crate::options::ErrorShape;
use crate::protocol::Protocol;
use crate::render;
use crate::route::Found;
use crate::status::{grpc_response, http_response};
use crate::transcoder::Shared;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

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
        Transcode { inner: Timed::new(inner), shared: self.shared.clone() }
    }
}

/// Answers gRPC, gRPC-Web and HTTP with JSON from `S`, which answers gRPC.
#[derive(Debug, Clone)]
pub struct Transcode<S> {
    inner: Timed<S>,
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
        let protocol = classify(request.headers());
        request.extensions_mut().insert(protocol);
        let deadline = deadline::of(request.headers(), self.shared.config.max_timeout);
        if let Ok(Some(deadline)) = deadline {
            request.extensions_mut().insert(deadline);
        }
        match (protocol, deadline.err()) {
            (Protocol::Rest, bad_deadline) => {
                let inner = self.take();
                let shared = self.shared.clone();
                Box::pin(async move { Ok(rest(&shared, inner, request, bad_deadline).await) })
            }
            (Protocol::Grpc, _) if request.version() < Version::HTTP_2 => {
                let status = Status::invalid_argument("gRPC needs HTTP/2; over HTTP/1.1 use gRPC-Web or JSON");
                let response = http_response(self.shared.error_shape, &status, Some(StatusCode::BAD_REQUEST));
                Box::pin(std::future::ready(Ok(response)))
            }
            (_, Some(status)) => Box::pin(std::future::ready(Ok(grpc_response(status, None)))),
            (Protocol::Grpc, None) => Box::pin(self.inner.call(request)),
            (Protocol::GrpcWeb, None) => Box::pin(GrpcWebLayer::new().layer(self.take()).call(request)),
        }
    }
}

impl<S: Clone> Transcode<S> {
    /// The inner service, which is ready; its clone waits for the next call.
    fn take(&mut self) -> Timed<S> {
        let clone = self.inner.clone();
        std::mem::replace(&mut self.inner, clone)
    }
}

/// The protocol, by content type.
fn classify(headers: &HeaderMap) -> Protocol {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return Protocol::Rest;
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

/// Serves one HTTP request with JSON.
async fn rest<S>(
    shared: &Arc<Shared>,
    mut inner: Timed<S>,
    mut request: Request<Body>,
    bad_deadline: Option<Status>,
) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
    S::Future: Send + 'static,
{
    let head = request.method() == Verb::HEAD;
    let verb = if head { &Verb::GET } else { request.method() };
    let route = match shared.routes.find(verb, request.uri().path()) {
        Found::Route(route) => route.clone(),
        Found::WrongVerb(allowed) => {
            return wrong_verb(shared.error_shape, request.method(), allowed);
        }
        Found::Nothing => return nothing(shared.error_shape, &request),
    };
    let shape = route.method.error_shape;
    if let Some(status) = bad_deadline {
        return http_response(shape, &status, None);
    }
    let content = match Content::of(shared, &route, &request) {
        Ok(content) => content,
        Err(refusal) => return refusal.into_http(shape),
    };
    let uri = std::mem::replace(request.uri_mut(), Uri::from(route.method.path.clone()));
    *request.method_mut() = Verb::POST;
    *request.version_mut() = Version::HTTP_2;
    to_metadata(request.headers_mut());
    request.extensions_mut().insert(Pending { route: route.clone(), uri, content });
    let answer = match inner.call(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let mut response = render::answer(shared, &route, answer).await;
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

/// Turns the headers of an HTTP request into the metadata of a gRPC request: what belongs to the connection or to the
/// JSON body goes, everything else stays.
fn to_metadata(headers: &mut HeaderMap) {
    for name in [
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::HOST,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("grpc-accept-encoding"),
        HeaderName::from_static("grpc-encoding"),
    ] {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
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

/// Whether a gRPC answer is only a status.
pub(crate) fn lone_status(headers: &HeaderMap) -> Option<Status> {
    headers.contains_key(GRPC_STATUS).then(|| Status::from_header_map(headers)).flatten()
}
