//! A gRPC answer as an HTTP answer.
//!
//! A unary answer is the JSON of its message, or the bytes of a `google.api.HttpBody`. A streamed one is framed as the
//! client wants it: server-sent events ([`events`]), one JSON text a line ([`lines`]), one JSON array ([`array`]), or, for
//! `HttpBody`, the bytes one after the other ([`download`]). In each of them a stream that was cut, or failed, cannot be
//! taken for one that is complete; each says in its own words how. The first message is waited for before the headers go
//! out, so that an error that comes first is answered with its own HTTP status.

mod array;
mod download;
mod events;
pub(crate) mod lines;
mod metadata;
mod stream;
#[cfg(test)]
mod tests;
mod unary;

use std::sync::Arc;

use http::header::{CONTENT_RANGE, HeaderMap, RETRY_AFTER};
use http::{Response, StatusCode};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::accept::{Framing, Wanted};
use crate::bind::Called;
use crate::json::WriteError;
use crate::route::{Method, Route};
use crate::status::{self, HttpStatus, http_response_with};
use crate::transcoder::Shared;

/// Renders the gRPC answer to a request of `route`.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    route: &Route,
    wanted: Wanted,
    answer: Response<Body>,
) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let method = parts.extensions.remove::<Called>().map_or_else(|| route.method.clone(), |called| called.0);
    let http = parts.extensions.remove::<HttpStatus>().map(|status| status.0);
    let call = Call::new(shared, route, method, wanted);
    if let Some(status) = status::of_headers(&parts.headers).filter(|status| status.code() != Code::Ok) {
        return call.failed(status, http);
    }
    let rendered = match (call.method.server_streaming, call.part) {
        (false, _) => unary::answer(&call, &mut parts.headers, body).await,
        (true, Part::Body(field)) => download::answer(&call, field, &mut parts.headers, body).await,
        (true, _) => match wanted.framing {
            Framing::Events => stream::answer(&call, events::Events, &mut parts.headers, body).await,
            Framing::Lines(name) => stream::answer(&call, lines::Lines(name), &mut parts.headers, body).await,
            Framing::Array => stream::answer(&call, array::Array::default(), &mut parts.headers, body).await,
        },
    };
    rendered.unwrap_or_else(|mut status| {
        // What the service sent ahead of its error still belongs to the answer.
        let mut headers = parts.headers;
        metadata::append(status.metadata().clone().into_headers(), &mut headers);
        *status.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
        call.failed(status, http)
    })
}

/// Which part of a message is its JSON or its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All of it, as JSON.
    Whole,
    /// One field, as JSON.
    Field(u16),
    /// The bytes of a `google.api.HttpBody`: the message, or the field of this number in it.
    Body(Option<u32>),
}

/// The call that is being answered.
#[derive(Debug, Clone)]
struct Call {
    shared: Arc<Shared>,
    /// The RPC that was called in the end.
    method: Arc<Method>,
    part: Part,
    /// Whether the client reads trailers.
    trailers: bool,
    /// Whether the client wants the headers alone.
    head: bool,
}

impl Call {
    fn new(shared: &Arc<Shared>, route: &Route, method: Arc<Method>, wanted: Wanted) -> Self {
        // A twin answers in a message of its own, in which the route names no field.
        let own = Arc::ptr_eq(&route.method, &method);
        let part = match (route.http_body_field, route.response_body) {
            (Some(number), _) if own => Part::Body(Some(number)),
            (None, Some(field)) if own => Part::Field(field),
            _ if method.http_body => Part::Body(None),
            _ => Part::Whole,
        };
        Self { shared: shared.clone(), method, part, trailers: wanted.trailers, head: wanted.head }
    }

    /// Appends the JSON of a message; on an error `out` is as it was.
    fn write(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
        let start = out.len();
        let plans = &self.shared.plans;
        let written = match self.part {
            Part::Field(field) => plans.write_field(self.method.output, field, message, out),
            Part::Whole | Part::Body(_) => plans.write(self.method.output, message, out),
        };
        written.map_err(|error: WriteError| {
            out.truncate(start);
            Status::internal(error.to_string())
        })
    }

    /// The answer to a call that failed before anything of it was sent.
    fn failed(&self, status: Status, http: Option<StatusCode>) -> Response<Body> {
        let sent = status.metadata().clone().into_headers();
        // The header says how long the body is that the range lies beyond (RFC 9110, section 15.5.17).
        let unsatisfied = matches!(self.part, Part::Body(_)) && status.code() == Code::OutOfRange;
        let http =
            http.or((unsatisfied && sent.contains_key(CONTENT_RANGE)).then_some(StatusCode::RANGE_NOT_SATISFIABLE));
        let mut response = http_response_with(Some(&self.shared.plans), self.method.error_shape, &status, http);
        if sent.contains_key(RETRY_AFTER) {
            response.headers_mut().remove(RETRY_AFTER);
        }
        metadata::append(sent, response.headers_mut());
        response
    }
}

/// How an answer ended, by its trailers; one that ends without them was cut short.
pub(crate) fn end_of(trailers: Option<&HeaderMap>) -> Status {
    trailers.and_then(status::of_headers).unwrap_or_else(cut_short)
}

pub(crate) fn cut_short() -> Status {
    Status::unavailable("the answer ended before it was complete")
}
