//! Claims about money: what calls may cost is held to the nano-dollar, over every protocol, across servers, and when
//! servers are killed.

mod administration;
mod crashes;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::support::{
    Call, Event, Failure, Protocol, Server, Upstream,
    http::http1,
    postgres::Database,
    protocol::next,
    script,
    upstream::{ChatRequest, Reply},
};

/// What a token of an answer costs, in nano-dollars: 20 dollars a million. Input costs nothing, so that what is reserved is
/// known to the nano-dollar.
const TOKEN: i64 = 20_000;

/// How long answers may be at most, and so what a call reserves.
const LONGEST: i64 = 100;

/// The most that a call can cost.
const RESERVATION: i64 = TOKEN * LONGEST;

const DOLLAR: i64 = 1_000_000_000;

/// Prices for the provider of the tests.
const PRICES: &str = r#"{"vendors": [{"provider": "scripted", "models": [
    {"model": "*", "input": "0", "output": "20"},
    {"model": "unpriced-*", "input": "0", "output": "0"}
]}]}"#;

/// A server with prices, an upstream that answers at various lengths and bills them, and the database that further servers
/// may share.
struct World {
    upstream: Upstream,
    billed: Arc<AtomicI64>,
    config: String,
    /// The database on Postgres; without one, servers share the first one's file.
    postgres: Option<Database>,
    prices: tempfile::TempDir,
}

impl World {
    fn new(budgets: &str) -> Self {
        let upstream = Upstream::start();
        let billed = Arc::new(AtomicI64::new(0));
        let count = Arc::clone(&billed);
        upstream.script("spend", move |request| answer(request, &count, Duration::from_millis(5)));
        let prices = tempfile::tempdir().unwrap();
        let file = prices.path().join("prices.json");
        std::fs::write(&file, PRICES).unwrap();
        let config = format!(
            "{}[prices]\nfile = {:?}\n\n[budgets]\n{budgets}\n",
            Server::config_for(&upstream.base_url()),
            file.to_str().unwrap()
        );
        Self { upstream, billed, config, postgres: None, prices }
    }

    /// The same on Postgres.
    fn on_postgres(self) -> Self {
        Self { postgres: Some(Database::fresh()), ..self }
    }

    async fn server(&self) -> Server {
        match &self.postgres {
            Some(database) => self.server_on(database.url()).await,
            None => Server::start(&self.config).await,
        }
    }

    /// The database that further servers share with the first.
    fn database(&self, first: &Server) -> String {
        self.postgres.as_ref().map_or_else(|| first.database(), |database| database.url().to_owned())
    }

