//! Claims about a limiter whose database can be taken away, slowed down and counted.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sabir_store::{
    AuditEntry, Generations, Lease, Limit, LimitStore, Page, Places, Rate, StoreError, StoreErrorKind, StoreFuture,
    Subject,
};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::gcra::{Arrival, Pace};
use super::leaser::Leaser;
use super::rules::{Defaults, Rule, Rules};
use super::*;

use std::sync::Arc;
use std::time::Duration;

/// A database in memory that counts cells only, by the clock of the test.
struct Scripted {
    arrivals: Mutex<HashMap<String, Arrival>>,
    began: Instant,
    away: AtomicBool,
    questions: AtomicUsize,
}

impl Scripted {
    fn new() -> Arc<Self> {
        let (arrivals, began) = (Mutex::default(), Instant::now());
        Arc::new(Self { arrivals, began, away: AtomicBool::new(false), questions: AtomicUsize::new(0) })
    }

    fn answer<T: Send + 'static>(&self, answer: impl FnOnce(u64) -> T) -> StoreFuture<'static, T> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap();
        let away = self.away.load(Ordering::Relaxed);
        let answer = if away { Err(StoreError::new(StoreErrorKind::Unavailable, "away")) } else { Ok(answer(now)) };
        Box::pin(std::future::ready(answer))
    }
}

fn pace(rate: Rate<'_>) -> Pace {
    let per_minute = u32::try_from(60_000_000_000 / rate.emission_nanos).unwrap();
    Pace::per_minute(per_minute, Some(u32::try_from(rate.burst).unwrap()))
}

impl LimitStore for Scripted {
    fn create_limit<'a>(&'a self, _: &'a Limit, _: &'a AuditEntry) -> StoreFuture<'a, ()> {
        self.answer(|_| ())
    }
    fn limit(&self, _: Uuid) -> StoreFuture<'_, Option<Limit>> {
        self.answer(|_| None)
    }
    fn list_limits<'a>(&'a self, _: Option<&'a Subject>, _: Page) -> StoreFuture<'a, Vec<Limit>> {
        self.answer(|_| Vec::new())
    }
    fn update_limit<'a>(&'a self, _: &'a Limit, _: &'a AuditEntry) -> StoreFuture<'a, bool> {
        self.answer(|_| false)
    }
    fn delete_limit<'a>(&'a self, _: Uuid, _: &'a AuditEntry) -> StoreFuture<'a, bool> {
        self.answer(|_| false)
    }
    fn lease_cells<'a>(&'a self, rate: Rate<'a>, least: i64, most: i64) -> StoreFuture<'a, Lease> {
        self.answer(|now| {
            let (pace, mut arrivals) = (pace(rate), self.arrivals.lock().unwrap());
            let arrival = arrivals.entry(rate.account.to_owned()).or_default();
            let free = i64::try_from(arrival.remaining(pace, now)).unwrap();
            let cells = if free < least { 0 } else { free.min(most) };
            arrival.charge(pace, now, cells.unsigned_abs());
            Lease { cells, backlog_nanos: i64::try_from(arrival.backlog(now)).unwrap() }
        })
    }
    fn adjust_cells<'a>(&'a self, rate: Rate<'a>, cells: i64) -> StoreFuture<'a, Lease> {
        self.answer(|now| {
            let (pace, mut arrivals) = (pace(rate), self.arrivals.lock().unwrap());
            let arrival = arrivals.entry(rate.account.to_owned()).or_default();
            match cells {
                0.. => arrival.charge(pace, now, cells.unsigned_abs()),
                _ => arrival.give_back(pace, cells.unsigned_abs()),
            }
            Lease { cells: 0, backlog_nanos: i64::try_from(arrival.backlog(now)).unwrap() }
        })
    }
    fn lease_places<'a>(&'a self, _: Places<'a>, wanted: i64) -> StoreFuture<'a, i64> {
        self.answer(move |_| wanted)
    }
    fn renew_places(&self, _: Uuid, _: i64) -> StoreFuture<'_, ()> {
        self.answer(|_| ())
    }
    fn release_places(&self, _: Uuid) -> StoreFuture<'_, ()> {
        self.answer(|_| ())
    }
    fn drop_idle_counts(&self) -> StoreFuture<'_, ()> {
        self.answer(|_| ())
    }
}

