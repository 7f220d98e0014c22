//! What a body says of itself in its headers, and whether a route takes such a body: decided before any of it is read.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method as Verb, Request, StatusCode};
use tonic::Status;
use tonic::body::Body;

use super::Refusal;
use super::body::too_large;
use super::coding::{Coding, Decoded};
use super::messages::{self, Layout};
use super::upload;
use crate::route::{BodyPart, Route};
use crate::transcoder::Shared;

/// The content codings that a body may come in, for `accept-encoding` in a refusal (RFC 9110, section 12.5.3).
const CODINGS: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd");

/// How the body of a request is to be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(super) form: Form,
    coding: Option<Coding>,
}

/// The form of a body.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// JSON; for a request stream, how its messages stand in it, where the content type says so.
    Json(Option<Layout>),
    /// `name=value&name=value`: `application/x-www-form-urlencoded`.
    Pairs,
    /// Whatever it is, of this type.
    Raw(Box<str>),
}

impl Default for Form {
    fn default() -> Self {
        Self::Json(None)
    }
}

impl Content {
    /// Reads the headers of a request for `route`; refuses a body by them alone: of a type that the route does not take,
    /// encoded in an unknown way, or too large.
    pub(crate) fn of(shared: &Shared, route: &Route, request: &Request<Body>) -> Result<Self, Refusal> {
        let headers = request.headers();
        let raw = upload::is_raw(&shared.plans, route);
        if !raw && (route.body == BodyPart::None || http_body::Body::is_end_stream(request.body())) {
            return Ok(Self::default());
        }
        let content_type = headers.get(header::CONTENT_TYPE);
        let form = if raw {
            let text = content_type.map_or(Ok(""), |given| given.to_str());
            text.ok().map(|text| Form::Raw(text.into()))
        } else {
            content_type.and_then(|given| form(shared, route, given))
        };
        let Some(form) = form else { return Err(not_taken(shared, route, request.method())) };
        let coding = coding(headers)?;
        let limits = &route.method.limits;
        let limit = match (route.method.client_streaming, raw) {
            (false, _) => limits.max_body,
            (true, true) => limits.max_upload,
            // The limit holds for each message.
            (true, false) => return Ok(Self { form, coding }),
        };
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > limit as u64) {
            return Err(too_large(limit));
        }
        Ok(Self { form, coding })
    }

    /// The body without its content coding.
    pub(super) fn decode(&self, body: Body) -> Body {
        match self.coding {
            None => body,
            Some(coding) => Body::new(Decoded::new(body, coding)),
        }
    }
}

/// The form that a content type means, if the route takes it.
fn form(shared: &Shared, route: &Route, content_type: &HeaderValue) -> Option<Form> {
    // What nearly every request says.
    if content_type == "application/json" {
        return Some(Form::default());
    }
    if route.method.client_streaming
        && let Some(layout) = messages::layout(content_type)
    {
        return Some(Form::Json(Some(layout)));
    }
    let text = content_type.to_str().ok()?;
    let mut parameters = text.split(';');
    let essence = parameters.next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut parameters = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().trim_matches('"')))
    });
    let charset = |(name, value): (String, &str)| {
        name != "charset" || ["utf-8", "utf8"].iter().any(|utf8| value.eq_ignore_ascii_case(utf8))
    };
    match &*essence {
        "application/x-www-form-urlencoded" if takes_forms(shared, route) => {
            parameters.all(charset).then_some(Form::Pairs)
        }
        "application/json" => parameters.all(charset).then(Form::default),
        other if other.starts_with("application/") && other.ends_with("+json") => {
            parameters.all(charset).then(Form::default)
        }
        _ => None,
    }
}

/// Whether the body is a message with fields to be named.
fn takes_forms(shared: &Shared, route: &Route) -> bool {
    let input = route.method.input;
    shared.config.accept_forms
        && !route.method.client_streaming
        && match route.body {
            BodyPart::None => false,
            BodyPart::Whole => shared.plans.has_members(input),
            BodyPart::Field(field) => {
                shared.plans.child(input, field).is_some() && !shared.plans.is_repeated(input, field)
            }
        }
}

/// 415, with what is taken in the header that the verb has for it (RFC 5789, section 3.1; W3C Linked Data Platform 1.0,
/// section 7.1).
fn not_taken(shared: &Shared, route: &Route, verb: &Verb) -> Refusal {
    let refusal = unsupported("the body must be JSON: send `content-type: application/json`");
    let taken = if takes_forms(shared, route) {
        "application/json, application/x-www-form-urlencoded"
    } else {
        "application/json"
    };
    let header = match *verb {
        Verb::PATCH => HeaderName::from_static("accept-patch"),
        Verb::POST => HeaderName::from_static("accept-post"),
        _ => header::ACCEPT,
    };
    refusal.with_header(header, HeaderValue::from_static(taken))
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
