//! Gets what an issuer publishes. Bounded in size and time, without redirects, by `https` or on this machine; it must not
//! know what the documents are for.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use serde::de::DeserializeOwned;

use crate::outgoing::{HttpsClient, fetchable, https_client};

/// The largest document, in bytes. Issuers with dozens of keys with certificates stay below a tenth of it.
const LARGEST: usize = 512 << 10;

/// How long a document may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a document did not come. For operators.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct FetchError(String);

/// The JSON document at this address.
pub(super) async fn json<T: DeserializeOwned>(url: &str) -> Result<T, FetchError> {
    let fetched = tokio::time::timeout(PATIENCE, fetch(url)).await;
    let body = fetched.unwrap_or_else(|_| Err(FetchError(format!("{url} does not answer within {PATIENCE:?}"))))?;
    serde_json::from_slice(&body)
        .map_err(|error| FetchError(format!("{url} answers with what cannot be read: {error}")))
}

async fn fetch(url: &str) -> Result<Bytes, FetchError> {
    let uri = fetchable(url).map_err(FetchError)?;
    let client = client().as_ref().map_err(|error| FetchError(error.clone()))?;
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri;
    request.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
    let agent = header::HeaderValue::from_static(concat!("sabir/", env!("CARGO_PKG_VERSION")));
    request.headers_mut().insert(header::USER_AGENT, agent);
    let answer =
        client.request(request).await.map_err(|error| FetchError(format!("{url} does not answer: {error}")))?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError(format!("{url} answers with {}", answer.status())));
    }
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| FetchError(format!("{url} cannot be read: {error}")))
}

/// One client for all issuers. Connections are not kept: documents are fetched once in a while, and a connection belongs
/// to the runtime that opened it.
fn client() -> &'static Result<HttpsClient<Empty<Bytes>>, String> {
    static CLIENT: OnceLock<Result<HttpsClient<Empty<Bytes>>, String>> = OnceLock::new();
    CLIENT.get_or_init(|| https_client(0))
}
