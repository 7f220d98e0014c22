//! What a request says besides its message, as dependencies see it.

use std::net::SocketAddr;
use std::time::Instant;

use http::uri::PathAndQuery;
use tonic::Extensions;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpConnectInfo;

use crate::deadline;

/// The head of a request. It is a copy, made when a handler asks for its first dependency, so that dependencies can
/// outlive the request that the handler takes apart.
#[derive(Debug)]
pub struct Head {
    pub(crate) arrival: Arrival,
    pub(crate) metadata: MetadataMap,
    pub(crate) extensions: Extensions,
}

/// What the layer notes of a request.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) path: Option<PathAndQuery>,
}

impl Head {
    /// The headers.
    pub fn metadata(&self) -> &MetadataMap {
        &self.metadata
    }

    /// What layers further out put into the request's extensions.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What was called: `/package.Service/Method`.
    pub fn path(&self) -> &str {
        self.arrival.path.as_ref().map_or("/", PathAndQuery::path)
    }

    /// When the request came to the layer.
    pub fn received(&self) -> Instant {
        self.arrival.at
    }

    /// When the call must be over, the stream included, as the header `grpc-timeout` says.
    pub fn deadline(&self) -> Option<Instant> {
        let header = self.metadata.get("grpc-timeout")?.to_str().ok()?;
        self.arrival.at.checked_add(deadline::parse(header)?)
    }

    /// Whose connection it came by, where tonic's own server has it noted.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr)
    }
}
