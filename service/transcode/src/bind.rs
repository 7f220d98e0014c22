//! The gate: the innermost layer, right in front of the gRPC services, that every protocol passes.
//!
//! A request that came as JSON arrives here routed but with its body unread, so that layers further out can refuse it
//! by its headers alone. Here the body is read, bound with path and query into message bytes, and sent on as gRPC. A
//! request that came as gRPC has its message checked. What passes is one well-formed message, whatever the protocol.

mod query;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower_layer::Layer;
use tower_service::Service;

use crate::frame;
use crate::json::{Mode, ReadError};
use crate::route::{BodyPart, Method, Route};
use crate::status::grpc_response;
use crate::transcoder::Shared;

/// A routed request whose body is still JSON; in its extensions on the way from the edge to the gate.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) route: Arc<Route>,
    /// As it came, undecoded.
    pub(crate) uri: Uri,
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
            let admitted = match request.extensions_mut().remove::<Pending>() {
                Some(pending) => shared.bind(pending, &mut request).await.map(Some),
                None => shared.check(&mut request).await.map(|()| None),
            };
            let called = match admitted {
                Ok(called) => called,
                Err(refusal) => return Ok(grpc_response(refusal.status, refusal.http)),
            };
            let mut response = inner.call(request).await?;
            if let Some(method) = called {
                response.extensions_mut().insert(Called(method));
            }
            Ok(response)
        })
    }
}

/// Why the gate stays shut.
struct Refusal {
    status: Status,
    /// The HTTP status, where the code alone says too little.
    http: Option<StatusCode>,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self { status, http: None }
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

impl Shared {
    /// Turns a routed JSON request into a gRPC request and says which RPC it calls.
    async fn bind(&self, pending: Pending, request: &mut Request<Body>) -> Result<Arc<Method>, Refusal> {
        let Pending { route, uri } = pending;
        let body = std::mem::take(request.body_mut());
        let json = match route.body {
            BodyPart::None => Bytes::new(),
            _ => read_body(body, self.config.max_body, self.config.body_idle_timeout).await?,
        };
        let input = route.method.input;
        let mut message = frame::start(json.len());
        match route.body {
            _ if json.is_empty() => {}
            BodyPart::Whole => self.plans.read(input, &json, Mode::Strict, &mut message)?,
            BodyPart::Field(field) => self.plans.read_field(input, field, &json, &mut message)?,
            BodyPart::None => {}
        }
        if let Some(query) = uri.query()
            && route.body != BodyPart::Whole
        {
            query::bind(self, &route, query, &mut message)?;
        }
        let captures = route
            .captures(uri.path(), self.config.fully_decode_reserved_expansion)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        for (path, text) in captures {
            query::put_final(&self.plans, path, &text, &mut message, frame::HEADER)?;
        }
        let method = match &route.twin {
            Some((field, twin)) if self.plans.is_true(input, *field, &message[frame::HEADER..]) => twin,
            _ => &route.method,
        };
        let message = frame::seal(message).ok_or_else(|| too_large(u32::MAX as usize))?;
        *request.body_mut() = Body::new(Full::from(message));
        *request.uri_mut() = Uri::from(method.path.clone());
        Ok(method.clone())
    }

    /// Checks the one message of a gRPC request; requests that stream are left to the service.
    async fn check(&self, request: &mut Request<Body>) -> Result<(), Refusal> {
        let Some(method) = self.routes.method(request.uri().path()) else {
            return Ok(());
        };
        if method.client_streaming {
            return Ok(());
        }
        let limit = self.config.max_body;
        let body = std::mem::take(request.body_mut());
        let bytes = read_body(body, limit.saturating_add(frame::HEADER), self.config.body_idle_timeout).await?;
        let Some(header) = bytes.first_chunk::<{ frame::HEADER }>() else {
            let problem = if bytes.is_empty() { "the request holds no message" } else { "the message is cut short" };
            let code = if bytes.is_empty() { Code::Unimplemented } else { Code::InvalidArgument };
            return Err(Status::new(code, problem).into());
        };
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if length > limit {
            return Err(too_large(limit));
        }
        match bytes.len().cmp(&(frame::HEADER + length)) {
            std::cmp::Ordering::Less => {
                return Err(Status::invalid_argument("the message is cut short").into());
            }
            std::cmp::Ordering::Greater => {
                return Err(Status::unimplemented("the request holds more than one message").into());
            }
            std::cmp::Ordering::Equal => {}
        }
        // A compressed message is refused by the service unless it has compression switched on.
        if header[0] == 0 {
            self.plans.check(method.input, &bytes[frame::HEADER..])?;
        }
        *request.body_mut() = Body::new(Full::from(bytes));
        Ok(())
    }
}

fn too_large(limit: usize) -> Refusal {
    let status = Status::resource_exhausted(format!("the body is larger than the limit of {limit} bytes"));
    Refusal { status, http: Some(StatusCode::PAYLOAD_TOO_LARGE) }
}

/// Reads a body to its end: no more than `limit` bytes, no pause longer than `idle`.
async fn read_body(mut body: Body, limit: usize, idle: Duration) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(idle, body.frame()).await.map_err(|_| Refusal {
            status: Status::deadline_exceeded("the body did not arrive in time"),
            http: Some(StatusCode::REQUEST_TIMEOUT),
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Status::cancelled("the body broke off"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len() + all.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