fn each_key(rule: Rule) -> Defaults {
    Defaults { each_key: Some(rule), ..Defaults::default() }
}

fn requests(per_minute: u32) -> Rule {
    Rule { requests: Some(Pace::per_minute(per_minute, None)), ..Rule::default() }
}

/// A replica that leases from this database.
fn replica(store: &Arc<Scripted>, rule: Rule, open_for: Option<Duration>) -> Limiter {
    let leaser = Arc::new(Leaser::new(Arc::clone(store) as _, open_for));
    let rules = Arc::new(Rules::new([], each_key(rule)));
    let limiter = Limiter::new(rules, 1_000, Some(leaser), Duration::from_millis(250));
    limiter.start(Arc::clone(store) as _, watch::channel(Generations::default()).1, 0);
    limiter
}

fn key(number: u128) -> [Subject; 1] {
    [Subject::Key(Uuid::from_u128(number))]
}

const ONE: Want = Want { requests: 1, tokens: 0, least_tokens: 0, place: false };

/// A call of these subjects takes what it wants, as the layer has it done.
async fn take(limiter: &Limiter, subjects: [Subject; 1], want: Want) -> Result<Hold, Refusal> {
    let call = limiter.call(&subjects).unwrap();
    match call.take_now(want) {
        Ok(taken) => taken,
        Err(asked) => call.wait(want, asked).await,
    }
}

