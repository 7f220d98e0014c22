//! The whole service, put together. This is the only file that knows every component.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use depends::Dependencies;
use http::{HeaderName, Request, Response};
use hyper::body::Incoming;
use sabir_proto::FILE_DESCRIPTOR_SET;
use sabir_proto::v1::audit_log_server::AuditLogServer;
use sabir_proto::v1::auth_server::AuthServer;
use sabir_proto::v1::budgets_server::BudgetsServer;
use sabir_proto::v1::chat_server::ChatServer;
use sabir_proto::v1::clients_server::ClientsServer;
use sabir_proto::v1::compose_server::ComposeServer;
use sabir_proto::v1::embeddings_server::EmbeddingsServer;
use sabir_proto::v1::extraction_server::ExtractionServer;
use sabir_proto::v1::keys_server::KeysServer;
use sabir_proto::v1::limits_server::LimitsServer;
use sabir_proto::v1::messages_server::MessagesServer;
use sabir_proto::v1::models_server::ModelsServer;
use sabir_proto::v1::prices_server::PricesServer;
use sabir_proto::v1::request_log_server::RequestLogServer;
use sabir_proto::v1::responses_server::ResponsesServer;
use sabir_proto::v1::teams_server::TeamsServer;
use sabir_proto::v1::usage_server::UsageServer;
use sabir_proto::v1::users_server::UsersServer;
use sabir_store::{ChangeWatch, Store, StoreError, UsageWriter};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::{Service, ServiceBuilder};
use transcode::cors::CorsLayer;
use transcode::openapi::Documents;
use transcode::pages::{PagesError, PagesLayer};
use transcode::{Services, Sockets, Transcoder, UnknownQuery};

use crate::about::about;
use crate::api::{
    AuditLogApi, AuthApi, BudgetsApi, ChatApi, ClientsApi, ComposeApi, EmbeddingsApi, ExtractionApi, KeysApi,
    LimitsApi, MessagesApi, ModelsApi, PricesApi, RequestLogApi, ResponsesApi, TeamsApi, UsageApi, UsersApi,
};
use crate::auth::{
    Access, AccessError, AuthLayer, Authenticator, Bearers, DocsLayer, Grants, Issuers, KeyMint, Mode, Passwords,
    Policy, TokensError, has_administrator,
};
use crate::banner;
use crate::budget::{Budgets, Prices, PricesError};
use crate::cache::{AGE, CACHE, Cache, SIMILARITY};
use crate::capture::CaptureLog;
use crate::chat::{ATTEMPT, BUDGET_REMAINING, BUDGET_RESET, BUDGET_WARNING, Chat, DROPPED, MODEL_USED, REQUEST_ID};
use crate::compose::Rules;
use crate::config::Config;
use crate::dependencies::Database;
use crate::guard::Guard;
use crate::limit::{self, LimitLayer, Limiter};
use crate::live::Live;
use crate::overload::{OverloadLayer, Places};
use crate::reload::{self, Reload};
use crate::retention::Upkeep;
use crate::server::{Cores, Ending, HostsLayer, ProbesLayer, Readiness, ServeError, Server, Shutdown, admin};
use crate::structured::{STRUCTURED, Schemas, Structured};
use crate::telemetry::{CallsLayer, EdgeLayer, Export, Sources, Telemetry, TwinLayer, event};
use crate::upstream::{BuildError, Registry};

/// Headers beside the protocols' own that web pages may read.
const EXPOSED: [&str; 12] = [
    MODEL_USED,
    REQUEST_ID,
    ATTEMPT,
    DROPPED,
    CACHE,
    SIMILARITY,
    AGE,
    STRUCTURED,
    BUDGET_REMAINING,
    BUDGET_RESET,
    BUDGET_WARNING,
    "www-authenticate",
];

/// How long telemetry may take to be sent at the end.
const FLUSH: Duration = Duration::from_secs(5);

