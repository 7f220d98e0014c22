//! Upstream models: pure translation per protocol, and one sender.
//!
//! A protocol is code, a vendor is a row in a table. This crate opens no listener and no database, reads no
//! environment of its own accord, and does not know who its callers are or how they speak to the service.

// What the service sees.
mod error;
mod unsupported;
mod upstream;

// Protocols: bytes in, messages out.
mod anthropic;
mod bedrock;
mod cohere;
mod data_url;
mod dialect;
mod failure;
mod function_tool;
mod gemini;
mod ndjson;
mod ollama;
pub mod openai;
mod protocol;
mod responses;
pub mod sse;
mod tool_choice;
mod vectors;
mod verbatim;

// Around any of them.
mod schemas;

// Vendors: where they are and how they are asked in.
mod credentials;
mod endpoint;
mod signer;
mod sigv4;
pub mod vendors;

// Sending.
mod http_upstream;
mod transport;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod scripted;

// A model in the process.
#[cfg(feature = "local")]
pub mod local;

pub use credentials::{Authentication, Secret};
pub use dialect::{DIALECTS, Dialect, Setup};
pub use endpoint::Endpoint;
pub use error::{SetupError, UpstreamError, UpstreamErrorKind};
pub use http_upstream::HttpUpstream;
pub use openai::OpenAi;
pub use protocol::{Protocol, StreamDecoder, WireRequest, Worded};
pub use schemas::Schemas;
pub use signer::Signer;
pub use sigv4::{AwsKeys, SigV4};
pub use transport::{Transport, TransportConfig};
pub use upstream::{
    ChatCall, ChatFuture, ChunkStream, Dropped, EmbedCall, ModelInfo, OnUnsupported, Origin, Reply, TraceHeaders,
    Upstream,
};
pub use vendors::{Discovered, VENDORS, Vendor, discover, vendor};
