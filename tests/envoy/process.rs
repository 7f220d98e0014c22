//! Envoy's transcoder in front of a gRPC server. Knows nothing of what is asked of it.

use std::net::SocketAddr;
use std::time::Duration;

use prost_reflect::DescriptorPool;
use serde_json::{Value, json};

use super::answer::{CLOSED, answer_of};
use super::record::Probe;
use crate::support::envoy::Envoy;

const CONFIGURATION: &str = include_str!("envoy.yaml");

/// An Envoy that transcodes for a server.
pub(super) struct Transcoding {
    envoy: Envoy,
    backend: SocketAddr,
}

impl Transcoding {
    /// Its answer to a probe. A probe that ends the process is answered by the next.
    pub(super) async fn answer(&mut self, probe: &Probe) -> Value {
        let answer = answer_of(self.envoy.address(), probe).await;
        if answer != json!(CLOSED) {
            return answer;
        }
        // The connection may close a little earlier than the process ends.
        for _ in 0..50 {
            if let Some(status) = self.envoy.ended() {
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
        std::fs::write(folder.path().join("descriptors.bin"), with_error_details(backend::DESCRIPTORS)).unwrap();
        let configuration = CONFIGURATION.replace("@BACKEND@", &backend.port().to_string());
        Self { envoy: Envoy::start(folder, &configuration).await, backend }
    }
}

/// Adds the messages of google/rpc/error_details.proto, without which Envoy cannot show them.
fn with_error_details(descriptors: &[u8]) -> Vec<u8> {
    let mut pool = DescriptorPool::decode(descriptors).unwrap();
    pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET).unwrap();
    pool.encode_to_vec()
}
