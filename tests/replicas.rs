//! Claims about two servers on one database behind a real balancer, Envoy: one is restarted, one is killed, and callers
//! go on.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join, join_all};
use http::Request;

use crate::support::{
    Call, Failure, Protocol, Server, Upstream, envoy::Envoy, http::http1, postgres::Database, protocol::Streamed,
    script,
};

const CONFIGURATION: &str = include_str!("replicas/envoy.yaml");

/// Envoy has heard from a server that it is ready, and lets it answer.
async fn until_takes_calls(envoy: SocketAddr, server: &Server) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let expected = server.address().to_string();
    loop {
        let request = Request::get("/readyz").body(Bytes::new()).unwrap();
        let answer = http1(envoy, request).await;
        if answer.status() == 200 && answer.header("x-replica") == Some(&expected) {
            return;
        }
        assert!(Instant::now() < deadline, "Envoy does not take {expected} for ready");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How many callers there are of each protocol.
const CALLERS: usize = 3;

/// Two servers behind a balancer.
struct Pair {
    upstream: Upstream,
    servers: [Server; 2],
    envoy: Envoy,
    database: Database,
}

impl Pair {
    async fn start() -> Self {
        let (upstream, database) = (Upstream::start(), Database::fresh());
        sabir_store_postgres::migrate(database.url()).await.unwrap();
        upstream.script("slow", script::paced(1, Duration::from_millis(30)));
        let config = Server::config_for(&upstream.base_url());
        let variables = [("DATABASE_URL", database.url())];
        let servers = [Server::start_with(&config, &variables).await, Server::start_with(&config, &variables).await];
        let [one, other] = [&servers[0], &servers[1]].map(|server| server.address().port().to_string());
        let configuration = CONFIGURATION.replace("@ONE@", &one).replace("@OTHER@", &other);
        let envoy = Envoy::start(tempfile::tempdir().unwrap(), &configuration).await;
        let pair = Self { upstream, servers, envoy, database };
        pair.until_both_take_calls().await;
        pair
    }

    /// Envoy has heard from both that they are ready.
    async fn until_both_take_calls(&self) {
        for server in &self.servers {
            until_takes_calls(self.envoy.address(), server).await;
        }
    }

    /// Has callers of every protocol ask one call after another until `during` has ended. How many were answered, and
    /// how the others failed.
    async fn asked_while(&mut self, during: impl AsyncFnOnce(&mut [Server; 2])) -> (usize, Vec<(Protocol, Failure)>) {
        let (address, done) = (self.envoy.address(), AtomicBool::new(false));
        let ask = async |protocol: Protocol| {
            let (mut answered, mut failed) = (0, Vec::new());
            while !done.load(Ordering::Relaxed) {
                match protocol.unary(address, &Call::say("scripted/echo", "Hi")).await {
                    Ok(answer) => {
                        assert_eq!(answer.text.as_deref(), Some("Hi"));
                        answered += 1;
                    }
                    Err(failure) => failed.push((protocol, failure)),
                }
            }
            (answered, failed)
        };
        let callers = join_all((0..CALLERS).flat_map(|_| Protocol::ALL).map(ask));
        let changes = async {
            during(&mut self.servers).await;
            done.store(true, Ordering::Relaxed);
        };
        let (told, ()) = join(callers, changes).await;
        let answered = told.iter().map(|(answered, _)| answered).sum();
        (answered, told.into_iter().flat_map(|(_, failed)| failed).collect())
    }

    /// How many rows there are once this many are expected.
    async fn rows(&self, expected: usize) -> usize {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let count = self.database.run("SELECT count(*) FROM usage_log").trim().parse().unwrap();
            if count >= expected || Instant::now() > deadline {
                return count;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_hardly_a_call_and_cuts_no_stream() {
    let mut pair = Pair::start().await;
    pair.upstream.script("paced", script::paced(30, Duration::from_millis(50)));
    // Streams that are open when the restarts begin.
    let mut streams = Vec::new();
    for protocol in Protocol::ALL.into_iter().cycle().take(6) {
        let mut events = protocol.stream(pair.envoy.address(), &Call::say("scripted/paced", "Hi")).await.unwrap();
        crate::support::protocol::next(&mut events).await;
        streams.push((protocol, tokio::spawn(Streamed::read(events))));
    }
    let balancer = pair.envoy.address();
    let (answered, failed) = pair
        .asked_while(async |servers| {
            for _ in 0..2 {
                for server in servers.iter_mut() {
                    server.ask_to_stop();
                    server.start_again().await;
                    // As a rollout does: the next one stops when this one takes calls.
                    until_takes_calls(balancer, server).await;
                    // The balancer may still hear of a look that it took at the one before (`minReadySeconds` of a rollout).
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    until_takes_calls(balancer, server).await;
                }
            }
        })
        .await;
    // Envoy takes a call that it sent as a connection was about to close for one that was begun, and does not send it again.
    assert!(
        failed.len() * 500 < answered,
        "{} of {} calls failed: {:?}",
        failed.len(),
        answered + failed.len(),
        failed
    );
    assert!(answered > 100, "{answered} calls");
    let count = streams.len();
    for (protocol, stream) in streams {
        let streamed = stream.await.unwrap();
        streamed.assert_complete(protocol);
    }
    assert!(pair.rows(answered + count).await >= answered + count, "one row for every call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_takes_only_its_own_open_calls_with_it() {
    let mut pair = Pair::start().await;
    let (answered, failed) = pair
        .asked_while(async |servers| {
            tokio::time::sleep(Duration::from_millis(300)).await;
            servers[0].signal("-KILL");
            tokio::time::sleep(Duration::from_secs(1)).await;
            servers[0].start_again().await;
        })
        .await;
    // Each caller has one call open at a time, and after the first failure the balancer knows.
    assert!(failed.len() <= CALLERS * Protocol::ALL.len(), "{} of {answered}: {failed:?}", failed.len());
    for (protocol, failure) in &failed {
        assert_eq!(failure.code, "UNAVAILABLE", "{protocol:?}: {failure:?}");
    }
    assert!(answered > 50, "{answered} calls");
    // A row that was not written yet is gone with the process; no row is there twice.
    let rows = pair.rows(answered).await;
    let ids = pair.database.run("SELECT count(DISTINCT id) FROM usage_log").trim().parse::<usize>().unwrap();
    assert_eq!(ids, rows);
    pair.until_both_take_calls().await;
}
