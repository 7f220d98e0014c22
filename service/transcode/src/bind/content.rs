//! What a body says of itself in its headers, and whether a route takes such a body: decided before any of it is read.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method as Verb, Request, StatusCode};
use tonic::Status;
use tonic::body::Body;

use super::body::too_large;
use super::coding::{Coding, Decoded};
use super::messages::{self, Layout};
use super::{Refusal, multipart, upload};
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
    /// `multipart/form-data`, divided by this boundary.
    Parts(String),
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
        let limit = match form {
            _ if !route.method.client_streaming => limits.max_body,
            Form::Raw(_) | Form::Parts(_) => limits.max_upload,
            // The limit holds for each message.
            Form::Json(_) | Form::Pairs => return Ok(Self { form, coding }),
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
    if essence == "multipart/form-data" && takes_parts(shared, route) {
        let boundary = parameters.find(|(name, _)| name == "boundary").map(|(_, boundary)| boundary)?;
        // RFC 2046, section 5.1.1.
        return (1..=70).contains(&boundary.len()).then(|| Form::Parts(boundary.to_owned()));
    }
    let is_utf8 = |(name, value): (String, &str)| {
        name != "charset" || ["utf-8", "utf8"].iter().any(|utf8| value.eq_ignore_ascii_case(utf8))
    };
    if essence == "application/x-www-form-urlencoded" && takes_forms(shared, route) {
        return parameters.all(is_utf8).then_some(Form::Pairs);
    }
    let is_json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    (is_json && parameters.all(is_utf8)).then(Form::default)
}

/// Whether the body is a message with fields to be named.
pub(crate) fn takes_forms(shared: &Shared, route: &Route) -> bool {
    let input = route.method.input;
    route.method.accept_forms.unwrap_or(shared.config.accept_forms)
        && !route.method.client_streaming
        && match route.body {
            BodyPart::None => false,
            BodyPart::Whole => shared.plans.has_members(input),
            BodyPart::Field(field) => {
                shared.plans.child(input, field).is_some() && !shared.plans.is_repeated(input, field)
            }
        }
}

/// Whether the body is a message with fields to be named; of a stream, one that can hold a file.
fn takes_parts(shared: &Shared, route: &Route) -> bool {
    if !route.method.client_streaming {
        return takes_forms(shared, route);
    }
    route.method.accept_forms.unwrap_or(shared.config.accept_forms)
        && route.body == BodyPart::Whole
        && multipart::takes_files(&shared.plans, route.method.input)
}

/// 415, with what is taken in the header that the verb has for it (RFC 5789, section 3.1; W3C Linked Data Platform 1.0,
/// section 7.1).
fn not_taken(shared: &Shared, route: &Route, verb: &Verb) -> Refusal {
    let mut taken = vec!["application/json"];
    if route.method.client_streaming {
        taken.push("application/x-ndjson");
    }
    if takes_forms(shared, route) {
        taken.push("application/x-www-form-urlencoded");
    }
    if takes_parts(shared, route) {
        taken.push("multipart/form-data");
    }
    let taken = taken.join(", ");
    let refusal = unsupported(&format!("the body is of a type that is not taken here; taken are: {taken}"));
    let header = match *verb {
        Verb::PATCH => HeaderName::from_static("accept-patch"),
        Verb::POST => HeaderName::from_static("accept-post"),
        _ => header::ACCEPT,
    };
    match HeaderValue::from_str(&taken) {
        Ok(taken) => refusal.with_header(header, taken),
        Err(_) => refusal,
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
