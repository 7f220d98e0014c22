//! Claims about administration: teams, users and keys over REST and gRPC and on the command line, that nobody gets more
//! by it than they have, and that the audit log has every act, once, and no secret.

mod audit;
mod clients;
mod commands;
mod escalation;
mod keys;
mod names;
mod objects;

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::support::http::http1;
use crate::support::identity::{Registrar, required};
use crate::support::{Call, Protocol, Server, Upstream};

const TEAMS: &str = "/v1/admin/teams";
const USERS: &str = "/v1/admin/users";
const KEYS: &str = "/v1/admin/keys";
const PASSWORD: &str = "correct horse battery staple";

/// Calls a method over gRPC with a key.
macro_rules! grpc {
    ($world:expr, $key:expr, $client:ident.$call:ident($message:expr)) => {
        $client::new($world.channel.clone())
            .$call(crate::admin::request($key, $message))
            .await
            .map(tonic::Response::into_inner)
    };
}
use grpc;

/// A server that wants to know who calls, with an administrator's key.
struct World {
    _upstream: Upstream,
    server: Server,
    registrar: Registrar,
    channel: Channel,
    admin: String,
}

impl World {
    async fn new() -> Self {
        let upstream = Upstream::start();
        // Everything that is logged is, so that the secrets of these claims can be looked for in it.
        let config = format!("{}{}[log]\nfilter = \"trace\"\n", Server::config_for(&upstream.base_url()), required());
        let server = Server::start(&config).await;
        let registrar = Registrar::of(&server).await;
        let channel = Channel::from_shared(format!("http://{}", server.address())).unwrap().connect_lazy();
        let admin = registrar.key_for(&["admin"]).await;
        Self { _upstream: upstream, server, registrar, channel, admin }
    }

    /// A call of the HTTP surface with a key: its status and what it answers.
    async fn rest(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let exchange = http1(self.server.address(), request.body(body).unwrap()).await;
        let status = exchange.status();
        (status, serde_json::from_slice(&exchange.body().await).unwrap_or(Value::Null))
    }

    /// As [`rest`](Self::rest), by the administrator, of a call that must succeed.
    async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.rest(&self.admin, method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Refused over REST with this status, and over gRPC with the code that goes with it.
    async fn refused<T: std::fmt::Debug>(
        &self,
        key: &str,
        (method, path, body): (&str, &str, Option<Value>),
        status: u16,
        twin: Result<T, Status>,
    ) {
        let said = self.rest(key, method, path, body.clone()).await;
        assert_eq!(said.0, status, "{method} {path} {body:?}: {}", said.1);
        let code = match status {
            400 => Code::InvalidArgument,
            403 => Code::PermissionDenied,
            404 => Code::NotFound,
            409 => Code::AlreadyExists,
            other => panic!("{other} has no twin here"),
        };
        assert_eq!(twin.unwrap_err().code(), code, "{method} {path} {body:?}");
    }

    /// The code of a chat with this key over a protocol.
    async fn chat(&self, protocol: Protocol, key: &str) -> String {
        let headers = vec![("authorization", format!("Bearer {key}"))];
        let call = Call { headers, ..Call::say("scripted/echo", "Hi") };
        match protocol.unary(self.server.address(), &call).await {
            Ok(_) => "OK".to_owned(),
            Err(failure) => failure.code,
        }
    }

    /// Chats over every protocol until the answer is this, which must be within a second.
    async fn chat_until(&self, key: &str, code: &str) {
        let begun = std::time::Instant::now();
        for protocol in Protocol::ALL {
            loop {
                let said = self.chat(protocol, key).await;
                if said == code {
                    break;
                }
                assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{protocol:?}: still {said}");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }

    /// The entries of the audit log that are not the registrar's, latest first.
    async fn audit(&self) -> Vec<Value> {
        let log = self.done("GET", "/v1/admin/audit?page_size=1000", None).await;
        let entries = log["entries"].as_array().unwrap();
        entries.iter().filter(|entry| entry["actor"] != "a test").cloned().collect()
    }
}

fn request<T>(key: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {key}")).unwrap());
    request
}

/// The text of a member.
fn text(answer: &Value, member: &str) -> String {
    answer[member].as_str().unwrap_or_else(|| panic!("no {member}: {answer}")).to_owned()
}
