//! gRPC services that other people's clients and proxies are tried on, and the transcoder with them.
//!
//! [`testing`] is what gRPC's interoperability clients call; [`probe`] answers with what it was asked. Knows nothing of
//! the tests that use it.

pub mod probe;
pub mod server;
pub mod testing;

/// Where generated code looks for `google.api.HttpBody`.
pub mod google {
    /// Generated.
    #[expect(missing_docs, reason = "generated, and explained by the proto")]
    pub mod api {
        tonic::include_proto!("google.api");
    }
}

use http::Request;
use hyper::body::Incoming;
use tonic::body::Body;
use tower::util::{MapRequest, ServiceExt as _};
use transcode::Services;

/// The descriptor set of both, imports included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Both services, to be served as gRPC or through a transcoder.
pub fn services() -> Services {
    Services::builder().with(testing::service()).with(probe::service()).with(probe::fields()).build()
}

/// Services as a server's connections call them.
pub type Plain = MapRequest<Services, fn(Request<Incoming>) -> Request<Body>>;

/// Both services as an ordinary gRPC server has them: with reflection, and without a transcoder.
///
/// # Errors
/// If the descriptor set cannot be served by reflection.
pub fn plain() -> Result<Plain, tonic_reflection::server::Error> {
    let reflection =
        || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    let services = Services::builder()
        .with(testing::service())
        .with(probe::service())
        .with(probe::fields())
        .with(reflection().build_v1()?)
        .with(reflection().build_v1alpha()?);
    Ok(services.build().map_request(|request| request.map(Body::new)))
}
