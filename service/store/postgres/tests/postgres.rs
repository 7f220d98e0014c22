//! Claims about the store on Postgres, through its public face: the shared suite, and what is special about a server.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::panic, reason = "tests")]

#[path = "../../../../tests/support/postgres.rs"]
mod support;

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use sabir_store::{CaptureStore, ChangeStore, Store, StoreErrorKind, UsageStore, WAIT_BOUNDS, conformance};
use sabir_store_postgres::{Config, Migrated, migrate, open};
use support::{Database, OwnServer};

#[tokio::test]
async fn only_a_database_with_this_schema_is_opened() {
    let database = Database::fresh();
    let error = open(database.url(), Config::default()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Schema);
    assert!(error.message().contains("run `sabir migrate`"), "{error}");

    let first = migrate(database.url()).await.unwrap();
    assert_eq!((first.from, first.to > 0), (None, true));
    assert_eq!(migrate(database.url()).await.unwrap(), Migrated { from: Some(first.to), to: first.to });
    open(database.url(), Config::default()).await.unwrap().close().await;

    database.run(
        "INSERT INTO _sqlx_migrations SELECT 9999, description, now(), true, checksum, 0 FROM _sqlx_migrations LIMIT 1",
    );
    for error in
        [open(database.url(), Config::default()).await.unwrap_err(), migrate(database.url()).await.unwrap_err()]
    {
        assert_eq!(error.kind(), StoreErrorKind::Schema);
        assert!(error.message().contains("newer version of Sabir (schema 9999"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_may_migrate_at_once() {
    let database = Database::fresh();
    let replicas = (0..4).map(|_| {
        let url = database.url().to_owned();
        tokio::spawn(async move { open(&url, Config { migrate: true, ..Config::default() }).await })
    });
    for replica in replicas.collect::<Vec<_>>() {
        replica.await.unwrap().unwrap().close().await;
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_no_password_is_shown() {
    let error = open("postgres://u:hunter2@127.0.0.1:1/d", Config::default()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.message().contains("127.0.0.1:1/d") && !error.message().contains("hunter2"), "{error}");
    let error = open("postgres://u:hunter2@[nonsense/d", Config::default()).await.unwrap_err();
    assert!(!error.message().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn more_connections_than_the_server_gives_out_are_refused_at_the_start() {
    let database = Database::fresh();
    let error =
        open(database.url(), Config { max_connections: 10_000, migrate: true, ..Config::default() }).await.unwrap_err();
    assert!(error.message().contains("lower database.max_connections"), "{error}");
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again() {
    let server = OwnServer::start("comes-back");
    let database = server.database();
    migrate(database.url()).await.unwrap();
    server.stop();
    assert_eq!(migrate(database.url()).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    server.start_again();
    migrate(database.url()).await.unwrap();
}

#[tokio::test]
async fn every_attempt_is_a_row_for_people() {
    let database = Database::fresh();
    let store = open(database.url(), Config { migrate: true, ..Config::default() }).await.unwrap();
    store.insert(&[conformance::sample_row(5), conformance::sample_row(6)]).await.unwrap();
    let attempts = "SELECT string_agg(concat_ws(' ', number, target, outcome), ', ' ORDER BY id, number)
                    FROM usage_attempt_log";
    let served = "1 openai complete";
    let expected = format!("1 openai/gpt-\"4o\" rate_limited, 2 openai/gpt-\"4o\" served, {served}");
    assert_eq!(database.run(attempts), expected);
    store.close().await;
}

/// Another replica makes the partition of a month while rows of it are on their way into the one for all others.
#[tokio::test]
async fn rows_that_come_as_their_month_is_made_are_written() {
    let database = Database::fresh();
    let store = open(database.url(), Config { migrate: true, ..Config::default() }).await.unwrap();
    let row = conformance::sample_row(5);
    let (start, end) = (row.started_at_micros, row.started_at_micros + 1);
    let statements = format!(
        "BEGIN;
         CREATE TABLE usage_new (LIKE usage INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
         ALTER TABLE usage ATTACH PARTITION usage_new FOR VALUES FROM ({start}) TO ({end});
         SELECT pg_sleep(1);
         COMMIT;"
    );
    let making = tokio::task::spawn_blocking(move || {
        database.run(&statements);
        database
    });
    tokio::time::sleep(Duration::from_millis(400)).await;
    store.insert(&[row]).await.unwrap();
    let database = making.await.unwrap();
    assert_eq!(database.run("SELECT count(*) FROM usage_new"), "1");
    store.close().await;
}

/// A caller's deadline, or ours, may end anything at any moment. What is written afterwards must be there all the same.
#[tokio::test]
async fn a_transaction_that_is_given_up_at_any_point_swallows_nothing() {
    let database = Database::fresh();
    // Patient, so that a connection that never comes back is told from a machine that is busy.
    let config = Config { max_connections: 1, acquire_timeout: Duration::from_secs(30), migrate: true };
    let store = open(database.url(), config).await.unwrap();
    let captures = [conformance::sample_capture(1)];
    for polls in 1..64 {
        let mut given_up = Box::pin(store.insert_captures(&captures));
        for _ in 0..polls {
            tokio::select! {
                biased;
                _ = &mut given_up => break,
                () = std::future::ready(()) => {}
            }
            // The database answers meanwhile, or not yet.
            tokio::time::sleep(Duration::from_micros(100 * (polls % 3))).await;
        }
        drop(given_up);
        store.insert(&[conformance::sample_row(polls)]).await.unwrap();
        assert_eq!(database.run("SELECT count(*) FROM usage"), polls.to_string(), "given up after {polls} polls");
    }
    store.close().await;
}

#[tokio::test]
async fn waits_for_a_connection_are_measured_also_those_in_vain() {
    let database = Database::fresh();
    let patience = Duration::from_millis(600);
    let config = Config { max_connections: 1, acquire_timeout: patience, migrate: true };
    let store = open(database.url(), config).await.unwrap();
    let waits = || store.connection_waits().unwrap();
    store.generations().await.unwrap();
    let before = waits();
    assert_eq!((before.in_vain, before.last), (0, before.longest), "{before:?}");
    assert!(before.count() >= 1, "{before:?}");

    // The only connection is taken for as long as a lock is held.
    let (url, locked) = (database.url().to_owned(), Duration::from_secs(2));
    let lock = tokio::task::spawn_blocking(move || Locked::generations(&url)).await.unwrap();
    let holder = tokio::spawn(async move {
        tokio::time::sleep(locked).await;
        drop(lock);
    });
    let (held, refused) = tokio::join!(store.generations(), async {
        // After the first has the connection.
        tokio::time::sleep(Duration::from_millis(200)).await;
        store.generations().await
    });
    holder.await.unwrap();
    held.unwrap();
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Unavailable);
    let after = waits();
    assert_eq!((after.in_vain, after.count()), (1, before.count() + 2), "{after:?}");
    assert!(after.longest >= patience && after.last >= patience, "{after:?}");
    assert!(after.longer_than(WAIT_BOUNDS[4]) >= 1 && after.total >= after.longest, "{after:?}");
}

/// A session that holds a lock until it is dropped.
struct Locked(std::process::Child);

impl Locked {
    /// On what every replica reads.
    fn generations(url: &str) -> Self {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap();
        let mut session = std::process::Command::new(root.join("scripts/postgres"))
            .args(["psql", "-qtAX", "-d", url])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let statements = "BEGIN; LOCK TABLE generation IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n";
        session.stdin.as_mut().unwrap().write_all(statements.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(session.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        Self(session)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Its input ends, and with it the session.
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_passes_the_suite_of_all_stores() {
    pass_the_suite(Database::fresh).await;
}

/// On the oldest that is promised, where Debian's package of it is installed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_passes_it_on_postgres_15_too() {
    const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
    if !std::path::Path::new(PROGRAMS).join("postgres").exists() {
        eprintln!("skipped: there is no PostgreSQL 15 in {PROGRAMS}; apt-get install postgresql-15 brings it");
        return;
    }
    let server = OwnServer::start_with("fifteen", &[("POSTGRES_PROGRAMS", PROGRAMS)]);
    let version = server.database().run("SHOW server_version");
    assert!(version.starts_with("15."), "{version}");
    pass_the_suite(|| server.database()).await;
}

async fn pass_the_suite(database: impl Fn() -> Database) {
    let databases = std::sync::Mutex::new(Vec::new());
    let fresh = async || {
        let database = database();
        let store =
            open(database.url(), Config { max_connections: 4, migrate: true, ..Config::default() }).await.unwrap();
        databases.lock().unwrap().push(database);
        store
    };
    conformance::usage_store(fresh).await;
    conformance::usage_sum_store(fresh).await;
    conformance::identity_store(fresh).await;
    conformance::token_store(fresh).await;
    conformance::budget_store(fresh).await;
    conformance::answer_store(fresh).await;
    conformance::capture_store(fresh).await;
    conformance::limit_store(fresh).await;
}
