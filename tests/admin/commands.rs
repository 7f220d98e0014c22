//! The command line: the first administrator, made where there is no server to ask, and what is administered with the key.

mod accounting;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::PASSWORD;
use crate::support::identity::required;
use crate::support::postgres::Database;
use crate::support::server::binary;
use crate::support::{Call, Protocol, Server, Upstream};

/// A server that wants to know who calls, and a person at a terminal of its machine.
struct Machine {
    _upstream: Upstream,
    server: Server,
    config: String,
    database: String,
    folder: TempDir,
}

impl Machine {
    /// With this database, or with one of its own.
    async fn new(database: Option<&str>) -> Self {
        let upstream = Upstream::start();
        let config = format!("{}{}", Server::config_for(&upstream.base_url()), required());
        let variables: Vec<(&str, &str)> = database.map(|url| ("DATABASE_URL", url)).into_iter().collect();
        let server = Server::start_with(&config, &variables).await;
        let database = database.map_or_else(|| server.database(), str::to_owned);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sabir.toml"), &config).unwrap();
        Self { _upstream: upstream, server, config, database, folder }
    }

    /// Runs a command to its end, with this on its standard input.
    async fn run(&self, arguments: &[&str], key: Option<&str>, input: &str) -> Output {
        let mut command = command();
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("DATABASE_URL", &self.database)
            .env("SABIR_URL", format!("http://{}", self.server.address()))
            .envs(key.map(|key| ("SABIR_API_KEY", key)));
        run(command, input.to_owned()).await
    }

