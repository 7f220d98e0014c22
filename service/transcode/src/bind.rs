//! The gate: the innermost layer, right in front of the gRPC services, that every protocol passes.
//!
//! A request that came as JSON arrives here routed but with its body unread, so that layers further out can refuse it
//! by its headers alone. Here the body is read, bound with path and query into message bytes, and sent on as gRPC. A
//! request that came as gRPC has its message checked. What passes is one well-formed message, whatever the protocol.

mod body;
pub(crate) mod coding;
pub(crate) mod compressed;
mod content;
mod fault;
mod grpc;
mod inspect;
mod mask;
mod merge;
pub(crate) mod messages;
mod multipart;
mod parameters;
mod rest;
mod upload;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower_layer::Layer;
use tower_service::Service;

pub(crate) use self::content::{Content, takes_forms};
use self::fault::Fault;
use crate::admission::{self, Gauge, Permit, Share};
use crate::json::ReadError;
use crate::options::ErrorShape;
use crate::route::{Method, Route};
use crate::status::{grpc_response, http_response};
use crate::transcoder::Shared;

/// A routed request whose body is still JSON; in its extensions on the way from the edge to the gate.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) route: Arc<Route>,
    /// As it came, undecoded.
    pub(crate) uri: Uri,
    /// What the headers say of the body.
    pub(crate) content: Content,
}

/// The RPC that was called in the end; in the extensions of the response on its way back to the edge.
#[derive(Clone)]
pub(crate) struct Called(pub(crate) Arc<Method>);

/// Puts the gate in front of gRPC services.
#[derive(Debug, Clone)]
pub struct BindLayer {
    shared: Arc<Shared>,
}

impl BindLayer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl<S> Layer<S> for BindLayer {
    type Service = Bind<S>;

    fn layer(&self, inner: S) -> Bind<S> {
        Bind { inner, shared: self.shared.clone() }
    }
}

/// The gate in front of `S`.
#[derive(Debug, Clone)]
pub struct Bind<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Bind<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let mut inner = self.inner.clone();
        std::mem::swap(&mut inner, &mut self.inner);
        let shared = self.shared.clone();
        Box::pin(async move {
            // Held until the service has answered: by then it has the message in a form of its own.
            let mut share = Share::new(&shared.in_flight);
            let admitted = match request.extensions_mut().remove::<Pending>() {
                Some(pending) => {
                    let bound = shared.bind(pending, &mut request, &mut share).await;
                    bound.map(|Bound { method, fault }| (Some(method), fault))
                }
                None => shared.check(&mut request, &mut share).await.map(|fault| (None, fault)),
            };
            let opened = admitted.and_then(|(called, fault)| {
                let method = called.as_ref().or_else(|| shared.routes.method(request.uri().path()));
                let permits = method.map_or(Ok([None, None]), |method| shared.open(method))?;
                Ok((called, fault, permits))
            });
            let (called, fault, permits) = match opened {
                Ok(opened) => opened,
                Err(refusal) => return Ok(refusal.into_grpc()),
            };
            let call = inner.call(request);
            let answer = match &fault {
                None => call.await?,
                Some(fault) => tokio::select! {
                    biased;
                    answer = call => answer?,
                    refusal = fault.gone() => return Ok(refusal.into_grpc()),
                },
            };
            let mut response = answer.map(|body| admission::hold(body, permits));
            if let Some(fault) = fault {
                response = fault.hold(response);
            }
            if let Some(method) = called {
                response.extensions_mut().insert(Called(method));
            }
            Ok(response)
        })
    }
}

/// What a request over HTTP has become.
struct Bound {
    /// The RPC that is called.
    method: Arc<Method>,
    /// Where a request stream's fault will stand.
    fault: Option<Fault>,
}

impl Shared {
    /// Permits for one more open call of the method.
    fn open(&self, method: &Method) -> Result<[Option<Permit>; 2], Refusal> {
        let take = |gauge: &Gauge, what: &str| {
            let full = || format!("too many {what} are open; the limit is {}", gauge.limit());
            gauge.take(1).ok_or_else(|| Status::resource_exhausted(full()))
        };
        let streams = method.client_streaming || method.server_streaming;
        Ok([
            method.open.as_ref().map(|gauge| take(gauge, "calls of this method")).transpose()?,
            streams.then(|| take(&self.streams, "streams")).transpose()?,
        ])
    }
}

/// Why the gate stays shut.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    /// The HTTP status, where the code alone says too little.
    pub(crate) http: Option<StatusCode>,
    /// What would be taken instead.
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(status: Status, http: StatusCode) -> Self {
        Self { status, http: Some(http), header: None }
    }

    pub(crate) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// The answer to whoever asks in gRPC, the edge among them.
    pub(crate) fn into_grpc(self) -> Response<Body> {
        let mut response = grpc_response(self.status, self.http);
        response.headers_mut().extend(self.header);
        response
    }

    /// The answer in HTTP.
    pub(crate) fn into_http(self, shape: ErrorShape) -> Response<Body> {
        let mut response = http_response(shape, &self.status, self.http);
        response.headers_mut().extend(self.header);
        response
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self { status, http: None, header: None }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        invalid(error.field_path(), error.message()).into()
    }
}

/// INVALID_ARGUMENT with the field path as a detail.
pub(crate) fn invalid(field: &str, problem: &str) -> Status {
    if field.is_empty() {
        return Status::invalid_argument(problem);
    }
    let details = ErrorDetails::with_bad_request_violation(field, problem);
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {problem}"), details)
}
