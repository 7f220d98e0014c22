//! A scripted upstream: a server that speaks OpenAI's wire format over HTTP/1.1 and does, for each model, exactly what
//! a test told it to, faults included. It keeps every request and notes how and when each of its answers ended.
//!
//! Source of the format: <https://platform.openai.com/docs/api-reference/chat>.

mod dialect;
mod record;
mod reply;
mod request;
pub(crate) mod script;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};

pub(crate) use record::{Ending, Record};
pub(crate) use reply::{Reply, Step};
pub(crate) use request::ChatRequest;

use super::soon;
use dialect::Dialect;
use reply::ReplyBody;

type Script = Arc<dyn Fn(&ChatRequest) -> Reply + Send + Sync>;

/// The running upstream. It stops, and closes its connections, when it is dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    running: Option<Running>,
}

/// The thread that serves. It ends when this is dropped.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    scripts: Mutex<BTreeMap<String, Script>>,
    records: watch::Sender<Vec<Arc<Record>>>,
}

impl Upstream {
    /// Starts it on a free port, in a thread of its own, so that nothing a test does can hold it up. It knows the
    /// models `fixed` (always the same text) and `echo` (the last user message).
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let running = Some(Running::start(listener, Arc::clone(&state)));
        let upstream = Self { address, state, running };
        upstream.script("fixed", script::text("Hello from upstream."));
        upstream.script("echo", script::echo());
        upstream
    }

    /// Closes every connection and listens again on the same port, as a server does that is restarted.
    pub(crate) fn restart(&mut self) {
        self.running = None;
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        self.running = Some(Running::start(listener, Arc::clone(&self.state)));
    }

    /// The base URL as a provider's configuration wants it.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The base URL without a path, as providers of other formats want it.
    pub(crate) fn host_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says what to do when this model is asked.
    pub(crate) fn script(&self, model: &str, script: impl Fn(&ChatRequest) -> Reply + Send + Sync + 'static) {
        self.state.scripts.lock().unwrap().insert(model.to_owned(), Arc::new(script));
    }

    /// Every chat request so far, in order of arrival, invalid ones included.
    pub(crate) fn requests(&self) -> Vec<Arc<Record>> {
        self.state.records.borrow().clone()
    }

    /// The chat request with this number, counted from 0; waits for it.
    pub(crate) async fn request(&self, number: usize) -> Arc<Record> {
        let mut records = self.state.records.subscribe();
        let arrived = records.wait_for(|records| records.len() > number);
        Arc::clone(&soon("a request to the upstream", arrived).await.unwrap()[number])
    }

    /// How many answers are open now.
    pub(crate) fn open_answers(&self) -> usize {
        self.requests().iter().filter(|record| record.ending().is_none()).count()
    }
}

impl Running {
    fn start(listener: std::net::TcpListener, state: Arc<State>) -> Self {
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(TcpListener::from_std(listener).unwrap(), state) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// An address nobody listens on.
pub(crate) fn closed_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // Chunks must leave when a script says so, not when Nagle's algorithm does.
        stream.set_nodelay(true).unwrap();
        let state = Arc::clone(&state);
        let service = service_fn(move |request| {
            let state = Arc::clone(&state);
            async move { Ok::<_, Infallible>(answer(&state, request).await) }
        });
        tokio::spawn(async move { drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await) });
    }
}

async fn answer(state: &State, request: Request<Incoming>) -> Response<ReplyBody> {
    let (head, body) = request.into_parts();
    // A body that breaks off is a client that went away; nobody reads this answer.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    match (&head.method, head.uri.path()) {
        (&Method::POST, "/v1/chat/completions") => chat(state, head, body, None).await,
        (&Method::POST, "/v1/embeddings") => embeddings(state, head, body),
        (method, path) if let Some(dialect) = dialect::of(method, path) => chat(state, head, body, Some(dialect)).await,
        (&Method::GET, "/v1/models") => models(state).into_response(None),
        _ => Reply::error(404, "invalid_request_error", None, "Unknown request URL").into_response(None),
    }
}

async fn chat(
    state: &State,
    head: http::request::Parts,
    body: Bytes,
    dialect: Option<&'static dyn Dialect>,
) -> Response<ReplyBody> {
    let chat = match dialect {
        None => ChatRequest::parse(&body),
        Some(dialect) => ChatRequest::parse_as(dialect, head.uri.path(), &body),
    };
    let (record, open) = Record::open(head, body);
    state.records.send_modify(|records| records.push(record));
    let reply = match chat {
        Err(refusal) => refusal,
        Ok(chat) => {
            let script = state.scripts.lock().unwrap().get(chat.model()).cloned();
            match script {
                Some(script) => dialect.map_or_else(|| script(&chat), |dialect| dialect::told(dialect, script(&chat))),
                None => {
                    let message =
                        format!("The model `{}` does not exist or you do not have access to it.", chat.model());
                    let reply = Reply::error(404, "invalid_request_error", Some("model_not_found"), &message);
                    dialect.map_or_else(|| reply.clone(), |dialect| dialect::told(dialect, reply.clone()))
                }
            }
        }
    };
    // If the client goes away during this wait, the future is dropped and the record with it.
    match reply.before_headers {
        Some(delay) => tokio::time::sleep(delay).await,
        None => std::future::pending().await,
    }
    reply.into_response(Some(open))
}

/// A vector for each text: its length in bytes, and 1. In the form of
/// <https://platform.openai.com/docs/api-reference/embeddings/object>.
fn embeddings(state: &State, head: http::request::Parts, body: Bytes) -> Response<ReplyBody> {
    let (record, open) = Record::open(head, body);
    let asked = record.json();
    state.records.send_modify(|records| records.push(record));
    // One text, several, one list of tokens, or several.
    let inputs = match &asked["input"] {
        Value::Array(inputs) if inputs.iter().any(|input| input.is_string() || input.is_array()) => inputs.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let reply = match asked["model"].as_str() {
        Some(model) if !inputs.is_empty() => {
            let length = |input: &Value| input.as_str().map_or_else(|| input.as_array().map_or(0, Vec::len), str::len);
            let lengths: Vec<_> = inputs.iter().map(length).collect();
            let data: Vec<_> = lengths
                .iter()
                .enumerate()
                .map(|(index, length)| json!({"object": "embedding", "index": index, "embedding": [length, 1]}))
                .collect();
            let tokens = lengths.iter().sum::<usize>() / 4;
            let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
            Reply::json(200, &json!({"object": "list", "model": model, "data": data, "usage": usage}))
        }
        _ => Reply::error(400, "invalid_request_error", None, "you must provide 'model' and 'input'"),
    };
    reply.into_response(Some(open))
}

fn models(state: &State) -> Reply {
    let data: Vec<_> = state
        .scripts
        .lock()
        .unwrap()
        .keys()
        .map(|id| json!({"id": id, "object": "model", "created": 1_686_935_002, "owned_by": "scripted"}))
        .collect();
    Reply::json(200, &json!({"object": "list", "data": data}))
}
