#![doc = include_str!("../README.md")]
#![warn(missing_debug_implementations)]

mod authorization;
mod call;
mod client;
mod connect;
mod details;
mod error;
mod governance;
mod identity;
mod limits;
mod stream;
mod usage;

pub use authorization::Authorization;
pub use call::CallOptions;
pub use client::Client;
pub use connect::ConnectOptions;
pub use error::{CallError, Error, FieldViolation};
pub use stream::ChatStream;
pub use usage::UsageTable;

/// The messages of the API.
pub use sabir_proto::v1;
/// The gRPC status codes.
pub use tonic::Code;
