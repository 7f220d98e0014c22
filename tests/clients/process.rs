//! Runs a client as a process of its own. It knows where clients are installed and how long one may take, and nothing of
//! what they do.

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a client may run. Far more than any needs, for machines that are busy, and for the real local model.
const LIMIT: Duration = Duration::from_secs(240);

/// A client that is about to run.
pub(crate) struct Client {
    name: String,
    command: Command,
}

/// What a client did.
#[derive(Debug)]
pub(crate) struct Outcome {
    name: String,
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A child that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Client {
    /// A script of `tests/clients/python`.
    pub(crate) fn python(script: &str) -> Self {
        Self::python_tool(script).arg(root().join("tests/clients/python").join(script))
    }

    /// The Python that the scripts run with, to run a module of it.
    pub(crate) fn python_tool(name: &str) -> Self {
        // Scripts find each other, and leave nothing behind in the source tree.
        Self::new(name, &installed("python/bin/python")).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1")
    }

    /// A script of `tests/clients/node`.
    pub(crate) fn node(script: &str) -> Self {
        let folder = root().join("tests/clients/node");
        assert!(folder.join("node_modules/openai").is_dir(), "the client for Node is not there; {WAY_OUT}");
        Self::new(script, Path::new("node")).arg(folder.join(script))
    }

    /// A script of `tests/browser`, which drives Chromium.
    pub(crate) fn browser(script: &str) -> Self {
        let folder = root().join("tests/browser");
        assert!(
            folder.join("node_modules/playwright-core").is_dir(),
            "what drives the browser is not there; {WAY_OUT}"
        );
        Self::new(script, Path::new("node")).arg(folder.join(script))
    }

    /// grpcurl.
    pub(crate) fn grpcurl() -> Self {
        Self::new("grpcurl", &installed("bin/grpcurl"))
    }

    /// gRPC's interoperability client, in Go.
    pub(crate) fn grpc_interop() -> Self {
        Self::new("gRPC's interoperability client", &installed("interop/bin/client"))
    }

    /// A tool that judges OpenAPI documents, or makes clients of them.
    pub(crate) fn openapi(tool: &str) -> Self {
        Self::new(tool, &installed(&format!("openapi/{tool}")))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUTF8", "1")
    }

    /// A script of `tests/helm`, which judges the chart, the image and what belongs to them.
    pub(crate) fn helm(script: &str) -> Self {
        Self::new(script, &installed("helm/python/bin/python"))
            .arg(root().join("tests/helm").join(script))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUTF8", "1")
    }

    /// A program for Node that a test made.
    pub(crate) fn node_program(path: &Path) -> Self {
        Self::new(&path.display().to_string(), Path::new("node")).arg(path)
    }

    /// buf, run in the top folder.
    pub(crate) fn buf() -> Self {
        Self::new("buf", &installed("python/bin/buf"))
    }

    fn new(name: &str, program: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root()).stdin(Stdio::null());
        // A proxy of the machine must not get in between, and no variable may change what the SDKs do.
        for variable in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
            let lower = variable.to_ascii_lowercase();
            if lower.ends_with("_proxy") || lower.starts_with("openai_") || lower.starts_with("python") {
                command.env_remove(variable);
            }
        }
        Self { name: name.to_owned(), command }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it in this folder.
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end.
    pub(crate) async fn run(mut self) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let output = |name: &str| folder.path().join(name);
        // Files, not pipes: nobody has to read while the client runs.
        self.command.stdout(File::create(output("stdout")).unwrap()).stderr(File::create(output("stderr")).unwrap());
        let mut running = match self.command.spawn() {
            Ok(child) => Running(child),
            Err(error) => panic!("{} cannot be run ({error}); {WAY_OUT}", self.name),
        };
        let read = |name: &str| String::from_utf8_lossy(&std::fs::read(output(name)).unwrap()).into_owned();
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = running.0.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "{} still ran after {LIMIT:?}\n{}\n{}",
                self.name,
                read("stdout"),
                read("stderr")
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Outcome { name: self.name, success: status.success(), stdout: read("stdout"), stderr: read("stderr") }
    }

    /// Runs it to its end, which must be a success; what it printed.
    pub(crate) async fn succeeds(self) -> String {
        let outcome = self.run().await;
        assert!(outcome.success, "{outcome}");
        show(&outcome.stdout);
        outcome.stdout
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, success, stdout, stderr } = self;
        let how = if *success { "succeeded" } else { "failed" };
        write!(formatter, "{name} {how}\n---- standard output ----\n{stdout}\n---- standard error ----\n{stderr}")
    }
}

#[expect(clippy::print_stdout, reason = "which claims held is shown with --nocapture, or when a later assertion fails")]
fn show(output: &str) {
    println!("{output}");
}

const WAY_OUT: &str = "run `make clients` (make test does)";

/// The top folder of the project.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A program below `target/clients`.
pub(crate) fn installed(path: &str) -> PathBuf {
    let program = root().join("target/clients").join(path);
    assert!(program.exists(), "{} is not there; {WAY_OUT}", program.display());
    program
}
