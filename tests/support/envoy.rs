//! Envoy as a process of its own. Knows nothing of what stands behind it.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::PATIENCE;
use super::server::free_address;
use crate::clients::process::installed;

/// A running Envoy. It is killed when it is dropped.
pub(crate) struct Envoy {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Envoy {
    /// Starts it with this configuration, in which `@LISTEN@` is the port that is chosen for it and `@FOLDER@` this
    /// folder, and waits until it listens.
    pub(crate) async fn start(folder: TempDir, configuration: &str) -> Self {
        let address = free_address();
        let configuration = configuration
            .replace("@LISTEN@", &address.port().to_string())
            .replace("@FOLDER@", folder.path().to_str().unwrap());
        let file = folder.path().join("envoy.yaml");
        std::fs::write(&file, configuration).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(installed("interop/bin/envoy"))
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--config-path"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut envoy = Self { child, address, folder };
        envoy.wait().await;
        envoy
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    async fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            let ended = self.ended();
            assert!(ended.is_none() && Instant::now() < deadline, "Envoy did not start: {ended:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
