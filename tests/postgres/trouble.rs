//! A database that answers and yet takes no changes, or no connections.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request};
use prost::Message;
use sabir_proto::v1::{CreateTeamRequest, Team};
use serde_json::json;
use tonic_types::StatusExt;

use super::with_password;
use crate::support::http::{http1, http2};
use crate::support::identity::{Registrar, required};
use crate::support::postgres::{Database, OwnServer};
use crate::support::{Call, Protocol, Server, Upstream};

/// How an administrative change went: `OK`, or the code and the reason; over REST the status and the reason.
pub(super) async fn change(server: SocketAddr, protocol: Protocol, key: &str, name: &str) -> String {
    let message =
        CreateTeamRequest { team: Some(Team { name: name.to_owned(), ..Default::default() }) }.encode_to_vec();
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    let request = |path: &str| Request::post(path).header("authorization", format!("Bearer {key}"));
    let rpc = "/sabir.v1.Teams/CreateTeam";
    let status = match protocol {
        Protocol::Rest => {
            let request = request("/v1/admin/teams").header("content-type", "application/json");
            let exchange = http1(server, request.body(json!({"name": name}).to_string().into()).unwrap()).await;
            let status = exchange.status();
            let answer: serde_json::Value = serde_json::from_slice(&exchange.body().await).unwrap();
            return if status == 200 { "OK".to_owned() } else { format!("{status} {}", answer["error"]["code"]) };
        }
        Protocol::Grpc => {
            let request = request(rpc).header("content-type", "application/grpc").header("te", "trailers");
            let exchange = http2(server, request.body(framed.into()).unwrap()).await;
            let head = tonic::Status::from_header_map(&exchange.head.headers);
            match head {
                Some(status) => status,
                None => {
                    let (_, trailers) = exchange.body_and_trailers().await;
                    tonic::Status::from_header_map(&trailers.unwrap()).unwrap()
                }
            }
        }
        Protocol::GrpcWeb => {
            let request = request(rpc).header("content-type", "application/grpc-web+proto");
            let exchange = http1(server, request.body(Bytes::from(framed)).unwrap()).await;
            let head = tonic::Status::from_header_map(&exchange.head.headers);
            match head {
                Some(status) => status,
                None => tonic::Status::from_header_map(&trailers_in(&exchange.body().await)).unwrap(),
            }
        }
    };
    match status.code() {
        tonic::Code::Ok => "OK".to_owned(),
        code => format!("{code:?} {:?}", status.get_details_error_info().map(|info| info.reason).unwrap_or_default()),
    }
}

/// The trailers that gRPC-Web has as the last frame of the body.
/// Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>
fn trailers_in(mut body: &[u8]) -> HeaderMap {
    while let [flag, a, b, c, d, rest @ ..] = body {
        let (payload, rest) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        if flag & 0x80 != 0 {
            let lines = std::str::from_utf8(payload).unwrap().lines();
            let fields = lines.map(|line| line.split_once(':').unwrap());
            return fields
                .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.trim().parse().unwrap()))
                .collect();
        }
        body = rest;
    }
    panic!("the body has no trailers");
}

/// What a change is told that the database does not take.
pub(super) fn refusal(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Rest => "503 \"database_unavailable\"",
        Protocol::Grpc | Protocol::GrpcWeb => "Unavailable \"DATABASE_UNAVAILABLE\"",
    }
}

/// A server on a Postgres of its own with few connections.
struct World {
    /// Before the Postgres it uses.
    server: Server,
    key: String,
    database: Database,
    _postgres: OwnServer,
    _upstream: Upstream,
}

impl World {
    async fn new(name: &str) -> Self {
        let postgres = OwnServer::start_with(name, &[("POSTGRES_CONNECTIONS", "16")]);
        let database = postgres.database();
        sabir_store_postgres::migrate(database.url()).await.unwrap();
        let upstream = Upstream::start();
        let config = format!(
            "{}{}[database]\nmax_connections = 4\nacquire_timeout = \"500ms\"\n",
            Server::config_for(&upstream.base_url()),
            required()
        );
        let server = Server::start_with(&config, &[("DATABASE_URL", &with_password(database.url()))]).await;
        let key = Registrar::at(database.url()).await.key_for(&["chat", "teams.write"]).await;
        server.keep_secret(&key);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let world = Self { server, key, database, _postgres: postgres, _upstream: upstream };
        world.changes_are_taken("before").await;
        world
    }

    /// Changes are taken again, over each protocol.
    async fn changes_are_taken(&self, when: &str) {
        for protocol in Protocol::ALL {
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                let told = change(self.server.address(), protocol, &self.key, &format!("{when} {protocol:?}")).await;
                if told == "OK" {
                    break;
                }
                assert_eq!(told, refusal(protocol));
                assert!(Instant::now() < deadline, "{protocol:?}: changes are still refused");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Changes are refused as they should be, and those who are known may chat all the same.
    async fn changes_are_refused(&self) {
        for protocol in Protocol::ALL {
            let told = change(self.server.address(), protocol, &self.key, &format!("refused {protocol:?}")).await;
            assert_eq!(told, refusal(protocol), "{protocol:?}");
            let headers = vec![("x-api-key", self.key.clone())];
            let call = Call { headers, ..Call::say("scripted/echo", "Hi") };
            protocol.unary(self.server.address(), &call).await.unwrap();
        }
    }

    /// No refused change was made, and every chat has its row.
    async fn nothing_else_happened(&self) {
        assert_eq!(self.database.run("SELECT count(*) FROM team WHERE name LIKE 'refused%'"), "0");
        super::soon_answers(&self.database, "SELECT count(*) FROM usage WHERE outcome = 1", "3").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_read_only_refuses_changes_and_nothing_else() {
    let world = World::new("read-only").await;
    world.database.run("ALTER SYSTEM SET default_transaction_read_only = on");
    world.database.run("SELECT pg_reload_conf()");
    // Sessions take note of it between statements.
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.changes_are_refused().await;
    world.database.run("ALTER SYSTEM RESET default_transaction_read_only");
    world.database.run("SELECT pg_reload_conf()");
    world.changes_are_taken("after").await;
    world.nothing_else_happened().await;
}

/// A session of psql that begins with these statements and lasts until its standard input is closed.
fn session(database: &Database, statements: &str) -> Child {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres"));
    command.args(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", database.url()]);
    let mut session = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // One that found no connection does not read it.
    let _ = session.stdin.as_mut().unwrap().write_all(statements.as_bytes());
    session
}

/// Sessions that hold connections until this is dropped.
struct Sessions(Vec<Child>);

impl Drop for Sessions {
    fn drop(&mut self) {
        for session in &mut self.0 {
            // Its input ends, and with it the session.
            drop(session.stdin.take());
            drop(session.wait());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_a_connection_left_refuses_changes_and_nothing_else() {
    /// Ends the server's sessions for two seconds, in which others take their places.
    const END_SESSIONS: &str = "DO $$ BEGIN FOR i IN 1..40 LOOP PERFORM pg_stat_clear_snapshot(); PERFORM \
        pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sabir'; PERFORM pg_sleep(0.05); \
        END LOOP; END $$;\n";
    let world = World::new("connections").await;
    let mut sessions = Sessions(vec![session(&world.database, END_SESSIONS)]);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        // Those that find no place end at once.
        sessions.0.retain_mut(|session| session.try_wait().unwrap().is_none());
        while sessions.0.len() < 18 {
            sessions.0.push(session(&world.database, ""));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.changes_are_refused().await;
    drop(sessions);
    world.changes_are_taken("after").await;
    world.nothing_else_happened().await;
}
