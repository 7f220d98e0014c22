//! Claims about the store on Postgres, through its public face: the shared suite, and what is special about a server.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::panic, reason = "tests")]

#[path = "../../../../tests/support/postgres.rs"]
mod support;

use sabir_store::{StoreErrorKind, conformance};
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
    conformance::capture_store(fresh).await;
    conformance::limit_store(fresh).await;
}
