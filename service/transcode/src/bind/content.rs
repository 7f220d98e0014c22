//! What a body says of itself in its headers, and whether a route takes such a body: decided before any of it is read.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, StatusCode};
use tonic::Status;
use tonic::body::Body;

use super::Refusal;
use super::body::too_large;
use super::coding::Coding;
use super::messages::{self, Layout};
use crate::route::{BodyPart, Route};

/// The content codings that a body may come in, for `accept-encoding` in a refusal (RFC 9110, section 12.5.3).
const CODINGS: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd");

/// How the body of a request is to be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(super) coding: Option<Coding>,
    /// How the messages of a request stream stand in it, where the content type says so.
    pub(super) layout: Option<Layout>,
}

impl Content {
    /// Reads the headers of a request for `route`; refuses a body by them alone: of a type that the route does not take,
    /// encoded in an unknown way, or too large.
    pub(crate) fn of(route: &Route, request: &Request<Body>) -> Result<Self, Refusal> {
        let headers = request.headers();
        if route.body == BodyPart::None || http_body::Body::is_end_stream(request.body()) {
            return Ok(Self::default());
        }
        let content_type = headers.get(header::CONTENT_TYPE);
        let layout = content_type.filter(|_| route.method.client_streaming).and_then(messages::layout);
        if layout.is_none() && !content_type.is_some_and(is_json) {
            return Err(unsupported("the body must be JSON: send `content-type: application/json`"));
        }
        let coding = coding(headers)?;
        if route.method.client_streaming {
            // The limit holds for each message.
            return Ok(Self { coding, layout });
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > route.method.limits.max_body as u64) {
            return Err(too_large(route.method.limits.max_body));
        }
        Ok(Self { coding, layout })
    }
}

fn unsupported(problem: &str) -> Refusal {
    Refusal::new(Status::invalid_argument(problem), StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

/// The one content coding of a body. Several on top of each other are not taken: nobody sends them but to do harm.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>, Refusal> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let (name, more) = (codings.next(), codings.next());
    let name = match name.map(HeaderValue::to_str) {
        None => return Ok(None),
        Some(Ok(name)) if more.is_none() => name.trim(),
        _ => "",
    };
    if name.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    Coding::named(name).map(Some).ok_or_else(|| {
        unsupported("the body has a content-encoding that is not known: send gzip, deflate, br, zstd or none")
            .with_header(header::ACCEPT_ENCODING, CODINGS)
    })
}

/// `application/json`, or a type with the suffix `+json`, in UTF-8.
fn is_json(content_type: &HeaderValue) -> bool {
    if content_type == "application/json" {
        return true;
    }
    let Ok(text) = content_type.to_str() else {
        return false;
    };
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| part.trim().to_ascii_lowercase().strip_prefix("charset=").map(str::to_owned));
    (essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")))
        && charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"))
}
