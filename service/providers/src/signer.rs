//! Credentials that are not a fixed header: signatures over a request, and tokens that run out.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};

use crate::error::UpstreamError;
use crate::transport::Transport;

/// Shows credentials in each request. It is asked for every attempt, right before the request is sent, and may look at the
/// clock and fetch a token.
pub trait Signer: Send + Sync {
    /// Adds the headers that the request needs.
    ///
    /// # Errors
    /// Credentials that cannot be had now.
    fn sign<'a>(
        &'a self,
        transport: &'a Transport,
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a mut HeaderMap,
        body: &'a Bytes,
    ) -> BoxFuture<'a, Result<(), UpstreamError>>;
}
