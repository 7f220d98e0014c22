//! A request that came over HTTP, routed: its body, query and path become one message.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use tonic::Status;
use tonic::body::Body;

use super::body::{read_body, too_large};
use super::coding::Decoded;
use super::fault::Fault;
use super::{Bound, Pending, Refusal, messages, query};
use crate::admission::Share;
use crate::frame;
use crate::route::{BodyPart, Route};
use crate::transcoder::Shared;

impl Shared {
    /// Turns a routed HTTP request into a gRPC request and says which RPC it calls.
    pub(super) async fn bind(
        self: &Arc<Self>,
        pending: Pending,
        request: &mut Request<Body>,
        share: &mut Share,
    ) -> Result<Bound, Refusal> {
        let Pending { route, uri, content } = pending;
        let mut body = std::mem::take(request.body_mut());
        if let Some(coding) = content.coding {
            body = Body::new(Decoded::new(body, coding));
        }
        if route.method.client_streaming && route.body != BodyPart::None {
            // What is wrong with path or query is said before the call, not in its midst.
            self.bind_uri(&route, &uri, &mut Vec::new(), 0)?;
            let method = route.method.clone();
            let fault = Fault::default();
            *request.body_mut() = messages::body(self.clone(), route, uri, content.layout, body, fault.clone());
            *request.uri_mut() = Uri::from(method.path.clone());
            return Ok(Bound { method, fault: Some(fault) });
        }
        let limits = &route.method.limits;
        let json = match route.body {
            BodyPart::None => Bytes::new(),
            _ => read_body(body, limits.max_body, limits.body_idle_timeout, share).await?,
        };
        let input = route.method.input;
        let mut message = frame::start(json.len());
        match route.body {
            _ if json.is_empty() => {}
            BodyPart::Whole => self.plans.read(input, &json, limits.json, &mut message)?,
            BodyPart::Field(field) => self.plans.read_field(input, field, &json, limits.json, &mut message)?,
            BodyPart::None => {}
        }
        self.bind_uri(&route, &uri, &mut message, frame::HEADER)?;
        let method = match &route.twin {
            Some((field, twin)) if self.plans.is_true(input, *field, &message[frame::HEADER..]) => twin,
            _ => &route.method,
        };
        let message = frame::seal(message).ok_or_else(|| too_large(u32::MAX as usize))?;
        *request.body_mut() = Body::new(Full::from(message));
        *request.uri_mut() = Uri::from(method.path.clone());
        Ok(Bound { method: method.clone(), fault: None })
    }

    /// Appends what query and path say to the message that begins at byte `start`.
    pub(crate) fn bind_uri(&self, route: &Route, uri: &Uri, message: &mut Vec<u8>, start: usize) -> Result<(), Status> {
        if let Some(query) = uri.query()
            && route.body != BodyPart::Whole
        {
            query::bind(self, route, query, message)?;
        }
        let captures = route
            .captures(uri.path(), self.config.fully_decode_reserved_expansion)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        for (path, text) in captures {
            query::put_final(&self.plans, path, &text, message, start)?;
        }
        Ok(())
    }
}
