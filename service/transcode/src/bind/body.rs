//! Reads request bodies: no more than allowed, no slower than allowed.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::{Code, Status};

use super::Refusal;
use crate::admission::Share;

/// Reads a body to its end: no more than `limit` bytes, no pause longer than `idle`. What is in memory is counted in
/// `share`, for as long as the caller keeps it.
pub(super) async fn read_body(
    mut body: Body,
    limit: usize,
    idle: Duration,
    share: &mut Share,
) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(data) = next_chunk(&mut body, idle).await? {
        if first.len() + all.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        share.grow(data.len())?;
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Reads a body that means nothing, to its end: while some of it is to come and nobody reads it, a caller over HTTP/1.1
/// that goes away is not noticed.
pub(super) async fn discard(mut body: Body, limit: usize, idle: Duration) -> Result<(), Refusal> {
    let mut length = 0usize;
    while !http_body::Body::is_end_stream(&body)
        && let Some(data) = next_chunk(&mut body, idle).await?
    {
        length = length.saturating_add(data.len());
        if length > limit {
            return Err(too_large(limit));
        }
    }
    Ok(())
}

/// The next piece of a body; `None` at its end.
pub(super) async fn next_chunk(body: &mut Body, idle: Duration) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = tokio::time::timeout(idle, body.frame()).await.map_err(|_| {
            Refusal::new(Status::deadline_exceeded("the body did not arrive in time"), StatusCode::REQUEST_TIMEOUT)
        })?;
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|status| match status.code() {
            // What a decoder found wrong; a transport does not say so.
            Code::InvalidArgument => status,
            // Not CANCELLED: tonic takes that code in a request stream for the stream's normal end.
            _ => Status::aborted("the body broke off"),
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

pub(super) fn too_large(limit: usize) -> Refusal {
    let problem = format!("the body is larger than the limit of {limit} bytes");
    Refusal::new(Status::resource_exhausted(problem), StatusCode::PAYLOAD_TOO_LARGE)
}
