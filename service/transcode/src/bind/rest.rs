//! A request that came over HTTP, routed: its body, query and path become one message.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use tonic::Status;
use tonic::body::Body;

use super::body::{discard, read_body, too_large};
use super::content::Form;
use super::fault::Fault;
use super::inspect::Origin;
use super::parameters::{Parameters, Source};
use super::{Bound, Pending, Refusal, inspect, mask, messages, multipart, upload};
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
        let (body, bound) = if route.method.client_streaming {
            self.bind_stream(route, uri, content.form, body)?
        } else {
            self.bind_message(&route, &uri, content.form, body, share).await?
        };
        *request.body_mut() = body;
        *request.uri_mut() = Uri::from(bound.method.path.clone());
        Ok(bound)
    }

    /// A request stream, which the body feeds as it arrives.
    fn bind_stream(
        self: &Arc<Self>,
        route: Arc<Route>,
        uri: Uri,
        form: Form,
        body: Body,
    ) -> Result<(Body, Bound), Refusal> {
        // What is wrong with path or query is said before the call, not in its midst.
        self.bind_uri(&route, &uri, &mut Vec::new(), 0)?;
        let (shared, method, fault) = (self.clone(), route.method.clone(), Fault::default());
        let body = match form {
            Form::Raw(content_type) => upload::stream(shared, route, uri, content_type, body, fault.clone()),
            Form::Parts(boundary) => multipart::Upload { body, boundary }.stream(shared, route, uri, fault.clone()),
            Form::Json(layout) => messages::body(shared, route, uri, layout, body, fault.clone()),
            // Not a form of a stream; `Content::of` has refused it.
            Form::Pairs => Body::empty(),
        };
        let body = inspect::body(self.clone(), method.clone(), Origin::Converter, body, fault.clone());
        Ok((body, Bound { method, fault: Some(fault) }))
    }

    /// One message, of the whole body, the query and the path.
    async fn bind_message(
        &self,
        route: &Route,
        uri: &Uri,
        form: Form,
        body: Body,
        share: &mut Share,
    ) -> Result<(Body, Bound), Refusal> {
        let limits = &route.method.limits;
        let mut parameters = Parameters::new(self, route, frame::HEADER);
        let mut message;
        let (mut text, mut json) = (Bytes::new(), false);
        if let Form::Parts(boundary) = form {
            message = frame::start(256);
            let upload = multipart::Upload { body, boundary };
            // Boxed: what it needs while it waits would make every other request's future larger.
            Box::pin(upload.read(self, &mut parameters, route, &mut message, share)).await?;
        } else {
            match route.body {
                BodyPart::None => discard(body, limits.max_body, limits.body_idle_timeout).await?,
                _ => text = read_body(body, limits.max_body, limits.body_idle_timeout, share).await?,
            }
            message = frame::start(text.len());
            self.bind_text(route, &form, &text, &mut parameters, &mut message)?;
            json = matches!(form, Form::Json(_));
        }
        parameters.uri(uri, &mut message)?;
        parameters.finish(&mut message)?;
        if json {
            mask::infer(self, route, &text, &mut message, frame::HEADER)?;
        }
        self.validator.validate(route.method.input, &message[frame::HEADER..])?;
        let method = match &route.twin {
            Some((field, twin)) if self.plans.is_true(route.method.input, *field, &message[frame::HEADER..]) => twin,
            _ => &route.method,
        };
        let message = frame::seal(message).ok_or_else(|| too_large(u32::MAX as usize))?;
        Ok((Body::new(Full::from(message)), Bound { method: method.clone(), fault: None }))
    }

    /// Appends what a body says that is there as a whole.
    fn bind_text(
        &self,
        route: &Route,
        form: &Form,
        text: &[u8],
        parameters: &mut Parameters<'_>,
        message: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let (input, json) = (route.method.input, route.method.limits.json);
        match (form, route.body) {
            (Form::Raw(content_type), _) => upload::put(&self.plans, route, content_type, text, message),
            _ if text.is_empty() => {}
            (Form::Pairs, _) => {
                let pairs = std::str::from_utf8(text).map_err(|_| Status::invalid_argument("the form is not UTF-8"))?;
                parameters.pairs(Source::Form, pairs, message)?;
            }
            (Form::Json(_), BodyPart::Whole) => self.plans.read(input, text, json, message)?,
            (Form::Json(_), BodyPart::Field(field)) => self.plans.read_field(input, field, text, json, message)?,
            (Form::Json(_), BodyPart::None) | (Form::Parts(_), _) => {}
        }
        Ok(())
    }

    /// Appends what query and path say to the message that begins at byte `start`.
    pub(crate) fn bind_uri(&self, route: &Route, uri: &Uri, message: &mut Vec<u8>, start: usize) -> Result<(), Status> {
        let mut parameters = Parameters::new(self, route, start);
        parameters.uri(uri, message)?;
        parameters.finish(message).map(drop)
    }
}
