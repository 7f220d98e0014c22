//! Claims about the store on SQLite, through its public face: the shared suite, and what is special about a file.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{path::Path, sync::Arc};

use sabir_store::{
    BatchConfig, Operation, Outcome, Protocol, StoreErrorKind, TokenSource, UsageFilter, UsageStore, UsageWriter,
    conformance::{self, sample_row},
};
use sabir_store_sqlite::{Config, SqliteStore, open};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::{TempDir, tempdir};

async fn open_in(folder: &TempDir) -> SqliteStore {
    open(folder.path().join("sabir.db").to_str().unwrap(), Config::default()).await.unwrap()
}

/// A connection beside the store, as the `sqlite3` shell would have it.
async fn shell(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_passes_the_suite_of_all_stores() {
    let folders = std::sync::Mutex::new(Vec::new());
    let fresh = async || {
        let folder = tempdir().unwrap();
        let store = open_in(&folder).await;
        folders.lock().unwrap().push(folder);
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

#[tokio::test]
async fn rows_are_there_after_reopening() {
    let folder = tempdir().unwrap();
    let store = open_in(&folder).await;
    let writer = UsageWriter::start(Arc::new(store.clone()), BatchConfig::default());
    for number in 0..100 {
        writer.reserve().await.unwrap().record(sample_row(number));
    }
    assert_eq!(writer.close().await, 0);
    store.close().await;
    assert!(!folder.path().join("sabir.db-wal").exists(), "the write-ahead log is folded into the file");

    let store = open_in(&folder).await;
    assert_eq!(store.count().await.unwrap(), 100);
    store.insert(&[sample_row(100)]).await.unwrap();
    assert_eq!(store.list(&UsageFilter::default(), 1).await.unwrap(), [sample_row(100)]);
}

#[tokio::test]
async fn rows_are_there_after_the_process_died() {
    let folder = tempdir().unwrap();
    let store = open_in(&folder).await;
    store.insert(&[sample_row(1)]).await.unwrap();
    // A copy of the files at this moment is what a killed process leaves behind.
    let after = tempdir().unwrap();
    for file in ["sabir.db", "sabir.db-wal"] {
        std::fs::copy(folder.path().join(file), after.path().join(file)).unwrap();
    }
    assert_eq!(open_in(&after).await.count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_url_opens_the_same_file_as_its_path() {
    let folder = tempdir().unwrap();
    open_in(&folder).await.insert(&[sample_row(1)]).await.unwrap();
    for prefix in ["sqlite:", "sqlite://"] {
        let url = format!("{prefix}{}", folder.path().join("sabir.db").display());
        assert_eq!(open(&url, Config::default()).await.unwrap().count().await.unwrap(), 1, "{url}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempdir().unwrap();
    let store = open_in(&folder).await;
    store.insert(&[sample_row(1)]).await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn two_processes_may_open_a_file() {
    let folder = tempdir().unwrap();
    let (first, second) = (open_in(&folder).await, open_in(&folder).await);
    let rows: Vec<_> = (0..1_000).map(sample_row).collect();
    let (one, other) = rows.split_at(500);
    let write = async |store: &SqliteStore, rows: &[_]| {
        for chunk in rows.chunks(100) {
            store.insert(chunk).await.unwrap();
        }
    };
    tokio::join!(write(&first, one), write(&second, other));
    assert_eq!(first.count().await.unwrap(), 1_000);
}

#[tokio::test]
async fn every_code_has_its_name_in_the_database() {
    let folder = tempdir().unwrap();
    open_in(&folder).await.close().await;
    let mut expected: Vec<(String, i64, String)> = Vec::new();
    let mut add = |kind: &str, code: u8, name: &str| expected.push((kind.to_owned(), code.into(), name.to_owned()));
    Operation::ALL.iter().for_each(|operation| add("operation", operation.code(), operation.as_str()));
    Outcome::ALL.iter().for_each(|outcome| add("outcome", outcome.code(), outcome.as_str()));
    Protocol::ALL.iter().for_each(|protocol| add("protocol", protocol.code(), protocol.as_str()));
    TokenSource::ALL.iter().for_each(|source| add("token_source", source.code(), source.as_str()));

    let mut shell = shell(&folder.path().join("sabir.db")).await;
    let stored: Vec<(String, i64, String)> =
        sqlx::query_as("SELECT kind, code, name FROM usage_code ORDER BY kind, code")
            .fetch_all(&mut shell)
            .await
            .unwrap();
    assert_eq!(stored, expected);
}

#[tokio::test]
async fn people_can_read_the_log() {
    let folder = tempdir().unwrap();
    let store = open_in(&folder).await;
    store.insert(&[sample_row(5)]).await.unwrap();
    let mut shell = shell(&folder.path().join("sabir.db")).await;
    let line: (String, String, String, String, String, f64) = sqlx::query_as(
        "SELECT started_at, protocol, operation, outcome, token_source, latency_ms FROM usage_log LIMIT 1",
    )
    .fetch_one(&mut shell)
    .await
    .unwrap();
    let text = |text: &str| text.to_owned();
    let expected =
        (text("2026-09-21T14:13:20.005Z"), text("rest"), text("chat"), text("complete"), text("reported"), 523.0);
    assert_eq!(line, expected);
    let attempts: Vec<(i64, String, String, f64)> =
        sqlx::query_as("SELECT number, target, outcome, latency_ms FROM usage_attempt_log ORDER BY number")
            .fetch_all(&mut shell)
            .await
            .unwrap();
    let target = || text("openai/gpt-\"4o\"");
    let expected = [(1, target(), text("rate_limited"), 0.9), (2, target(), text("served"), 0.9)];
    assert_eq!(attempts, expected);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempdir().unwrap();
    let store = open_in(&folder).await;
    store.insert(&[sample_row(1)]).await.unwrap();
    store.close().await;
    let path = folder.path().join("sabir.db");
    let mut newer = shell(&path).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&mut newer)
    .await
    .unwrap();
    newer.close().await.unwrap();

    let error = open(path.to_str().unwrap(), Config::default()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Schema);
    let message = error.message();
    assert!(
        message.contains(path.to_str().unwrap()) && message.contains("newer") && message.contains("99"),
        "{message}"
    );
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "these are notes, not a database\n".repeat(100);
    std::fs::write(&path, &notes).unwrap();
    let error = open(path.to_str().unwrap(), Config::default()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
}

#[tokio::test]
async fn an_unusable_place_is_named_with_the_way_out() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let places = [
        (folder.path().join("missing/sabir.db"), "does not exist"),
        (folder.path().to_owned(), "is a folder"),
        (file.join("sabir.db"), "must be writable"),
    ];
    for (path, expected) in places {
        let error = open(path.to_str().unwrap(), Config::default()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.message().contains(path.to_str().unwrap()) && error.message().contains(expected), "{error}");
    }
    for location in ["", "sqlite::memory:", "postgres://user:secret@host/db"] {
        let error = open(location, Config::default()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.message().contains("sqlite:PATH") && !error.message().contains("secret"), "{error}");
    }
}
