//! A request that came over HTTP, routed: its body, query and path become one message.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use tonic::Status;
use tonic::body::Body;

use super::body::{read_body, too_large};
use super::coding::Decoded;
use super::{Pending, Refusal, query};
use crate::frame;
use crate::json::Mode;
use crate::route::{BodyPart, Method};
use crate::transcoder::Shared;

impl Shared {
    /// Turns a routed HTTP request into a gRPC request and says which RPC it calls.
    pub(super) async fn bind(&self, pending: Pending, request: &mut Request<Body>) -> Result<Arc<Method>, Refusal> {
        let Pending { route, uri, content } = pending;
        let body = std::mem::take(request.body_mut());
        let json = match (route.body, content.coding) {
            (BodyPart::None, _) => Bytes::new(),
            (_, None) => read_body(body, self.config.max_body, self.config.body_idle_timeout).await?,
            (_, Some(coding)) => {
                let decoded = Body::new(Decoded::new(body, coding));
                read_body(decoded, self.config.max_body, self.config.body_idle_timeout).await?
            }
        };
        let input = route.method.input;
        let mut message = frame::start(json.len());
        match route.body {
            _ if json.is_empty() => {}
            BodyPart::Whole => self.plans.read(input, &json, Mode::Strict, &mut message)?,
            BodyPart::Field(field) => self.plans.read_field(input, field, &json, &mut message)?,
            BodyPart::None => {}
        }
        if let Some(query) = uri.query()
            && route.body != BodyPart::Whole
        {
            query::bind(self, &route, query, &mut message)?;
        }
        let captures = route
            .captures(uri.path(), self.config.fully_decode_reserved_expansion)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        for (path, text) in captures {
            query::put_final(&self.plans, path, &text, &mut message, frame::HEADER)?;
        }
        let method = match &route.twin {
            Some((field, twin)) if self.plans.is_true(input, *field, &message[frame::HEADER..]) => twin,
            _ => &route.method,
        };
        let message = frame::seal(message).ok_or_else(|| too_large(u32::MAX as usize))?;
        *request.body_mut() = Body::new(Full::from(message));
        *request.uri_mut() = Uri::from(method.path.clone());
        Ok(method.clone())
    }
}
