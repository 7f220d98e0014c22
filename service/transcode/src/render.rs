//! A gRPC answer as an HTTP answer.

mod events;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tonic::{Code, Status};

use self::events::EventBody;
use crate::bind::Called;
use crate::edge::lone_status;
use crate::frame::Deframer;
use crate::route::{Method, Route};
use crate::status::{HttpStatus, http_response};
use crate::transcoder::Shared;

/// Renders the gRPC answer to a request of `route`.
pub(crate) async fn answer(shared: &Arc<Shared>, route: &Route, answer: Response<Body>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let method = parts.extensions.remove::<Called>().map_or_else(|| route.method.clone(), |called| called.0);
    let shape = method.error_shape;
    let http = parts.extensions.remove::<HttpStatus>().map(|status| status.0);
    if let Some(status) = lone_status(&parts.headers).filter(|status| status.code() != Code::Ok) {
        return failed(shape, &status, http, parts.headers);
    }
    let rendered = if method.server_streaming {
        stream(shared, method, body).await
    } else {
        unary(shared, route, &method, body).await
    };
    match rendered {
        Ok(mut response) => {
            keep_metadata(parts.headers, response.headers_mut());
            response
        }
        Err(status) => failed(shape, &status, http, parts.headers),
    }
}

fn failed(shape: crate::ErrorShape, status: &Status, http: Option<StatusCode>, metadata: HeaderMap) -> Response<Body> {
    let mut response = http_response(shape, status, http);
    keep_metadata(metadata, response.headers_mut());
    response
}

/// Carries the metadata of the answer over as headers, but for what gRPC itself needs.
fn keep_metadata(metadata: HeaderMap, headers: &mut HeaderMap) {
    let mut last: Option<HeaderName> = None;
    for (name, value) in metadata {
        let name = name.or_else(|| last.clone());
        last.clone_from(&name);
        let Some(name) = name else { continue };
        let text = name.as_str();
        if !text.starts_with("grpc-") && name != CONTENT_TYPE && text != "content-length" && text != "trailer" {
            headers.append(name, value);
        }
    }
}

/// The one message of a unary answer as JSON.
async fn unary(shared: &Shared, route: &Route, method: &Method, mut body: Body) -> Result<Response<Body>, Status> {
    let mut deframer = Deframer::default();
    let mut message = None;
    let mut ended = None;
    while let Some(frame) = body.frame().await {
        match frame?.into_data().map_err(Frame::into_trailers) {
            Ok(data) => {
                deframer.push(data);
                if message.is_none() {
                    message = deframer.next().map_err(|error| Status::internal(error.to_string()))?;
                }
            }
            Err(trailers) => ended = trailers.ok(),
        }
    }
    end_of(ended)?;
    let message = message
        .filter(|_| deframer.is_empty())
        .ok_or_else(|| Status::internal("the service gave no answer, or more than one"))?;
    let mut json = Vec::with_capacity(message.len() * 2);
    let written = match route.response_body {
        None => shared.plans.write(method.output, &message, &mut json),
        Some(field) => shared.plans.write_field(method.output, field, &message, &mut json),
    };
    written.map_err(|error| Status::internal(error.to_string()))?;
    let mut response = Response::new(Body::new(Full::from(Bytes::from(json))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The status in the trailers; an answer that ends without them was cut short.
fn end_of(trailers: Option<HeaderMap>) -> Result<(), Status> {
    let status = trailers.as_ref().and_then(Status::from_header_map);
    match status {
        Some(status) if status.code() == Code::Ok => Ok(()),
        Some(status) => Err(status),
        None => Err(Status::unavailable("the answer ended before it was complete")),
    }
}

/// The messages of a streamed answer as server-sent events.
///
/// The first item is waited for: an error that comes before any message is answered with its own HTTP status.
async fn stream(shared: &Arc<Shared>, method: Arc<Method>, mut body: Body) -> Result<Response<Body>, Status> {
    let first = match body.frame().await {
        None => {
            return Err(Status::unavailable("the answer ended before it was complete"));
        }
        Some(frame) => frame?,
    };
    if let Some(trailers) = first.trailers_ref() {
        end_of(Some(trailers.clone()))?;
    }
    let mut response = Response::new(Body::new(EventBody::new(shared.clone(), method, first, body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Asks nginx and its like not to hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}
