//! `sabir.v1.RequestLog`.

use std::time::SystemTime;

use depends::RequestExt;
use prost_types::Timestamp;
use sabir_proto::v1::request_log_server::RequestLog;
use sabir_proto::v1::{Capture, CapturedText, ListCapturesRequest, ListCapturesResponse};
use sabir_store::{CaptureFilter, unix_micros};
use serde::Deserialize;
use tonic::{Request, Response, Status};

use super::paging::{next_page_token, page};
use super::time::timestamp;
use crate::capture::CaptureLog;
use crate::dependencies::AdminSession;
use crate::error::{field_status, store_status};

/// Serves the request log.
#[derive(Clone, Debug)]
pub(crate) struct RequestLogApi;

#[tonic::async_trait]
impl RequestLog for RequestLogApi {
    async fn list_captures(
        &self,
        request: Request<ListCapturesRequest>,
    ) -> Result<Response<ListCapturesResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let log = request.depends::<CaptureLog>().await?;
        let asked = request.into_inner();
        let page = page(asked.page_size, &asked.page_token)?;
        let filter = CaptureFilter {
            since_micros: micros("since", asked.since)?,
            until_micros: micros("until", asked.until)?,
            actor: Some(asked.actor).filter(|actor| !actor.is_empty()),
            team_id: session.reach().team(),
            model: Some(asked.model).filter(|model| !model.is_empty()),
        };
        let found = session.store().list_captures(&filter, page).await;
        let found = found.map_err(|error| store_status(&error))?;
        let next_page_token = next_page_token(page, found.iter().map(|capture| capture.id));
        Ok(Response::new(ListCapturesResponse {
            captures: found.into_iter().map(message).collect(),
            next_page_token,
            dropped: i64::try_from(log.dropped()).unwrap_or(i64::MAX),
        }))
    }
}

/// A time of a request as the store has it.
fn micros(field: &str, time: Option<Timestamp>) -> Result<Option<i64>, Status> {
    let time = time.map(SystemTime::try_from).transpose();
    Ok(time.map_err(|_| field_status(field, "is no time"))?.map(unix_micros))
}

/// A text as captures are stored.
#[derive(Debug, Deserialize)]
struct Stored {
    at: u32,
    role: String,
    #[serde(default)]
    call: String,
    text: String,
}

fn message(capture: sabir_store::Capture) -> Capture {
    // What this server cannot read was written by another version: the capture is listed without it.
    let texts = |stored: &str| -> Vec<CapturedText> {
        let stored: Vec<Stored> = serde_json::from_str(stored).unwrap_or_default();
        stored.into_iter().map(|Stored { at, role, call, text }| CapturedText { at, role, call, text }).collect()
    };
    Capture {
        id: capture.id.to_string(),
        create_time: Some(timestamp(capture.at_micros)),
        actor: capture.actor,
        team_id: capture.team_id.map(|id| id.to_string()).unwrap_or_default(),
        model: capture.model,
        code: capture.code,
        request: texts(&capture.request),
        response: texts(&capture.response),
        cut: capture.cut,
    }
}
