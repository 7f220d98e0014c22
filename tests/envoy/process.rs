//! Envoy's transcoder as a process of its own, in front of a gRPC server. Knows nothing of what is asked of it.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use prost_reflect::DescriptorPool;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::answer::{CLOSED, answer_of};
use super::record::Probe;
use crate::clients::process::installed;
use crate::support::PATIENCE;
use crate::support::server::free_address;

const CONFIGURATION: &str = include_str!("envoy.yaml");

/// A running Envoy. It is killed when it is dropped.
pub(super) struct Envoy {
    child: Child,
    address: SocketAddr,
    backend: SocketAddr,
    folder: TempDir,
}

impl Envoy {
    /// Its answer to a probe. A probe that ends the process is answered by the next.
    pub(super) async fn answer(&mut self, probe: &Probe) -> Value {
        let answer = answer_of(self.address, probe).await;
        if answer != json!(CLOSED) {
            return answer;
        }
        // The connection may close a little earlier than the process ends.
        for _ in 0..50 {
            if let Some(status) = self.child.try_wait().unwrap() {
                *self = Self::in_front_of(self.backend).await;
                return json!(format!("the process ends ({status})"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        answer
    }

    /// Starts it in front of this server and waits until it listens.
    pub(super) async fn in_front_of(backend: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let descriptors = folder.path().join("descriptors.bin");
        std::fs::write(&descriptors, with_error_details(backend::DESCRIPTORS)).unwrap();
        let address = free_address();
        let configuration = CONFIGURATION
            .replace("@LISTEN@", &address.port().to_string())
            .replace("@BACKEND@", &backend.port().to_string())
            .replace("@DESCRIPTORS@", descriptors.to_str().unwrap());
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
        let mut envoy = Self { child, address, backend, folder };
        envoy.wait().await;
        envoy
    }

    async fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait().unwrap();
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

/// Adds the messages of google/rpc/error_details.proto, without which Envoy cannot show them.
fn with_error_details(descriptors: &[u8]) -> Vec<u8> {
    let mut pool = DescriptorPool::decode(descriptors).unwrap();
    pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET).unwrap();
    pool.encode_to_vec()
}
