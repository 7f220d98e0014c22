//! A real Postgres for tests: the one that `scripts/postgres` starts, with a fresh database for each test. Also part of the
//! Postgres crate's own tests.
//!
//! `TEST_DATABASE_URL` names another server to use; its user must be allowed to create databases.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A database of a test's own, empty. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Database {
    url: String,
    /// The server's other database, from which this one is made and removed.
    server: String,
    name: String,
}

impl Database {
    /// A fresh database on the server that all tests share, which is started if need be.
    pub(crate) fn fresh() -> Self {
        let server = std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| script(&["start"], &[]));
        Self::on(server)
    }

    /// A fresh database on a server.
    fn on(server: String) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        statement(&server, &format!("CREATE DATABASE {name}"));
        let (address, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{address}/{name}"), server, name }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements in it, as an operator would.
    pub(crate) fn run(&self, statements: &str) -> String {
        statement(&self.url, statements)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A test that stops its server leaves nothing to remove.
        let _ = psql(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// A server of a test's own, which can be stopped and started while others go on. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct OwnServer {
    name: String,
    url: String,
    /// For `scripts/postgres`.
    variables: Vec<(String, String)>,
}

impl OwnServer {
    /// Starts one. The name must be no other test's.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// Starts one with these variables for `scripts/postgres`, which says what they mean.
    pub(crate) fn start_with(name: &str, variables: &[(&str, &str)]) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let variables: Vec<_> = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let url = script(&["start", &name], &variables);
        Self { name, url, variables }
    }

    /// A fresh database on it.
    pub(crate) fn database(&self) -> Database {
        Database::on(self.url.clone())
    }

    /// Stops it at once, as a crash would.
    pub(crate) fn stop(&self) {
        script(&["stop", &self.name], &self.variables);
    }

    /// Starts it again, on the same port.
    pub(crate) fn start_again(&self) {
        assert_eq!(script(&["start", &self.name], &self.variables), self.url);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        script(&["wipe", &self.name], &self.variables);
    }
}

/// Runs `scripts/postgres` and returns what it prints.
fn script(arguments: &[&str], variables: &[(String, String)]) -> String {
    let output = Command::new(program()).args(arguments).envs(variables.iter().cloned()).output().unwrap();
    assert!(output.status.success(), "scripts/postgres {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn program() -> PathBuf {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join("scripts/postgres").exists());
    root.unwrap().join("scripts/postgres")
}

fn statement(url: &str, statements: &str) -> String {
    psql(url, statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
}

/// Runs statements with psql, which is not in the way of the store's own connections.
fn psql(url: &str, statements: &str) -> Result<String, String> {
    let output = Command::new(program())
        .args(["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-c", statements, "-d", url])
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