/// How long the clients of WebSockets may take to close them when the server does.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The prices cannot be used.
    #[error(transparent)]
    Prices(#[from] PricesError),
    /// The models cannot be set up.
    #[error(transparent)]
    Upstream(#[from] BuildError),
    /// Questions cannot be compared.
    #[error("questions cannot be compared by `cache.embedding_model` {model}: {problem}")]
    Comparer {
        /// The model, as configured.
        model: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The system does not tell of signals.
    #[error("signals cannot be listened to: {0}")]
    Signals(#[from] std::io::Error),
    /// The contract cannot be served over HTTP.
    #[error("the contract cannot be served over HTTP: {0}")]
    Transcoder(#[from] transcode::BuildError),
    /// The contract asks its callers for what there is not.
    #[error("the contract cannot be enforced: {0}")]
    Access(#[from] AccessError),
    /// Tokens cannot be given out or checked.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The pages about the contract cannot be made.
    #[error("the documentation cannot be shown: {0}")]
    Pages(#[from] PagesError),
    /// The contract cannot be described to clients.
    #[error("the contract cannot be described: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The threads that serve cannot be started.
    #[error("cannot start the threads of server.runtime: {0}")]
    Threads(std::io::Error),
    /// The address cannot be listened on.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// How the service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How the open calls ended.
    pub calls: Ending,
    /// How many usage rows could not be written.
    pub unwritten_rows: usize,
}

impl Ended {
    /// What was lost, in words; `None` if everything was finished.
    pub fn lost(&self) -> Option<String> {
        let cut = match self.calls {
            Ending::Drained => None,
            Ending::Cut(connections) => Some(format!("{connections} connections with open calls were cut")),
        };
        let rows = (self.unwritten_rows > 0).then(|| format!("{} usage rows were not written", self.unwritten_rows));
        match (cut, rows) {
            (Some(cut), Some(rows)) => Some(format!("{cut}, {rows}")),
            (cut, rows) => cut.or(rows),
        }
    }
}

/// Runs the service until `shutdown` asks it to stop. Telemetry goes to `export`. `listening` is told the address once
/// calls can come.
///
/// # Errors
/// Whatever keeps it from starting. Nothing listens then.
pub async fn run(
    config: &Config,
    shutdown: Shutdown,
    export: Export,
    listening: impl FnOnce(SocketAddr),
) -> Result<Ended, StartError> {
    let store = config.database.open().await?;
    let changes = ChangeWatch::start(Arc::clone(&store) as _).await?;
    let changed = changes.subscribe();
    let transcoder = transcoder(config)?;
    let access = Access::new(transcoder.access(), config.auth.reflection)?;
    let mint = config.auth.mint(&*store).await?;
    let limiter = config.limits.build(Arc::clone(&store) as _, &changes, config.database.is_shared()).await?;
    let tokens = config.auth.tokens(Arc::clone(&store) as _, Arc::clone(&store) as _, changes.clone()).await?;
    let bearers = Bearers::new(Arc::clone(&tokens), Issuers::new(&config.auth.issuers));
    let auth = config.auth.build(Arc::clone(&mint), Arc::clone(&store) as _, changes, access, bearers);
    let passwords = Passwords::default();
    let grants = Arc::new(Grants::new(tokens, passwords.clone()));
    let registry = config.upstream.build(transcoder.plans()).await?;
    let cache = cache(config, &registry, Arc::clone(&store)).await?;
    let registry = Live::new(registry);
    let usage = UsageWriter::start(Arc::clone(&store) as _, config.usage.batch.clone());
    let upkeep = Upkeep::start(Arc::clone(&store) as _, config.usage.retention_days);
    let captures = CaptureLog::start(Arc::clone(&store) as _, &config.capture);
    let prices = Arc::new(Prices::open(Arc::clone(&store) as _, &config.prices).await?);
    let budgets = config.budgets.clone();
    let budgets = Budgets::start(Arc::clone(&store) as _, prices, changed, budgets).await?;
    let max_models = config.telemetry.max_models;
    let telemetry = Telemetry::of_contract(FILE_DESCRIPTOR_SET, transcoder.routes(), max_models, &export);
    telemetry.watch(Sources { registry: registry.clone(), usage: usage.clone() });
    let readiness = Readiness::default();
    let health = HealthReporter::new();
    let chat = Chat::new(
        registry.clone(),
        usage.clone(),
        budgets.clone(),
        config.limits.output_estimate,
        captures.clone(),
        cache,
        telemetry.clone(),
    );
    let prices = Arc::clone(budgets.prices());
    let parts = reload::Parts {
        plans: transcoder.plans(),
        registry: registry.clone(),
        prices: Arc::clone(&prices),
        limiter: limiter.clone(),
    };
    let _reload = Reload::start(config, parts)?;
    let administration = Administration { mint, passwords, grants, prices };
    let services = services(
        config.server.body_limit,
        Structured::new(Guard::new(chat, config.guardrails.clone()), Schemas::default()),
        &transcoder,
        administration,
        &health,
    )
    .await?;
    let dependencies = Dependencies::builder()
        .value(registry.clone())
        .value(Database(Arc::clone(&store)))
        .value(captures.clone())
        .build();
    let pages = config.pages.build(|| transcoder.openapi(&about()))?;
    let guards =
        Guards { readiness: readiness.clone(), telemetry: telemetry.clone(), auth, limiter: limiter.clone(), pages };
    let stack = stack(config, &transcoder, guards, &dependencies, services);

    let admin = config.admin.bind(&config.server)?;
    // They live as long as there may be a connection to the database that one of them has opened.
    let cores = Cores::start(&config.server).map_err(StartError::Threads)?;
    let server = Server::bind(&config.server)?.counted_by(telemetry.connections()).served_on(cores.clone());
    let address = server.address();
    let admin = Admin::start(admin, &telemetry, &readiness);
    let exporting = export.run(telemetry);
    readiness.set(true);
    tokio::spawn(turn_away(shutdown.clone(), readiness, health));
    if config.auth.mode == Mode::Required && !has_administrator(&*store).await? {
        banner::invite_administrator();
    }
    banner::show(address, config.server.tls.is_some(), &registry, config.log.format.is_human());
    listening(address);

    let sockets = drain_sockets(transcoder.sockets(), config.server.drain_timeout, shutdown.clone());
    let (calls, cut_sockets) = tokio::join!(server.serve(stack, shutdown), sockets);
    let calls = calls.and_cut(cut_sockets);
    // What cancelled calls still have to undo; each has logged what went wrong with it.
    let _ = dependencies.close().await;
    // Only now has every call recorded its row.
    let unwritten_rows = usage.close().await;
    drop(upkeep);
    budgets.close().await;
    captures.close().await;
    limiter.close().await;
    // Everything is written; a database that cannot even say goodbye changes nothing.
    let _ = store.close().await;
    drop(cores);
    admin.stop().await;
    tracing::info!(event = event::STOPPED, ?calls, unwritten_rows, "stopped");
    // What is logged from here on is not sent.
    exporting.close(config.server.drain_timeout.min(FLUSH)).await;
    Ok(Ended { calls, unwritten_rows })
}

/// The admin listener, which outlives the calls.
struct Admin {
    stop: Shutdown,
    served: Option<JoinHandle<()>>,
}

impl Admin {
    fn start(server: Option<Server>, telemetry: &Telemetry, readiness: &Readiness) -> Self {
        let stop = Shutdown::new();
        let serve = |server| admin::serve(server, telemetry.clone(), readiness.clone(), stop.clone());
        let served = server.map(|server| tokio::spawn(serve(server)));
        Self { stop, served }
    }

    /// Ends it at once: a scrape that is cut is made again elsewhere.
    async fn stop(self) {
        self.stop.stop();
        self.stop.stop();
        if let Some(served) = self.served {
            // It can only have ended.
            let _ = served.await;
        }
    }
}

/// Once it is to stop, lets the calls on WebSockets finish within the drain limit, as the server does with the rest, and
/// ends those that are left; says how many those were.
async fn drain_sockets(sockets: Sockets, limit: Duration, shutdown: Shutdown) -> usize {
    shutdown.stopping().await;
    tokio::select! {
        () = sockets.ended() => return 0,
        () = tokio::time::sleep(limit) => {}
        () = shutdown.cutting() => {}
    }
    let left = sockets.count();
    // Clients that do not say their part of the goodbye are not waited for.
    if tokio::time::timeout(GOODBYE, sockets.close()).await.is_err() {
        tracing::debug!(sockets = sockets.count(), "WebSockets are left that were not closed by their clients");
    }
    left
}

/// What administrative services work with.
struct Administration {
    mint: Arc<KeyMint>,
    passwords: Passwords,
    grants: Arc<Grants>,
    prices: Arc<Prices>,
}

/// Every gRPC service.
async fn services(
    limit: usize,
    structured: Structured,
    transcoder: &Transcoder,
    administration: Administration,
    health: &HealthReporter,
) -> Result<Services, StartError> {
    let (plans, validator) = (transcoder.plans(), transcoder.validator());
    let Administration { mint, passwords, grants, prices } = administration;
    health.set_serving::<AuthServer<AuthApi>>().await;
    health.set_serving::<ChatServer<ChatApi>>().await;
    health.set_serving::<EmbeddingsServer<EmbeddingsApi>>().await;
    health.set_serving::<ComposeServer<ComposeApi>>().await;
    health.set_serving::<ExtractionServer<ExtractionApi>>().await;
    health.set_serving::<MessagesServer<MessagesApi>>().await;
    health.set_serving::<ModelsServer<ModelsApi>>().await;
    health.set_serving::<RequestLogServer<RequestLogApi>>().await;
    health.set_serving::<ResponsesServer<ResponsesApi>>().await;

    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let tokens = Arc::clone(grants.tokens());
    Ok(Services::builder()
        .with(ClientsServer::new(ClientsApi::new(Arc::clone(&tokens))))
        .with(AuthServer::new(AuthApi::new(grants)))
        .with(ChatServer::new(ChatApi::new(structured.clone())).max_decoding_message_size(limit))
        .with(EmbeddingsServer::new(EmbeddingsApi::new(structured.guard().clone())).max_decoding_message_size(limit))
        .with(
            ComposeServer::new(ComposeApi::new(structured.clone(), Rules::new(validator)))
                .max_decoding_message_size(limit),
        )
        .with(ExtractionServer::new(ExtractionApi::new(structured.clone())).max_decoding_message_size(limit))
        .with(MessagesServer::new(MessagesApi::new(structured.clone(), plans.clone())).max_decoding_message_size(limit))
        .with(ResponsesServer::new(ResponsesApi::new(structured.clone(), plans)).max_decoding_message_size(limit))
        .with(ModelsServer::new(ModelsApi))
        .with(AuditLogServer::new(AuditLogApi))
        .with(BudgetsServer::new(BudgetsApi))
        .with(KeysServer::new(KeysApi::new(mint)))
        .with(LimitsServer::new(LimitsApi))
        .with(TeamsServer::new(TeamsApi))
        .with(UsageServer::new(UsageApi))
        .with(UsersServer::new(UsersApi::new(passwords, tokens)))
        .with(PricesServer::new(PricesApi::new(prices)).max_decoding_message_size(limit))
        .with(RequestLogServer::new(RequestLogApi))
        .with(HealthServer::new(HealthService::from_health_reporter(health.clone())))
        .with(reflection().build_v1()?)
        // grpcurl before 1.9 and other tools of its age know only this one.
        .with(reflection().build_v1alpha()?)
        .build())
}

/// The OpenAPI documents of the contract, which are the same whatever the configuration.
///
/// # Errors
/// When the contract cannot be served over HTTP.
pub fn documents() -> Result<Documents, StartError> {
    Ok(Transcoder::with_config(FILE_DESCRIPTOR_SET, policies())?.openapi(&about()))
}

/// What holds for the contract, whatever the configuration.
fn policies() -> transcode::Config {
    transcode::Config {
        // OpenAI's clients escape the slashes in a model's name.
        fully_decode_reserved_expansion: true,
        // OpenAI's clients for other clouds send parameters of their own, such as `api-version`.
        unknown_query: UnknownQuery::Ignore,
        // A page of any origin can make a browser send a form without asking first, and a model costs money.
        accept_forms: false,
        ..transcode::Config::default()
    }
}

/// The contract, ready to be served.
fn transcoder(config: &Config) -> Result<Transcoder, transcode::BuildError> {
    let limits = transcode::Config {
        limits: transcode::Limits {
            max_body: config.server.body_limit,
            body_idle_timeout: config.server.body_timeout,
            max_timeout: config.server.request_timeout,
            ..transcode::Limits::default()
        },
        max_in_flight: config.server.bodies_limit,
        max_open_streams: config.server.max_streams,
        keep_alive: config.server.stream_keep_alive,
        socket_origins: config.server.cors_origins.clone(),
        ..policies()
    };
    Transcoder::with_config(FILE_DESCRIPTOR_SET, limits)
}

/// What may answer a request before a service does.
struct Guards {
    readiness: Readiness,
    telemetry: Telemetry,
    auth: Arc<Authenticator>,
    limiter: Limiter,
    pages: Option<PagesLayer>,
}

/// The layers that a request passes, outermost first.
fn stack(
    config: &Config,
    transcoder: &Transcoder,
    guards: Guards,
    dependencies: &Dependencies,
    services: Services,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + use<>
{
    let Guards { readiness, telemetry, auth, limiter, pages } = guards;
    let exposed = EXPOSED.into_iter().chain(limit::EXPOSED).map(HeaderName::from_static);
    let guarded = config.auth.docs == Policy::Authenticated;
    let trusting = config.auth.mode == Mode::Open && !config.server.allow_unauthenticated;
    let guard = pages.clone().filter(|_| guarded).map(|pages| DocsLayer::new(Arc::clone(&auth), pages));
    ServiceBuilder::new()
        // 1. /livez and /readyz, before anything that could be broken or could refuse.
        .layer(ProbesLayer::new(readiness))
        // Where everybody is trusted: that a page on the web does not pass for one of ours.
        .option_layer(trusting.then_some(HostsLayer))
        // 2. CORS. It answers preflights and must see every answer, also those of requests that the rest refuses.
        .layer(CorsLayer::new(config.server.cors_origins.clone(), exposed))
        // 3. Who may see the pages, where not everybody may. Browsers come to pages without the headers that calls have.
        .option_layer(guard)
        // 4. The pages for people: `/`, /docs, /redoc and the OpenAPI documents. They need nothing of what follows.
        .option_layer(pages)
        // 5. Counts what the edge itself answers: paths and types that lead nowhere.
        .layer(EdgeLayer(telemetry.clone()))
        // 6. The edge: what comes as JSON or gRPC-Web becomes gRPC, and its answer what it came as. It puts
        //    `transcode::Protocol` and `transcode::Deadline` into the request, which `api::chat` reads.
        .layer(transcoder.edge())
        // 7. Counts and traces every call, before anybody can refuse it. It puts `Arc<telemetry::Call>` into the request,
        //    which the handlers hand on to the attempts.
        .layer(CallsLayer(telemetry))
        // 8. Who calls, and whether they may, from the head alone. It puts `Arc<Principal>` into the request, which the
        //    handlers read.
        .layer(AuthLayer::new(auth))
        // 9. Whether there is a place for one more call, of this caller.
        .layer(OverloadLayer::new(Places::new(config.server.max_calls)))
        // 10. How much its caller may ask, from the head alone too. It adds to the answer where the caller stands.
        .layer(LimitLayer::new(limiter))
        // 11. The gate: reads the body, binds it into a message, checks its form. Layers that can refuse a request by its
        //    headers alone belong between the edge and this.
        .layer(transcoder.gate())
        // 12. Tells the call which of two twins the gate has chosen.
        .layer(TwinLayer)
        // 13. What handlers depend on, resolved when they ask. Innermost, so that dependencies see what every layer has put
        //    into the request, and end when the handler's answer does.
        .layer(dependencies.layer())
        // 14. The gRPC services.
        .service(services)
}

/// The answers that are given again, if any are.
async fn cache(config: &Config, registry: &Registry, store: Arc<dyn Store>) -> Result<Option<Cache>, StartError> {
    let named = config.cache.embedding_model.as_ref().filter(|_| config.upstream.compares_questions());
    let refused = |model: &str, problem: String| StartError::Comparer { model: model.to_owned(), problem };
    let comparer = named.map(|name| registry.resolve(name).map_err(|error| refused(name, error.to_string())));
    let cache = Cache::new(&config.cache, store as _, comparer.transpose()?);
    if let (Some(cache), Some(name)) = (&cache, named) {
        cache.check().await.map_err(|error| refused(name, error.to_string()))?;
    }
    Ok(cache)
}

/// When it is time to stop: says so to whoever watches, before the last connection is closed.
async fn turn_away(shutdown: Shutdown, readiness: Readiness, mut health: HealthReporter) {
    shutdown.stopping().await;
    readiness.set(false);
    // The name without letters is the server as a whole (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
    let services = [
        "",
        AuthServer::<AuthApi>::NAME,
        ChatServer::<ChatApi>::NAME,
        EmbeddingsServer::<EmbeddingsApi>::NAME,
        ComposeServer::<ComposeApi>::NAME,
        ExtractionServer::<ExtractionApi>::NAME,
        MessagesServer::<MessagesApi>::NAME,
        ModelsServer::<ModelsApi>::NAME,
        RequestLogServer::<RequestLogApi>::NAME,
        ResponsesServer::<ResponsesApi>::NAME,
    ];
    for service in services {
        health.set_service_status(service, ServingStatus::NotServing).await;
        // Ends the streams that watch it, which would otherwise stay open for as long as their clients like.
        health.clear_service_status(service).await;
    }
}
