//! The real server as a child process, with a folder, a configuration, a port and a database of its own.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use sabir_store::{Store, UsageFilter, UsageRow};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{DatabaseKind, PATIENCE, databases, http, postgres::Database, secret::Secrets};

/// A running server. It is killed when it is dropped; if the test fails, its log is shown, and if a secret is in its log,
/// the test fails.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
    /// Whether it speaks TLS alone.
    encrypted: bool,
    /// Its database, unless that is a file in its folder.
    postgres: Option<Database>,
    store: OnceCell<Box<dyn Store>>,
    secrets: Mutex<Secrets>,
    variables: Vec<(String, String)>,
}

impl Server {
    /// A configuration with one provider, `scripted`, which speaks OpenAI's protocol at this base URL.
    pub(crate) fn config_for(base_url: &str) -> String {
        format!(
            "[providers.scripted]\nvendor = \"openai\"\nbase_url = \"{base_url}\"\napi_key = \"sk-scripted\"\n\n\
             [local]\nenabled = false\n\n[models]\ndefault_provider = \"scripted\"\n\n"
        )
    }

    /// Starts the server with this configuration file and waits until it is ready.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_with(config, &[]).await
    }

    /// Starts the server with this configuration file and a database of its own of this kind, and waits until it is ready.
    pub(crate) async fn start_on(database: DatabaseKind, config: &str) -> Self {
        match database {
            DatabaseKind::Sqlite => Self::start(config).await,
            DatabaseKind::Postgres => {
                let database = Database::fresh();
                sabir_store_postgres::migrate(database.url()).await.unwrap();
                let mut server = Self::start_with(config, &[("DATABASE_URL", database.url())]).await;
                server.postgres = Some(database);
                server
            }
        }
    }

    /// Starts the server with this configuration file and these variables, and waits until it is ready.
    pub(crate) async fn start_with(config: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sabir.toml"), config).unwrap();
        let address = free_address();
        let child = command(folder.path(), address).envs(variables.iter().copied()).spawn().unwrap();
        let secrets = Mutex::new(Secrets::of(config, variables));
        let encrypted = config.contains("[server.tls]");
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (postgres, store) = Default::default();
        let mut server = Self { child, address, folder, encrypted, postgres, store, secrets, variables };
        server.wait_until_ready().await;
        server
    }

    /// Starts the server with a configuration it must refuse; its exit status and what it said.
    pub(crate) fn refuse(config: &str) -> (ExitStatus, String) {
        Self::refuse_with(config, &[])
    }

    /// Starts the server with a configuration and variables that it must refuse; its exit status and what it said.
    pub(crate) fn refuse_with(config: &str, variables: &[(&str, &str)]) -> (ExitStatus, String) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sabir.toml"), config).unwrap();
        let status = command(folder.path(), free_address()).envs(variables.iter().copied()).status().unwrap();
        let log = log_in(folder.path());
        Secrets::of(config, variables).assert_none_in(&log);
        (status, log)
    }

    /// Has it held against the server if this is in its log: what a test was given or sends besides the configuration.
    pub(crate) fn keep_secret(&self, secret: &str) {
        self.secrets.lock().unwrap().add(secret);
    }

    /// Its configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("sabir.toml")
    }

    /// The file it logs to.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its database, as a configuration names it.
    pub(crate) fn database(&self) -> String {
        match &self.postgres {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite:{}", self.folder.path().join("sabir.db").display()),
        }
    }

    /// Its process id.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its standard output and standard error.
    pub(crate) fn log(&self) -> String {
        log_in(self.folder.path())
    }

    /// Asks it to stop, as an operator or Kubernetes does.
    pub(crate) fn ask_to_stop(&self) {
        self.signal("-TERM");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.process_id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server did not stop within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.ask_to_stop();
        self.ended().await
    }

    /// Starts it again, where it was and as it was, once it has ended, and waits until it is ready.
    pub(crate) async fn start_again(&mut self) {
        self.ended().await;
        self.child = command(self.folder.path(), self.address).envs(self.variables.iter().cloned()).spawn().unwrap();
        self.wait_until_ready().await;
    }

    /// The usage rows, in the order in which the calls began, as soon as there are this many. More are an error.
    pub(crate) async fn usage_rows(&self, count: usize) -> Vec<UsageRow> {
        let store = self.store.get_or_init(async || databases::open(&self.database()).await).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut rows = store.list(&UsageFilter::default(), u32::MAX).await.unwrap();
            if rows.len() >= count {
                rows.reverse();
                assert_eq!(rows.len(), count, "one row for every call: {rows:#?}");
                return rows;
            }
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {count} usage rows; there are {rows:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended at its start: {status}");
            }
            // Before it listens, the connection is refused. It listens when all else is done.
            let listens = TcpStream::connect(self.address).is_ok();
            if listens && (self.encrypted || http::get(self.address, "/readyz").await.0 == 200) {
                return;
            }
            assert!(Instant::now() < deadline, "the server was not ready within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            show(&self.log());
        } else {
            self.secrets.lock().unwrap().assert_none_in(&self.log());
        }
    }
}

#[expect(clippy::print_stderr, reason = "the log explains why a test failed")]
fn show(log: &str) {
    eprintln!("---- log of the server ----\n{log}---- end of the log ----");
}

fn log_in(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// The server's command (what `SABIR_BIN` names, else what was built): nothing of this process's environment that could configure it, everything in its own folder.
fn command(folder: &Path, address: SocketAddr) -> Command {
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let program = std::env::var_os("SABIR_BIN").map_or_else(|| binary("sabir"), PathBuf::from);
    let mut command = Command::new(program);
    command
        .arg("serve")
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("SABIR_LISTEN", address.to_string())
        .env("SABIR_ADMIN__ENABLED", "false")
        .env("DATABASE_URL", format!("sqlite:{}", folder.join("sabir.db").display()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command
}

/// What `cargo build -p NAME` leaves beside the tests.
pub(crate) fn binary(name: &str) -> PathBuf {
    // target/PROFILE/deps/sabir-0123456789abcdef
    let tests = std::env::current_exe().unwrap();
    let binary = tests.parent().and_then(Path::parent).unwrap().join(name);
    assert!(binary.is_file(), "there is no {}; build it with `cargo build -p {name}`", binary.display());
    binary
}

/// A port nobody listens on, below those the system gives to outgoing connections, so that none of them takes it before
/// the server does.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 12_000 + u16::try_from(std::process::id() % 16_000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 4_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
