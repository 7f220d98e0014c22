#![doc = include_str!("../README.md")]

mod accept;
mod admission;
mod bind;
mod compress;
pub mod cors;
mod deadline;
mod edge;
mod frame;
pub mod json;
mod limits;
mod linger;
mod metadata;
pub mod openapi;
mod options;
pub mod pages;
mod protocol;
mod remote;
mod render;
mod route;
mod services;
mod status;
mod transcoder;
pub mod validate;
mod watch;
mod websocket;

pub use self::bind::{Bind, BindLayer};
pub use self::deadline::{Deadline, TIMEOUT_HEADER};
pub use self::edge::{Transcode, TranscodeLayer};
pub use self::limits::Limits;
pub use self::metadata::HeaderFilter;
pub use self::options::ErrorShape;
pub use self::protocol::Protocol;
pub use self::remote::{BadAddress, Remote};
#[cfg(feature = "service-config")]
pub use self::route::ServiceConfig;
pub use self::route::{Access, RouteError, RouteInfo};
pub use self::services::{Services, ServicesBuilder};
pub use self::status::{code_name, http_status};

pub use self::transcoder::{BuildError, Config, Transcoder, TranscoderBuilder, UnknownQuery};
pub use self::websocket::Sockets;

/// The folder of the protos that annotations need: `google/api/annotations.proto` and `transcode/v1/options.proto`.
/// Give it to protoc or protox as an include path in a build script.
pub const PROTO_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod tests;