    /// What the usage rows cost together, once there are this many.
    async fn cost_of_rows(&self, first: &Server, count: usize) -> i64 {
        let Some(database) = &self.postgres else {
            return first.usage_rows(count).await.iter().map(|row| row.cost_nanos).sum();
        };
        for _ in 0..100 {
            let found = database.run("SELECT count(*) || ' ' || coalesce(sum(cost), 0) FROM usage");
            let (rows, cost) = found.split_once(' ').unwrap();
            if rows.parse::<usize>().unwrap() >= count {
                return cost.parse().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("there are not {count} usage rows");
    }

    /// A further server on this database.
    async fn server_on(&self, database: &str) -> Server {
        Server::start_with(&self.config, &[("DATABASE_URL", database), ("SABIR_DATABASE__MIGRATE", "true")]).await
    }

    /// What the upstream has billed, in nano-dollars.
    fn billed(&self) -> i64 {
        self.billed.load(Ordering::SeqCst) * TOKEN
    }
}

/// Answers with 1 to 100 tokens, each length as often as any other, and bills them.
fn answer(request: &ChatRequest, billed: &AtomicI64, delay: Duration) -> Reply {
    static ASKED: AtomicI64 = AtomicI64::new(0);
    let tokens = ASKED.fetch_add(37, Ordering::SeqCst) % LONGEST + 1;
    billed.fetch_add(tokens, Ordering::SeqCst);
    let mut answer = script::completion(request, json!({"role": "assistant", "content": "some"}), "stop");
    answer["usage"] = json!({"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens});
    Reply::json(200, &answer).after(delay)
}

/// A call that may cost [`RESERVATION`].
fn call(model: &str) -> Call {
    let limit = i32::try_from(LONGEST).unwrap();
    Call::say(model, "Hi")
        .with(|request| request.max_completion_tokens = Some(limit), json!({"max_completion_tokens": limit}))
}

/// Calls an administrative method: the status, and the answer.
async fn administer(server: SocketAddr, verb: &str, path: &str, body: Value) -> (u16, Value) {
    let request = Request::builder().method(verb).uri(path).header("content-type", "application/json");
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let exchange = http1(server, request.body(body).unwrap()).await;
    let status = exchange.status();
    let text = exchange.body().await;
    let answer = serde_json::from_slice(&text).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&text)));
    (status, answer)
}

/// Makes a budget for everyone; its id.
async fn budget(server: SocketAddr, amount: i64, further: Value) -> String {
    let mut body = json!({"subject_kind": "everyone", "amount_nanos": amount});
    body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    let (status, made) = administer(server, "POST", "/v1/admin/budgets", body).await;
    assert_eq!(status, 200, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

/// How a budget stands.
async fn state(server: SocketAddr, id: &str) -> Value {
    let (status, budget) = administer(server, "GET", &format!("/v1/admin/budgets/{id}"), Value::Null).await;
    assert_eq!(status, 200, "{budget}");
    budget["state"].clone()
}

/// How a budget stands once nobody holds anything of it.
async fn settled(server: SocketAddr, id: &str) -> Value {
    state_with(server, id, "leased_nanos", 0).await
}

/// How a budget stands once a figure of it is this.
async fn state_with(server: SocketAddr, id: &str, figure: &str, nanos: i64) -> Value {
    let mut last = Value::Null;
    for _ in 0..150 {
        last = state(server, id).await;
        if last[figure] == nanos {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{figure} does not become {nanos}: {last}");
}

/// Waits until a server knows of a budget that another has made or changed.
async fn known_everywhere() {
    tokio::time::sleep(Duration::from_millis(800)).await;
}

fn is_spent(failure: &Failure) -> bool {
    failure.code == "RESOURCE_EXHAUSTED"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_of_two_servers_stop_at_one_dollar() {
    stop_at_one_dollar(&World::new("")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_of_two_servers_stop_at_one_dollar_on_postgres() {
    stop_at_one_dollar(&World::new("").on_postgres()).await;
}

async fn stop_at_one_dollar(world: &World) {
    const CLIENTS: usize = 200;
    let first = world.server().await;
    let second = world.server_on(&world.database(&first)).await;
    let id = budget(first.address(), DOLLAR, json!({})).await;
    known_everywhere().await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let server = if number % 2 == 0 { first.address() } else { second.address() };
            let protocol = Protocol::ALL[number % 3];
            tokio::spawn(async move {
                let (mut answered, mut refused) = (0_usize, 0);
                // One refusal may be for what another call has reserved and will not spend.
                while refused < 4 {
                    match protocol.unary(server, &call("scripted/spend")).await {
                        Ok(_) => answered += 1,
                        Err(failure) => {
                            assert!(is_spent(&failure), "{failure:?}");
                            refused += 1;
                            tokio::time::sleep(Duration::from_millis(300)).await;
                        }
                    }
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    // What was held back for others and not needed is there for whoever comes next, on either server.
    settled(second.address(), &id).await;
    for server in [first.address(), second.address()] {
        while Protocol::Rest.unary(server, &call("scripted/spend")).await.is_ok() {
            answered += 1;
        }
    }
    let state = settled(second.address(), &id).await;
    let spent = state["spent_nanos"].as_i64().unwrap();
    assert_eq!(spent, world.billed(), "what is charged is what the upstream has billed: {state}");
    assert!(spent <= DOLLAR && spent > DOLLAR - RESERVATION, "within one reservation: {state}");
    assert_eq!((&state["orphaned_nanos"], &state["reserved_nanos"]), (&json!(0), &json!(0)));
    let cost = world.cost_of_rows(&first, answered + CLIENTS * 4 + 2).await;
    assert_eq!(cost, spent, "and what the usage rows say");
}

#[tokio::test]
async fn a_spent_budget_is_refused_alike_on_every_protocol() {
    let world = World::new("");
    let server = world.server().await;
    budget(server.address(), RESERVATION - 1, json!({"period": "month"})).await;
    known_everywhere().await;
    for protocol in Protocol::ALL {
        for streamed in [false, true] {
            let failure = match streamed {
                false => protocol.unary(server.address(), &call("scripted/spend")).await.unwrap_err(),
                true => protocol.stream_all(server.address(), &call("scripted/spend")).await.failure.unwrap(),
            };
            assert!(is_spent(&failure), "{protocol:?} {failure:?}");
            assert!(failure.message.contains("the budget of everyone is spent"), "{failure:?}");
            assert!(failure.message.contains("$0.001999999"), "{failure:?}");
            let wait = failure.retry_after.expect("a month has an end");
            assert!(wait > Duration::ZERO && wait <= Duration::from_secs(31 * 24 * 3_600), "{wait:?}");
            if let Some(error) = &failure.error {
                assert_eq!((failure.http, &error["code"]), (Some(429), &json!("insufficient_quota")));
            }
        }
    }
    assert_eq!(world.billed(), 0, "nobody was asked");
    for row in server.usage_rows(6).await {
        assert_eq!((row.grpc_code, row.cost_nanos, row.provider), (8, 0, None));
    }
}

#[tokio::test]
async fn answers_say_what_is_left() {
    let world = World::new("");
    let server = world.server().await;
    budget(server.address(), 10 * RESERVATION, json!({"period": "day", "warn_percents": [50, 95]})).await;
    known_everywhere().await;
    let ask = async || {
        let body = Bytes::from(call("scripted/spend").json.to_string());
        let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
        http1(server.address(), request.body(body).unwrap()).await
    };
    let first = ask().await;
    assert_eq!(first.status(), 200);
    let left = 10 * RESERVATION - world.billed();
    assert_eq!(first.header("sabir-budget-remaining"), Some(format!("0.0{left}").trim_end_matches('0')));
    let reset: u64 = first.header("sabir-budget-reset").unwrap().parse().unwrap();
    assert!((1..=24 * 3_600).contains(&reset), "{reset}");
    assert_eq!(first.header("sabir-budget-warning"), None);
    first.body().await;
    while world.billed() < 5 * RESERVATION {
        ask().await.body().await;
    }
    assert_eq!(ask().await.header("sabir-budget-warning"), Some("50% spent"));
}

#[tokio::test]
async fn callers_that_go_away_pay_for_what_was_said_and_no_more() {
    let world = World::new("");
    world.upstream.script("stall", script::silent_midway());
    let server = world.server().await;
    let id = budget(server.address(), DOLLAR, json!({})).await;
    known_everywhere().await;
    for protocol in Protocol::ALL {
        let mut events = protocol.stream(server.address(), &call("scripted/stall")).await.unwrap();
        assert!(matches!(next(&mut events).await, Event::Chunk(_)));
        state_with(server.address(), &id, "reserved_nanos", RESERVATION).await;
        drop(events);
        let state = settled(server.address(), &id).await;
        assert_eq!(state["reserved_nanos"], 0);
    }
    let rows = server.usage_rows(3).await;
    let cost: i64 = rows.iter().map(|row| row.cost_nanos).sum();
    assert!(rows.iter().all(|row| row.cost_nanos == i64::from(row.completion_tokens) * TOKEN && row.cost_nanos > 0));
    assert_eq!(settled(server.address(), &id).await["spent_nanos"], cost);
}

#[tokio::test]
async fn what_has_no_price_is_free_with_a_warning_or_refused() {
    const PRICED: &str =
        r#"{"vendors": [{"provider": "other", "models": [{"model": "*", "input": "1", "output": "1"}]}]}"#;
    for (rule, refused) in [("unpriced = \"allow\"", false), ("unpriced = \"refuse\"", true)] {
        let world = World::new(rule);
        std::fs::write(world.prices.path().join("prices.json"), PRICED).unwrap();
        let server = world.server().await;
        for protocol in Protocol::ALL {
            protocol.unary(server.address(), &call("scripted/spend")).await.unwrap();
        }
        budget(server.address(), 0, json!({})).await;
        known_everywhere().await;
        for protocol in Protocol::ALL {
            let answer = protocol.unary(server.address(), &call("scripted/spend")).await;
            match answer {
                Ok(_) => assert!(!refused),
                Err(failure) => {
                    assert!(refused && failure.message.contains("\"scripted/spend\" has no price"), "{failure:?}");
                    assert!(["FAILED_PRECONDITION", "INVALID_ARGUMENT"].contains(&failure.code.as_str()));
                }
            }
        }
        let warnings = server.log().matches("the model has no price").count();
        assert_eq!(warnings, 1, "once for each model");
    }
}
