//! gRPC services by name: finds the one a request is for and hands it over.
//!
//! [`tonic::service::Routes`] does the same through a web framework's router, which matches the path a second time and
//! wraps every body twice more; each of those is paid for with every message of a stream. Knows nothing of HTTP routes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// Calls a copy of one service.
type Call = Box<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// A set of gRPC services. Clones share it.
#[derive(Clone, Default)]
pub struct Services {
    by_name: Arc<HashMap<&'static str, Call>>,
}

impl Services {
    /// Nothing yet.
    pub fn builder() -> ServicesBuilder {
        ServicesBuilder::default()
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.by_name.keys()).finish()
    }
}

/// Gathers services for [`Services`].
#[derive(Default)]
pub struct ServicesBuilder {
    by_name: HashMap<&'static str, Call>,
}

impl std::fmt::Debug for ServicesBuilder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl ServicesBuilder {
    /// Adds a service, such as a server that tonic generated. Of two services with one name the later counts.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: NamedService + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let call = move |request| -> Answer { Box::pin(service.clone().call(request)) };
        self.by_name.insert(S::NAME, Box::new(call));
        self
    }

    /// The set.
    pub fn build(self) -> Services {
        Services { by_name: Arc::new(self.by_name) }
    }
}

impl Service<Request<Body>> for Services {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    /// Generated servers are always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let name = request.uri().path().strip_prefix('/').and_then(|path| path.split_once('/')).map(|(name, _)| name);
        match name.and_then(|name| self.by_name.get(name)) {
            Some(call) => call(request),
            None => {
                let path: String = request.uri().path().chars().take(200).collect();
                let status = Status::unimplemented(format!("there is no RPC {path}"));
                Box::pin(std::future::ready(Ok(status.into_http())))
            }
        }
    }
}
