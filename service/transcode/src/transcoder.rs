//! The transcoder of one descriptor set: built once, shared by its layers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use prost_reflect::DescriptorPool;
use tonic::body::Body;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::admission::Gauge;
use crate::bind::{Bind, BindLayer};
use crate::cors::Origins;
use crate::edge::{Transcode, TranscodeLayer};
use crate::json::{PlanError, Plans};
use crate::limits::Limits;
use crate::metadata::HeaderFilter;
use crate::openapi::{self, About, Documents};
use crate::options::ErrorShape;
use crate::route::{Access, Found, RouteError, RouteInfo, Routes, Sources};
use crate::validate::{Engine, RuleError, Validator};
use crate::websocket::Sockets;

/// What to do with a query parameter that is no field of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownQuery {
    /// Answer 400.
    #[default]
    Reject,
    /// Take no notice.
    Ignore,
}

/// Limits and policies.
#[derive(Debug, Clone)]
pub struct Config {
    /// The limits of every method; single methods may have their own.
    pub limits: Limits,
    /// The longest path with query, in bytes. Beyond: 414, INVALID_ARGUMENT. Default: 8 KiB.
    pub max_url: usize,
    /// The most that names and values of a request's headers may have together, in bytes. Beyond: 431,
    /// RESOURCE_EXHAUSTED. Default: 32 KiB.
    pub max_headers: usize,
    /// How many calls with a streamed request or answer may be open at once. Beyond: 429, RESOURCE_EXHAUSTED.
    /// Default: 65,536.
    pub max_open_streams: usize,
    /// How many bytes of request bodies may be in memory at once, over all calls. Beyond: 429, RESOURCE_EXHAUSTED.
    /// Default: 256 MiB.
    pub max_in_flight: usize,
    /// From how many bytes on an answer that is no stream is compressed, for clients that take it; never where `None`.
    /// Default: 1 KiB.
    pub compress_from: Option<usize>,
    /// Which request headers become metadata. Default: all that are not about the connection or the body's encoding.
    pub request_headers: Option<HeaderFilter>,
    /// How long a stream of events may be silent before a comment is sent to keep proxies from cutting it, and how often
    /// a WebSocket is pinged; one that has not answered by the next ping is dropped.
    /// Default: 15 s.
    pub keep_alive: Duration,
    /// Whether the trailing metadata of a unary answer is also sent as headers, each name with `trailer-` in front, for
    /// clients that cannot read trailers, browsers among them. Those that send `TE: trailers` get them as such either way.
    /// Default: no.
    pub trailers_as_headers: bool,
    /// How long a WebSocket may be open without a message in either direction: it then ends with DEADLINE_EXCEEDED.
    /// Pings do not count. Default: 5 min.
    pub socket_idle_timeout: Duration,
    /// Which web pages may open WebSockets, beside those of the server's own host. Pages of other origins get 403: a
    /// browser would let them, with the server's cookies. Default: pages served from this machine.
    pub socket_origins: Origins,
    /// Whether `%2F` in a variable of several segments (`{name=**}`) is decoded too, so that clients which escape a whole
    /// name are understood; `google.api.Http` calls it by this name. Default: no, as google.api.http has it.
    pub fully_decode_reserved_expansion: bool,
    /// What to do with parameters, in a query or a form, that are no field of the request. Default: reject.
    pub unknown_query: UnknownQuery,
    /// Whether enum names are read whatever their case, in paths, queries and bodies. Names that differ in case alone
    /// are still told apart. Default: no, as canonical ProtoJSON has it.
    pub enum_case_insensitive: bool,
    /// Parameters of these names are ignored where they are no field of the request, whatever [`Config::unknown_query`]
    /// says. Default: `$alt`, `alt`, `key` and `prettyPrint`, which clients of Google's APIs send to any server.
    pub ignored_query: Vec<String>,
    /// How many parameters a query and a form, or the parts of one, may hold altogether: more are 400. Default: 200.
    pub max_parameters: usize,
    /// Whether a body may be a form too (`application/x-www-form-urlencoded`, `multipart/form-data`) where it is a
    /// message. A web page of any origin can make a browser send one without asking first: switch it off where cookies
    /// alone tell who is calling. `(transcode.v1.method).accept_forms` says otherwise for one method. Default: yes.
    pub accept_forms: bool,
    /// Whether the one field mask of a PATCH request that does not give it is inferred from the members of its body.
    /// Default: yes.
    pub infer_update_mask: bool,
    /// Whether an RPC without an HTTP rule is served at `POST /package.Service/Method`, its whole message as the body.
    /// Default: yes.
    pub default_routes: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_url: 8 << 10,
            max_headers: 32 << 10,
            max_open_streams: 65_536,
            max_in_flight: 256 << 20,
            compress_from: Some(1 << 10),
            request_headers: None,
            keep_alive: Duration::from_secs(15),
            trailers_as_headers: false,
            socket_idle_timeout: Duration::from_secs(300),
            socket_origins: Origins::default(),
            fully_decode_reserved_expansion: false,
            unknown_query: UnknownQuery::default(),
            enum_case_insensitive: false,
            ignored_query: ["$alt", "alt", "key", "prettyPrint"].map(str::to_owned).into(),
            max_parameters: 200,
            accept_forms: true,
            infer_update_mask: true,
            default_routes: true,
        }
    }
}

