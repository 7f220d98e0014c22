//! Keeps the pages about the API from those who may not see them, where the configuration says so.
//!
//! A browser that opens a page sends no header of ours, but it can ask for a password: an API key or a token is taken as
//! one, with any name. It holds for the pages alone; calls do not take it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::Either;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode};
use tonic::body::Body;
use tower::{Layer, Service};
use transcode::pages::PagesLayer;

use super::credential::parameter;
use super::{Authenticator, Credential, Identity, Refusal};

/// Puts authentication in front of the pages.
#[derive(Clone, Debug)]
pub(crate) struct DocsLayer {
    authenticator: Arc<Authenticator>,
    pages: PagesLayer,
}

impl DocsLayer {
    /// Guards what `pages` answer.
    pub(crate) fn new(authenticator: Arc<Authenticator>, pages: PagesLayer) -> Self {
        Self { authenticator, pages }
    }
}

impl<S> Layer<S> for DocsLayer {
    type Service = Docs<S>;

    fn layer(&self, inner: S) -> Docs<S> {
        Docs { inner, guard: self.clone() }
    }
}

/// A service whose pages are guarded.
#[derive(Clone, Debug)]
pub(crate) struct Docs<S> {
    inner: S,
    guard: DocsLayer,
}

type Answer = Result<Response<Body>, Infallible>;

impl<S, B> Service<Request<B>> for Docs<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Answer> + Send>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !self.guard.pages.has(request.uri().path()) {
            return Either::Left(self.inner.call(request));
        }
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let authenticator = Arc::clone(&self.guard.authenticator);
        let (head, body) = request.into_parts();
        Either::Right(Box::pin(async move {
            match check(&authenticator, &head.headers, &head.extensions).await {
                Ok(()) => inner.call(Request::from_parts(head, body)).await,
                Err(refusal) => Ok(refused(&refusal)),
            }
        }))
    }
}

async fn check(authenticator: &Authenticator, headers: &HeaderMap, extensions: &Extensions) -> Result<(), Refusal> {
    let password = headers.get(AUTHORIZATION).and_then(password);
    let credential = match &password {
        Some(password) => Some(Credential::classify(password)),
        None => Credential::shown(headers, extensions)?,
    };
    let caller = authenticator.caller(credential).await?;
    if caller.identity == Identity::Open { Err(Refusal::Missing) } else { Ok(()) }
}

/// The password of Basic authentication (RFC 7617).
fn password(value: &HeaderValue) -> Option<String> {
    let pair = String::from_utf8(BASE64.decode(parameter(value, "basic")?).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(format!("{refusal}\n"))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if *refusal == Refusal::Unavailable {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    } else {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"sabir: an API key as the password\""));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}
