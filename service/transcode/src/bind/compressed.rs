//! gRPC messages that come compressed: decoded at the gate, so that what passes is checked whatever its compression.
//!
//! The service behind sees plain messages and needs no compression of its own. Source:
//! <https://github.com/grpc/grpc/blob/master/doc/compression.md>.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tonic::Status;

use super::Refusal;
use super::coding::{Coding, DecodeError};

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// How the messages of one request are compressed, where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compression(Option<Coding>);

impl Compression {
    /// Takes the compression of a gRPC request out of its headers: what is handed on is not compressed.
    ///
    /// One that is not known is UNIMPLEMENTED, with the known ones in `grpc-accept-encoding`.
    pub(crate) fn take(headers: &mut HeaderMap) -> Result<Self, Refusal> {
        let Some(name) = headers.remove(GRPC_ENCODING) else {
            return Ok(Self(None));
        };
        let known = match name.to_str().unwrap_or_default().trim() {
            "identity" => return Ok(Self(None)),
            name => Coding::named(name).filter(|coding| *coding != Coding::Brotli),
        };
        known.map(|coding| Self(Some(coding))).ok_or_else(|| {
            let problem = format!("the compression {name:?} is not known; known are gzip, deflate and zstd");
            let accepted = HeaderValue::from_static("identity,gzip,deflate,zstd");
            Refusal::from(Status::unimplemented(problem)).with_header(GRPC_ACCEPT_ENCODING, accepted)
        })
    }

    /// The message behind a frame's compressed flag, of no more than `limit` bytes.
    pub(crate) fn decode(self, message: &[u8], limit: usize) -> Result<Vec<u8>, Status> {
        let Some(coding) = self.0 else {
            return Err(Status::internal("a message is marked as compressed, but grpc-encoding names no compression"));
        };
        coding.decode(message, limit).map_err(|error| match error {
            DecodeError::Malformed(_) => Status::invalid_argument("the message cannot be decompressed"),
            DecodeError::TooLarge { limit } => {
                Status::resource_exhausted(format!("the message is larger than the limit of {limit} bytes"))
            }
        })
    }
}
