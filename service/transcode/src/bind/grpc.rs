//! A request that came as gRPC: its messages are checked before the service sees them.

use std::sync::Arc;

use http::Request;
use http_body_util::Full;
use tonic::body::Body;
use tonic::{Code, Status};

use super::body::{read_body, too_large};
use super::compressed::Compression;
use super::fault::Fault;
use super::inspect::Origin;
use super::{Refusal, inspect};
use crate::admission::Share;
use crate::frame;
use crate::transcoder::Shared;

impl Shared {
    /// Checks the message of a gRPC request; the messages of one that streams are checked as they pass, and what is
    /// wrong with them will stand in the fault.
    pub(super) async fn check(
        self: &Arc<Self>,
        request: &mut Request<Body>,
        share: &mut Share,
    ) -> Result<Option<Fault>, Refusal> {
        let Some(method) = self.routes.method(request.uri().path()) else {
            return Ok(None);
        };
        let compression = Compression::take(request.headers_mut())?;
        if method.client_streaming {
            let (body, fault) = (std::mem::take(request.body_mut()), Fault::default());
            let origin = Origin::Stranger(compression);
            *request.body_mut() = inspect::body(self.clone(), method.clone(), origin, body, fault.clone());
            return Ok(Some(fault));
        }
        let limits = &method.limits;
        let limit = limits.max_body;
        let body = std::mem::take(request.body_mut());
        let bytes = read_body(body, limit.saturating_add(frame::HEADER), limits.body_idle_timeout, share).await?;
        let Some(header) = bytes.first_chunk::<{ frame::HEADER }>() else {
            let problem = if bytes.is_empty() { "the request holds no message" } else { "the message is cut short" };
            let code = if bytes.is_empty() { Code::Unimplemented } else { Code::InvalidArgument };
            return Err(Status::new(code, problem).into());
        };
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if length > limit {
            return Err(too_large(limit));
        }
        match bytes.len().cmp(&(frame::HEADER + length)) {
            std::cmp::Ordering::Less => {
                return Err(Status::invalid_argument("the message is cut short").into());
            }
            std::cmp::Ordering::Greater => {
                return Err(Status::unimplemented("the request holds more than one message").into());
            }
            std::cmp::Ordering::Equal => {}
        }
        let framed = match header[0] {
            0 => bytes,
            1 => {
                let plain = compression.decode(&bytes[frame::HEADER..], limit)?;
                share.grow(plain.len())?;
                let mut framed = frame::start(plain.len());
                framed.extend_from_slice(&plain);
                frame::seal(framed).ok_or_else(|| too_large(limit))?
            }
            flag => return Err(Status::internal(format!("a message has the flag {flag}, which is not known")).into()),
        };
        self.plans.check_within(method.input, &framed[frame::HEADER..], limits.json)?;
        self.validator.validate(method.input, &framed[frame::HEADER..])?;
        *request.body_mut() = Body::new(Full::from(framed));
        Ok(None)
    }
}