async fn passes(limiter: &Limiter) -> bool {
    take(limiter, key(7), ONE).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn replicas_in_turn_get_exactly_the_limit() {
    let store = Scripted::new();
    let replicas = [replica(&store, requests(60), None), replica(&store, requests(60), None)];
    let mut passed = 0;
    for number in 0..200 {
        passed += usize::from(passes(&replicas[number % 2]).await);
    }
    assert_eq!(passed, 60);
    // A minute on, after idle slices went back, it is all there again.
    tokio::time::sleep(Duration::from_secs(61)).await;
    let mut passed = 0;
    for _ in 0..100 {
        passed += usize::from(passes(&replicas[0]).await);
    }
    assert_eq!(passed, 60);
}

#[tokio::test(start_paused = true)]
async fn calls_do_not_wait_for_the_database_and_it_is_asked_seldom() {
    let store = Scripted::new();
    let limiter = replica(&store, requests(600_000), None);
    for _ in 0..10 {
        for _ in 0..100 {
            assert!(passes(&limiter).await);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let before = store.questions.load(Ordering::Relaxed);
    for _ in 0..10 {
        for _ in 0..100 {
            assert!(passes(&limiter).await);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let asked = store.questions.load(Ordering::Relaxed) - before;
    assert!(asked <= 60, "1000 calls asked the database {asked} times");
}

#[tokio::test(start_paused = true)]
async fn open_lets_a_replica_count_for_itself_for_a_while() {
    let store = Scripted::new();
    let limiter = replica(&store, requests(60), Some(Duration::from_secs(10)));
    assert!(passes(&limiter).await);
    store.away.store(true, Ordering::Relaxed);
    let mut passed = 0;
    for _ in 0..100 {
        if let Ok(hold) = take(&limiter, key(8), ONE).await {
            passed += 1;
            assert!(!hold.standing.shared, "it is told who counts");
        }
    }
    assert_eq!(passed, 60, "the limit holds, for this replica");
    tokio::time::sleep(Duration::from_secs(11)).await;
    let refusal = take(&limiter, key(9), ONE).await.unwrap_err();
    assert_eq!(refusal.cause, Cause::Away);

    store.away.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(take(&limiter, key(9), ONE).await.unwrap().standing.shared);
}

#[tokio::test(start_paused = true)]
async fn closed_refuses_at_once_what_is_limited_and_nothing_else() {
    let store = Scripted::new();
    let limiter = replica(&store, requests(60), None);
    store.away.store(true, Ordering::Relaxed);
    let refusal = take(&limiter, key(1), ONE).await.unwrap_err();
    assert_eq!(refusal.cause, Cause::Away);
    assert!(refusal.retry_after.is_some());
    assert!(limiter.call(&[Subject::Everyone]).is_none(), "there is no limit for everyone");
}

#[tokio::test(start_paused = true)]
async fn what_is_leased_is_given_back_at_the_end() {
    let store = Scripted::new();
    let (one, other) = (replica(&store, requests(60), None), replica(&store, requests(60), None));
    for _ in 0..10 {
        assert!(passes(&one).await);
    }
    one.close().await;
    let mut passed = 0;
    for _ in 0..100 {
        passed += usize::from(passes(&other).await);
    }
    assert_eq!(passed, 50);
}

#[tokio::test(start_paused = true)]
async fn tokens_beyond_what_was_reserved_are_charged_for_all() {
    let rule = Rule { tokens: Some(Pace::per_minute(1_000, None)), ..Rule::default() };
    let store = Scripted::new();
    let (one, other) = (replica(&store, rule, None), replica(&store, rule, None));
    let want = |tokens| Want { tokens, ..Want::default() };
    let mut hold = take(&one, key(7), want(100)).await.unwrap();
    hold.settle(950);
    drop(hold);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(take(&other, key(7), want(100)).await.is_err());
    drop(take(&other, key(7), want(40)).await.unwrap());
    // What was not settled is given back.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(take(&other, key(7), want(40)).await.is_ok());
}

#[tokio::test]
async fn a_flood_of_different_callers_does_not_grow_the_memory() {
    let rules = Arc::new(Rules::new([], each_key(requests(60))));
    let limiter = Limiter::new(rules, 1_000, None, Duration::ZERO);
    for number in 0..50_000 {
        drop(take(&limiter, key(number), ONE).await.unwrap());
    }
    assert!(limiter.accounts().len() <= 1_024 + 64, "{}", limiter.accounts().len());
}

#[tokio::test]
async fn calls_at_once_are_counted_through_every_drop() {
    let rule = Rule { concurrent: Some(3), ..Rule::default() };
    let limiter = Limiter::new(Arc::new(Rules::new([], each_key(rule))), 1_000, None, Duration::ZERO);
    let want = Want { place: true, ..Want::default() };
    let mut holds = Vec::new();
    for _ in 0..3 {
        holds.push(take(&limiter, key(1), want).await.unwrap());
    }
    let refusal = take(&limiter, key(1), want).await.unwrap_err();
    assert!(matches!(refusal.cause, Cause::Exceeded { measure: Measure::Concurrent, limit: 3, .. }));
    holds.pop();
    assert!(take(&limiter, key(1), want).await.is_ok());
}

/// Not a claim but a figure: `cargo test --release -p sabir cost_of_a_check -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn cost_of_a_check() {
    const CALLS: u32 = 1_000_000;
    let rule = Rule { tokens: None, concurrent: Some(1_000), ..requests(1_000_000_000) };
    let limiter = Limiter::new(Arc::new(Rules::new([], each_key(rule))), 1_000, None, Duration::ZERO);
    let want = Want { requests: 1, place: true, ..Want::default() };
    let began = std::time::Instant::now();
    for _ in 0..CALLS {
        drop(take(&limiter, key(1), want).await.unwrap());
    }
    let each = began.elapsed() / CALLS;
    assert!(each < Duration::from_micros(1) || cfg!(debug_assertions), "{each:?}");
    tracing::info!(?each, "a request and a place of one account");
}
