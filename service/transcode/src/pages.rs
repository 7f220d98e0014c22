//! Pages for people: what the server offers (`/`), Swagger UI (`/docs`), Redoc (`/redoc`), and the OpenAPI documents they
//! show. They are made when the server starts; all they need is in the program, and they load nothing from elsewhere. They
//! know the documents only, not what serves them.

mod assets;
mod home;
mod html;
mod policy;
mod resource;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tonic::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use self::home::Home;
use self::policy::Policies;
use self::resource::Resource;
use crate::openapi::Documents;

/// What a page may be asked by.
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Which pages there are, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What the paths of all pages begin with: empty, or such as `/help`, which makes `/help`, `/help/docs` and so on.
    /// Default: empty.
    pub prefix: String,
    /// Whether `/` lists what the server offers. Default: yes.
    pub home: bool,
    /// Whether there is Swagger UI, at `/docs`. Default: yes.
    pub docs: bool,
    /// Whether there is Redoc, at `/redoc`. Default: yes.
    pub redoc: bool,
    /// Other origins that Swagger UI may call, such as that of an OAuth2 server (`https://login.example.com`) or of another
    /// server in the document. Default: none, only the origin that the page came from.
    pub connect: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self { prefix: String::new(), home: true, docs: true, redoc: true, connect: Vec::new() }
    }
}

/// The pages cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// The OpenAPI document cannot be read.
    #[error("the OpenAPI document cannot be read: {0}")]
    Document(#[from] serde_json::Error),
    /// [`Config::prefix`] is not empty and not a plain path.
    #[error("\"{0}\" is no prefix for pages: write a path such as \"/help\", without a slash at its end")]
    Prefix(String),
    /// An element of [`Config::connect`] is no origin.
    #[error("\"{0}\" is no origin: write scheme, host and port only, such as \"https://login.example.com\"")]
    Origin(String),
    /// Compressing a page failed.
    #[error("a page cannot be compressed: {0}")]
    Compress(#[from] std::io::Error),
}

/// Puts the pages in front of a service. All other paths, and those that the API itself has, are passed on.
#[derive(Debug, Clone)]
pub struct PagesLayer {
    table: Arc<HashMap<String, Page>>,
}

/// What there is at one path.
#[derive(Debug)]
enum Page {
    /// One thing.
    One(Resource),
    /// The same as HTML and as JSON; `Accept` decides.
    Either { html: Resource, json: Resource },
    /// It is elsewhere, said relative to here, so that a proxy may put a path in front.
    Moved(HeaderValue),
}

impl PagesLayer {
    /// The pages about an API that these documents describe, such as those of
    /// [`Transcoder::openapi`](crate::Transcoder::openapi).
    ///
    /// # Errors
    /// When a document is not readable, or the configuration names something that is no path or no origin.
    pub fn new(documents: &Documents, config: &Config) -> Result<Self, PagesError> {
        let Documents { v3_1, v3_2 } = documents;
        let prefix = config.prefix.as_str();
        if !is_prefix(prefix) {
            return Err(PagesError::Prefix(prefix.to_owned()));
        }
        let home = Home::read(v3_1)?;
        let policies = Policies::new(&config.connect)?;
        let json = || HeaderValue::from_static("application/json");
        let mut pages: Vec<(String, Page)> = Vec::new();
        let mut add = |path: &str, page: Page| pages.push((format!("{prefix}{path}"), page));

        add("/openapi.json", Page::One(Resource::made(json(), &policies.none, v3_1)?));
        add("/openapi-3.2.json", Page::One(Resource::made(json(), &policies.none, v3_2)?));
        for asset in assets::of(config) {
            add(asset.path, Page::One(asset.resource(&policies.none)?));
        }
        let page = |html: &str, policy: &HeaderValue| {
            Resource::made(HeaderValue::from_static("text/html; charset=utf-8"), policy, html.as_bytes())
        };
        let title = html::escape(home.title());
        let named = |template: &str| html::fill(template, &[("title", &title)]);
        if config.docs {
            add("/docs", Page::One(page(&named(assets::DOCS), &policies.docs)?));
            add("/docs/", Page::Moved(HeaderValue::from_static("../docs")));
            add("/docs/oauth2-redirect.html", Page::One(page(assets::OAUTH2_REDIRECT, &policies.docs)?));
        }
        if config.redoc {
            add("/redoc", Page::One(page(&named(assets::REDOC), &policies.redoc)?));
            add("/redoc/", Page::Moved(HeaderValue::from_static("../redoc")));
        }
        if config.home {
            // Relative to the page, which without a prefix is a folder and with one is not.
            let name = prefix.rsplit('/').next().unwrap_or_default();
            let base = if name.is_empty() { String::new() } else { format!("{name}/") };
            let html = page(&home.html(config, &base), &policies.home)?;
            let json = Resource::made(json(), &policies.none, &home.json(config)?)?;
            add(if prefix.is_empty() { "/" } else { "" }, Page::Either { html, json });
            if let (false, Ok(up)) = (prefix.is_empty(), HeaderValue::from_str(&format!("../{name}"))) {
                add("/", Page::Moved(up));
            }
        }
        // What the API has at such a path is worth more than a page about it.
        let taken: BTreeSet<&str> = home.paths().collect();
        pages.retain(|(path, _)| !taken.contains(path.as_str()));
        Ok(Self { table: Arc::new(pages.into_iter().collect()) })
    }
}

/// Whether this may be a [`Config::prefix`]: empty, or segments that need no escaping.
pub fn is_prefix(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    text.is_empty() || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment))
}

impl PagesLayer {
    /// Whether there is a page at this path: for a layer in front that decides who may see it.
    pub fn has(&self, path: &str) -> bool {
        self.table.contains_key(path)
    }
}

impl<S> Layer<S> for PagesLayer {
    type Service = Pages<S>;

    fn layer(&self, inner: S) -> Pages<S> {
        Pages { table: self.table.clone(), inner }
    }
}

/// A service with the pages in front.
#[derive(Debug, Clone)]
pub struct Pages<S> {
    table: Arc<HashMap<String, Page>>,
    inner: S,
}

impl<S, B> Service<Request<B>> for Pages<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // A gRPC client that has the path wrong is answered in gRPC.
        let grpc =
            request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        match self.table.get(request.uri().path()) {
            Some(page) if !grpc => Either::Left(ready(Ok(page.answer(request.method(), request.headers())))),
            _ => Either::Right(self.inner.call(request)),
        }
    }
}

impl Page {
    fn answer(&self, verb: &Method, headers: &HeaderMap) -> Response<Body> {
        if verb != Method::GET && verb != Method::HEAD {
            return refuse(verb);
        }
        match self {
            Self::One(resource) => resource.answer(verb, headers),
            Self::Either { html, json } => {
                let chosen = if wants_json(headers) { json } else { html };
                let mut response = chosen.answer(verb, headers);
                response.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
                response
            }
            Self::Moved(target) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
                response.headers_mut().insert(LOCATION, target.clone());
                response
            }
        }
    }
}

/// The answer to a verb that no page knows.
fn refuse(verb: &Method) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if verb != Method::OPTIONS {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        *response.body_mut() = Body::new(http_body_util::Full::from("this is a page: GET it\n"));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    response.headers_mut().insert(ALLOW, ALLOWED);
    response
}

/// Whether JSON is asked for by name and HTML is not.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = |wanted: &str| {
        let values = headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut ranges = values.flat_map(|value| value.split(','));
        ranges.any(|range| range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted))
    };
    accepts("application/json") && !accepts("text/html")
}