/// A transcoder cannot be built from this descriptor set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The descriptor set is not readable, or JSON options contradict each other.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A validation rule does not fit its field, or cannot be enforced.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// An HTTP rule is wrong, or two of them clash.
    #[error(transparent)]
    Route(#[from] RouteError),
}

/// Serves the RPCs of a descriptor set over gRPC, gRPC-Web and HTTP with JSON.
#[derive(Debug, Clone)]
pub struct Transcoder {
    pub(crate) shared: Arc<Shared>,
}

/// What the layers share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What the documents are made of.
    pub(crate) pool: DescriptorPool,
    pub(crate) plans: Arc<Plans>,
    pub(crate) routes: Routes,
    pub(crate) validator: Arc<Validator>,
    pub(crate) config: Config,
    /// What a request that matches no route is answered in.
    pub(crate) error_shape: ErrorShape,
    /// The streams that are open.
    pub(crate) streams: Gauge,
    /// The bytes of request bodies that are in memory.
    pub(crate) in_flight: Gauge,
    /// The WebSockets that are open.
    pub(crate) sockets: Sockets,
}

impl Shared {
    /// The limits of the RPC on this path, such as `/package.Service/Method`.
    pub(crate) fn limits(&self, path: &str) -> &Limits {
        self.routes.method(path).map_or(&self.config.limits, |method| &method.limits)
    }
}

impl Transcoder {
    /// A transcoder with the default limits.
    ///
    /// `descriptor_set` is an encoded `google.protobuf.FileDescriptorSet` with imports, as protoc and protox write it.
    ///
    /// # Errors
    /// When the set is not readable, options contradict each other, or HTTP rules clash; the error names the element.
    pub fn new(descriptor_set: &[u8]) -> Result<Self, BuildError> {
        Self::with_config(descriptor_set, Config::default())
    }

    /// A transcoder with limits and policies of one's own.
    ///
    /// # Errors
    /// As [`Transcoder::new`].
    pub fn with_config(descriptor_set: &[u8], config: Config) -> Result<Self, BuildError> {
        Self::builder(descriptor_set).config(config).build()
    }

    /// Everything that can be chosen, one by one.
    pub fn builder(descriptor_set: &[u8]) -> TranscoderBuilder<'_> {
        TranscoderBuilder {
            descriptor_set,
            config: Config::default(),
            sources: Sources::default(),
            limits: Vec::new(),
            engine: None,
        }
    }

    /// What holds requests to their rules, for messages that a service makes of others.
    pub fn validator(&self) -> Arc<Validator> {
        Arc::clone(&self.shared.validator)
    }

    /// The JSON plans of the descriptor set.
    pub fn plans(&self) -> Arc<Plans> {
        self.shared.plans.clone()
    }

    /// Every HTTP route, in the order of the descriptors.
    pub fn routes(&self) -> impl Iterator<Item = RouteInfo<'_>> {
        self.shared.routes.all().iter().map(|route| route.info())
    }

    /// The route that a request with this verb and this path (as it is on the wire, still escaped) takes, and so which RPC
    /// it calls: for what decides before the call is made, such as a rate limit or an access rule of one RPC.
    pub fn route(&self, verb: &http::Method, path: &str) -> Option<RouteInfo<'_>> {
        match self.shared.routes.find(verb, path) {
            Found::Route(route) => Some(route.info()),
            Found::WrongVerb(_) | Found::Nothing => None,
        }
    }

    /// Who may call each RPC, as `(transcode.v1.method).openapi` declares it: for a layer between [`Transcoder::edge`] and
    /// [`Transcoder::gate`] that enforces what the documents say. The order is not fixed.
    ///
    /// An RPC and its streaming twin are always open to the same callers.
    pub fn access(&self) -> impl Iterator<Item = Access<'_>> {
        self.shared.routes.access()
    }

    /// The OpenAPI documents of what is served, made anew with each call.
    pub fn openapi(&self, about: &About) -> Documents {
        openapi::documents(&self.shared, about)
    }

    /// The WebSockets that are open: a graceful shutdown waits for them, and ends them, through this.
    pub fn sockets(&self) -> Sockets {
        self.shared.sockets.clone()
    }

    /// The outer layer: tells the protocols apart, finds the route, and renders the answer.
    ///
    /// What it wraps sees gRPC requests and answers in gRPC. Layers between this one and [`Transcoder::gate`] see the
    /// request before its body is read.
    pub fn edge(&self) -> TranscodeLayer {
        TranscodeLayer::new(self.shared.clone())
    }

    /// The innermost layer, right in front of the gRPC services: reads and checks the message.
    pub fn gate(&self) -> BindLayer {
        BindLayer::new(self.shared.clone())
    }

    /// Both layers around `services`, such as [`Services`](crate::Services) or tonic's `Routes`, with nothing in between.
    pub fn serve<S>(&self, services: S) -> Transcode<Bind<S>>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        self.edge().layer(self.gate().layer(services))
    }
}

