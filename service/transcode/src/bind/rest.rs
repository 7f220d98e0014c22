//! A request that came over HTTP, routed: its body, query and path become one message.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use tonic::Status;
use tonic::body::Body;

use super::body::{read_body, too_large};
use super::content::Form;
use super::fault::Fault;
use super::parameters::{Parameters, Source};
use super::{Bound, Pending, Refusal, mask, messages, upload};
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
        let body = content.decode(std::mem::take(request.body_mut()));
        let method = &route.method;
        if method.client_streaming && route.body != BodyPart::None {
            // What is wrong with path or query is said before the call, not in its midst.
            self.bind_uri(&route, &uri, &mut Vec::new(), 0)?;
        }
        let bound = match content.form {
            Form::Json(layout) if method.client_streaming && route.body != BodyPart::None => {
                let (method, fault) = (method.clone(), Fault::default());
                *request.body_mut() = messages::body(self.clone(), route, uri, layout, body, fault.clone());
                Bound { method, fault: Some(fault) }
            }
            Form::Raw(content_type) if method.client_streaming => {
                let (method, fault) = (method.clone(), Fault::default());
                *request.body_mut() = upload::stream(self.clone(), route, uri, content_type, body, fault.clone());
                Bound { method, fault: Some(fault) }
            }
            form => {
                let limits = &route.method.limits;
                let text = match route.body {
                    BodyPart::None => Bytes::new(),
                    _ => read_body(body, limits.max_body, limits.body_idle_timeout, share).await?,
                };
                let message = self.message(&route, &uri, &form, &text)?;
                let method = match &route.twin {
                    Some((field, twin))
                        if self.plans.is_true(route.method.input, *field, &message[frame::HEADER..]) =>
                    {
                        twin
                    }
                    _ => &route.method,
                };
                let message = frame::seal(message).ok_or_else(|| too_large(u32::MAX as usize))?;
                *request.body_mut() = Body::new(Full::from(message));
                Bound { method: method.clone(), fault: None }
            }
        };
        *request.uri_mut() = Uri::from(bound.method.path.clone());
        Ok(bound)
    }

    /// The message that a whole body, the query and the path make, behind the room for its frame header.
    fn message(&self, route: &Route, uri: &Uri, form: &Form, text: &[u8]) -> Result<Vec<u8>, Refusal> {
        let (input, json) = (route.method.input, route.method.limits.json);
        let mut message = frame::start(text.len());
        let mut parameters = Parameters::new(self, route, frame::HEADER);
        match (form, route.body) {
            (Form::Raw(content_type), _) => upload::put(&self.plans, route, content_type, text, &mut message),
            _ if text.is_empty() => {}
            (_, BodyPart::None) => {}
            (Form::Pairs, _) => {
                let pairs = std::str::from_utf8(text).map_err(|_| Status::invalid_argument("the form is not UTF-8"))?;
                parameters.pairs(Source::Form, pairs, &mut message)?;
            }
            (Form::Json(_), BodyPart::Whole) => self.plans.read(input, text, json, &mut message)?,
            (Form::Json(_), BodyPart::Field(field)) => self.plans.read_field(input, field, text, json, &mut message)?,
        }
        parameters.uri(uri, &mut message)?;
        parameters.finish(&mut message)?;
        if let Form::Json(_) = form {
            mask::infer(self, route, text, &mut message, frame::HEADER)?;
        }
        Ok(message)
    }

    /// Appends what query and path say to the message that begins at byte `start`.
    pub(crate) fn bind_uri(&self, route: &Route, uri: &Uri, message: &mut Vec<u8>, start: usize) -> Result<(), Status> {
        let mut parameters = Parameters::new(self, route, start);
        parameters.uri(uri, message)?;
        parameters.finish(message)
    }
}
