//! A service that judges, asked by HTTP: `POST` with what was said as JSON, answered with a judgement as JSON.

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::Serialize;

use super::judge::{Judgement, Told};
use crate::outgoing::{HttpsClient, https_client};

/// The largest judgement, in bytes.
const LARGEST: usize = 64 << 10;

/// How many connections are kept.
const CONNECTIONS: usize = 8;

/// Where to ask.
#[derive(Debug)]
pub(super) struct Webhook {
    uri: Uri,
    client: HttpsClient<Full<Bytes>>,
}

#[derive(Serialize)]
struct Question<'a> {
    stage: &'static str,
    caller: &'a str,
    messages: &'a [Told],
}

impl Webhook {
    /// One at this address.
    ///
    /// # Errors
    /// When the machine has no certificates to verify others by.
    pub(super) fn new(uri: Uri) -> Result<Self, String> {
        Ok(Self { uri, client: https_client(CONNECTIONS)? })
    }

    /// Asks.
    ///
    /// # Errors
    /// Why there is no judgement.
    pub(super) async fn ask(&self, stage: &'static str, caller: &str, messages: &[Told]) -> Result<Judgement, String> {
        let question = Question { stage, caller, messages };
        let body = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
        let request = Request::post(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Full::from(body))
            .map_err(|error| error.to_string())?;
        let answer =
            self.client.request(request).await.map_err(|error| format!("the webhook does not answer: {error}"))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the webhook answers with {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| format!("the webhook's answer cannot be read: {error}"))?.to_bytes();
        serde_json::from_slice(&body).map_err(|error| format!("the webhook's judgement cannot be read: {error}"))
    }
}