/// Chooses what a [`Transcoder`] does before it is built.
#[must_use]
pub struct TranscoderBuilder<'a> {
    descriptor_set: &'a [u8],
    config: Config,
    sources: Sources,
    limits: Vec<(String, ChangeLimits<'a>)>,
    engine: Option<Arc<dyn Engine>>,
}

type ChangeLimits<'a> = Box<dyn FnOnce(&mut Limits) + 'a>;

impl std::fmt::Debug for TranscoderBuilder<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("TranscoderBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<'a> TranscoderBuilder<'a> {
    /// Limits and policies.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// HTTP rules that take the place of annotations.
    #[cfg(feature = "service-config")]
    pub fn service_config(mut self, rules: crate::ServiceConfig) -> Self {
        self.sources.service_config = rules;
        self
    }

    /// Changes the limits of one method, `package.Service/Method`, over what its options say.
    pub fn limits(mut self, method: impl Into<String>, change: impl FnOnce(&mut Limits) + 'a) -> Self {
        self.limits.push((method.into(), Box::new(change)));
        self
    }

    /// What holds the validation rules that are expressions. Default: with the feature `protovalidate`, the crate of that
    /// name; else nothing, and such a rule is an error.
    pub fn validation_engine(mut self, engine: Arc<dyn Engine>) -> Self {
        self.engine = Some(engine);
        self
    }

    /// The transcoder.
    ///
    /// # Errors
    /// When the set is not readable, options contradict each other, HTTP rules clash, or a validation rule does not fit
    /// its field or cannot be enforced; the error names the element.
    pub fn build(self) -> Result<Transcoder, BuildError> {
        #[cfg_attr(not(feature = "service-config"), expect(unused_mut, reason = "only a service config changes it"))]
        let Self { descriptor_set, mut config, mut sources, limits, engine } = self;
        let pool = DescriptorPool::decode(descriptor_set)
            .map_err(|error| PlanError::new("descriptor set", &error.to_string()))?;
        let plans = Arc::new(Plans::from_pool(&pool, config.enum_case_insensitive)?);
        sources.default_routes = config.default_routes;
        #[cfg(feature = "service-config")]
        if let Some(fully) = sources.service_config.fully_decode_reserved_expansion() {
            config.fully_decode_reserved_expansion = fully;
        }
        sources.limits = config.limits.clone();
        sources.overrides = limits
            .into_iter()
            .map(|(name, change)| {
                let mut limits = method_limits(&pool, &name, &config.limits);
                change(&mut limits);
                (name, limits)
            })
            .collect();
        let routes = Routes::compile(&pool, &plans, &sources)?;
        let error_shape = routes.error_shape();
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let requests = methods.filter_map(|method| plans.message(method.input().full_name())).collect::<Vec<_>>();
        let validator = Validator::compile(&pool, plans.clone(), requests.into_iter(), engine)?;
        let (streams, in_flight) = (Gauge::new(config.max_open_streams), Gauge::new(config.max_in_flight));
        let sockets = Sockets::default();
        let validator = Arc::new(validator);
        let shared = Shared { pool, plans, routes, validator, config, error_shape, streams, in_flight, sockets };
        Ok(Transcoder { shared: Arc::new(shared) })
    }
}

/// The limits of a method as its options have them.
fn method_limits(pool: &DescriptorPool, name: &str, general: &Limits) -> Limits {
    let method = name.split_once('/').and_then(|(service, method)| {
        pool.get_service_by_name(service)?.methods().find(|descriptor| descriptor.name() == method)
    });
    method.map_or_else(|| general.clone(), |method| general.of(&method))
}