    /// What a command prints that must succeed.
    async fn prints(&self, arguments: &[&str], key: Option<&str>, input: &str) -> String {
        let output = self.run(arguments, key, input).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command says that must fail, with this exit code and nothing on standard output.
    async fn fails(&self, code: i32, arguments: &[&str], key: Option<&str>, input: &str) -> String {
        let output = self.run(arguments, key, input).await;
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Makes an administrator.
    async fn create(&self, name: &str, further: &[&str]) -> String {
        let arguments = [&["users", "create-admin", name, "--password-stdin"], further].concat();
        let key = key_in(&self.prints(&arguments, None, &format!("{PASSWORD}\n")).await);
        self.server.keep_secret(&key);
        key
    }
}

/// The program, in an environment of nothing.
fn command() -> Command {
    let program = std::env::var_os("SABIR_BIN").map_or_else(|| binary("sabir"), PathBuf::from);
    let mut command = Command::new("timeout");
    command.arg("20").arg(program).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs a command to its end, with this on its standard input.
async fn run(mut command: Command, input: String) -> Output {
    let end = move || {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who does not want the input may be gone by now.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(end).await.unwrap()
}

/// The key that a command has printed, on a line of its own.
fn key_in(printed: &str) -> String {
    let keys: Vec<&str> = printed.lines().filter(|line| line.starts_with("sk-sabir-")).collect();
    assert_eq!(keys.len(), 1, "{printed}");
    keys[0].to_owned()
}

#[tokio::test]
async fn the_first_administrator_is_made_once() {
    the_first_administrator(Machine::new(None).await).await;
}

#[tokio::test]
async fn on_postgres_too() {
    let database = Database::fresh();
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sabir.toml"), Server::config_for(&upstream.base_url())).unwrap();
    let mut migrate = command();
    migrate.arg("migrate").current_dir(folder.path()).env("DATABASE_URL", database.url());
    let migrated = run(migrate, String::new()).await;
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    the_first_administrator(Machine::new(Some(database.url())).await).await;
}

async fn the_first_administrator(machine: Machine) {
    assert!(machine.server.log().contains("sabir users create-admin NAME"), "the server says what to do");
    // What is refused leaves nothing behind, so that it can be tried again.
    let create = ["users", "create-admin", "alice", "--password-stdin"];
    let said = machine.fails(1, &create, None, "too short\n").await;
    assert!(said.contains("12 characters"), "{said}");
    machine.fails(1, &["users", "create-admin", "a\u{1b}[2J", "--password-stdin"], None, PASSWORD).await;
    let said = machine.fails(2, &["users", "create-admin", "alice"], None, "").await;
    assert!(said.contains("--password-stdin"), "{said}");

    let key = machine.create("alice", &[]).await;
    for protocol in Protocol::ALL {
        let headers = vec![("authorization", format!("Bearer {key}"))];
        let call = Call { headers, ..Call::say("scripted/echo", "Hi") };
        protocol.unary(machine.server.address(), &call).await.unwrap();
    }
    // Before anybody has to think of a password.
    let said = machine.fails(1, &["users", "create-admin", "bob"], None, "").await;
    assert!(said.contains("--another"), "{said}");
    let said = machine.fails(1, &["users", "create-admin", "alice", "--another"], None, "").await;
    assert!(said.contains("of that name"), "{said}");
    let second = machine.create("bob", &["--another"]).await;
    let users: Value =
        serde_json::from_str(&machine.prints(&["users", "list", "--json"], Some(&second), "").await).unwrap();
    let users = users["users"].as_array().unwrap();
    let names: Vec<&Value> = users.iter().map(|user| &user["name"]).collect();
    assert_eq!(names, ["bob", "alice"]);
    assert!(users.iter().all(|user| user["has_password"] == true && user["scopes"] == serde_json::json!(["admin"])));

    let again = Server::start_with(&machine.config, &[("DATABASE_URL", &machine.database)]).await;
    assert!(!again.log().contains("create-admin"), "there is an administrator now");
}

#[tokio::test]
async fn keys_users_limits_and_budgets_are_administered_with_the_key() {
    let machine = Machine::new(None).await;
    let said = machine.fails(1, &["keys", "list"], None, "").await;
    assert!(!said.is_empty());
    let admin = machine.create("alice", &[]).await;
    let admin = Some(admin.as_str());

    let made = machine.prints(&["keys", "create", "--name", "batch", "--expires-in", "90"], admin, "").await;
    let secret = key_in(&made);
    let json = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let list = json(machine.prints(&["keys", "list", "--json"], admin, "").await);
    let batch = list["keys"].as_array().unwrap().iter().find(|key| key["name"] == "batch").unwrap();
    assert_eq!(batch["scopes"], serde_json::json!(["chat", "models.read"]));
    let id = batch["id"].as_str().unwrap();
    let table = machine.prints(&["keys", "list"], admin, "").await;
    assert!(table.starts_with("ID ") && table.lines().count() == 3 && table.contains(id), "{table}");
    assert!(!table.contains(&secret) && !list.to_string().contains(&secret));

    let rotated = json(machine.prints(&["keys", "rotate", id, "--overlap", "60", "--json"], admin, "").await);
    let new = rotated["secret"].as_str().unwrap();
    for key in [&secret, new] {
        machine.server.keep_secret(key);
        machine.prints(&["models"], Some(key), "").await;
        let said = machine.fails(1, &["keys", "list"], Some(key), "").await;
        assert!(said.contains("keys.read"), "{said}");
    }
    let revoked = machine.prints(&["keys", "revoke", id], admin, "").await;
    assert!(revoked.contains("revoked"), "{revoked}");
    let begun = std::time::Instant::now();
    while machine.run(&["models"], Some(&secret), "").await.status.success() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "the key was revoked");
    }
    machine.prints(&["models"], Some(new), "").await;
    let said = machine.fails(1, &["keys", "revoke", "01a20401-b2a4-743d-bbe5-d8e3ff1350cb"], admin, "").await;
    assert!(said.contains("key"), "{said}");

    let carol = json(machine.prints(&["users", "create", "carol", "--json"], admin, "").await);
    let set = ["users", "set-password", carol["id"].as_str().unwrap(), "--password-stdin"];
    machine.prints(&set, admin, PASSWORD).await;
    let users = machine.prints(&["users", "list"], admin, "").await;
    assert!(users.starts_with("ID ") && users.contains("carol") && users.contains("alice"), "{users}");

    let team = json(machine.prints(&["teams", "create", "search", "--models", "openai/*", "--json"], admin, "").await);
    let teams = machine.prints(&["teams"], admin, "").await;
    assert!(teams.starts_with("ID ") && teams.contains("search") && teams.contains("openai/*"), "{teams}");
    machine.prints(&["teams", "delete", team["id"].as_str().unwrap()], admin, "").await;
    assert_eq!(machine.prints(&["teams", "list"], admin, "").await, "There are no teams.\n");
    let audit = machine.prints(&["audit", "--limit", "2"], admin, "").await;
    assert!(audit.starts_with("TIME ") && audit.lines().count() == 3, "{audit}");
    assert!(audit.contains("Teams/DeleteTeam") && audit.contains("Teams/CreateTeam"), "{audit}");
    let target = format!("team {}", team["id"].as_str().unwrap());
    let audit = json(machine.prints(&["audit", "--target", &target, "--json"], admin, "").await);
    assert_eq!(audit["entries"].as_array().unwrap().len(), 2, "{audit}");

    for (create, name) in [
        (&["limits", "create", "--everyone", "--requests", "1000"][..], "limits"),
        (&["budgets", "create", "--everyone", "--period", "month", "--amount", "100"][..], "budgets"),
    ] {
        machine.prints(create, admin, "").await;
        let list = json(machine.prints(&[name, "list", "--json"], admin, "").await);
        assert_eq!(list[name].as_array().unwrap().len(), 1, "{list}");
        let table = machine.prints(&[name, "list"], admin, "").await;
        assert!(table.starts_with("ID ") && table.contains("everyone"), "{table}");
    }
}

#[tokio::test]
async fn a_key_comes_from_a_file_or_from_standard_input() {
    let machine = Machine::new(None).await;
    let key = machine.create("root", &[]).await;
    std::fs::write(machine.folder.path().join("key"), format!("{key}\n")).unwrap();
    std::fs::write(machine.folder.path().join("empty"), "\n").unwrap();
    let list = |file| ["users", "list", "--api-key-file", file];
    assert!(machine.prints(&list("key"), None, "").await.contains("root"));
    assert!(machine.prints(&list("-"), None, &format!("{key}\n")).await.contains("root"));
    assert!(machine.prints(&list("key"), Some("sk-sabir-wrong"), "").await.contains("root"), "before the variable");
    for (file, words) in [("nowhere", "cannot read a key"), ("empty", "there is no key")] {
        let said = machine.fails(1, &list(file), None, "").await;
        assert!(said.contains(words) && said.contains(file), "{said}");
    }
    let help = machine.prints(&["users", "list", "--help"], None, "").await;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("Others on this machine can read the arguments"), "{help}");
}
