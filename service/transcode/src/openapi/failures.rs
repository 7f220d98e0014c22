//! The answers that are errors, one component for each code and shape.

use std::collections::BTreeSet;

use http::StatusCode;

use super::document::{MediaType, OrReference, Response, ResponseHeader};
use super::ordered::{Json, Ordered};
use super::schema::{Additional, Schema, Type};
use crate::options::ErrorShape;
use crate::status::code_name;
use tonic::Code;

/// When an operation can fail with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// Where there is a request body.
    Body,
    /// Where callers must say who they are, or what they say of it is checked.
    Secured,
}

/// A code, the name of its component, and what it means.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: u16,
    name: &'static str,
    grpc: Code,
    pub(super) when: When,
    description: &'static str,
    example: &'static str,
}

const fn failure(
    code: u16,
    name: &'static str,
    grpc: Code,
    when: When,
    description: &'static str,
    example: &'static str,
) -> Failure {
    Failure { code, name, grpc, when, description, example }
}

/// Every code that a documented operation can answer. 405 is not among them: no documented operation is answered so.
#[rustfmt::skip]
pub(super) const FAILURES: [Failure; 16] = [
    failure(400, "BadRequest", Code::InvalidArgument, When::Always, "The request is not well-formed, or breaks a rule; where a field is at fault, it is named.", "temperature: must be at most 2"),
    failure(401, "Unauthorized", Code::Unauthenticated, When::Secured, "The caller did not say who they are, or it is not true.", "the API key is not known"),
    failure(403, "Forbidden", Code::PermissionDenied, When::Always, "The caller may not do this.", "this is not allowed"),
    failure(404, "NotFound", Code::NotFound, When::Always, "There is no such thing.", "there is no such thing"),
    failure(408, "RequestTimeout", Code::DeadlineExceeded, When::Body, "The body of the request stopped coming.", "the body stopped coming for 30 s"),
    failure(409, "Conflict", Code::AlreadyExists, When::Always, "It is there already, or somebody else has changed it meanwhile.", "it is there already"),
    failure(413, "ContentTooLarge", Code::ResourceExhausted, When::Body, "The body of the request is larger than the limit.", "the body is larger than the limit of 4194304 bytes"),
    failure(414, "UriTooLong", Code::InvalidArgument, When::Always, "The path with its query is longer than the limit.", "the path with query is longer than the limit of 8192 bytes"),
    failure(415, "UnsupportedMediaType", Code::InvalidArgument, When::Body, "The body of the request is of a media type or a content coding that is not taken here.", "the body must be JSON: send `content-type: application/json`"),
    failure(429, "TooManyRequests", Code::ResourceExhausted, When::Always, "Too much at once, or a quota is used up. `retry-after` says when to try again, where that is known.", "too many requests"),
    failure(431, "RequestHeaderFieldsTooLarge", Code::ResourceExhausted, When::Always, "The headers of the request are larger than the limit.", "the headers are too large"),
    failure(499, "ClientClosedRequest", Code::Cancelled, When::Always, "The call was cancelled.", "the call was cancelled"),
    failure(500, "InternalServerError", Code::Internal, When::Always, "Something is wrong with the server.", "something went wrong"),
    failure(501, "NotImplemented", Code::Unimplemented, When::Always, "The server does not do this.", "this is not implemented"),
    failure(503, "ServiceUnavailable", Code::Unavailable, When::Always, "What is needed to answer is not there now. Try again later.", "not available now"),
    failure(504, "GatewayTimeout", Code::DeadlineExceeded, When::Always, "The answer did not come in time.", "the deadline has passed"),
];

/// Names the components of errors; the shape is part of the name where a document has both.
#[derive(Debug)]
pub(super) struct Failures {
    shapes: BTreeSet<ErrorShape>,
    used: BTreeSet<(u16, ErrorShape)>,
}

impl Failures {
    /// `shapes` are those of all operations of the document.
    pub(super) fn new(shapes: impl Iterator<Item = ErrorShape>) -> Self {
        Self { shapes: shapes.collect(), used: BTreeSet::new() }
    }

    fn suffix(&self, shape: ErrorShape) -> &'static str {
        match shape {
            _ if self.shapes.len() == 1 => "",
            ErrorShape::Status => "",
            ErrorShape::OpenAi if !self.shapes.contains(&ErrorShape::Status) => "",
            ErrorShape::OpenAi => "-OpenAI",
            ErrorShape::OAuth2 => "-OAuth2",
            ErrorShape::Anthropic => "-Anthropic",
        }
    }

    /// The component of an error's body.
    pub(super) fn body(&self, shape: ErrorShape) -> Schema {
        Schema::reference(match shape {
            ErrorShape::Status => "Status",
            ErrorShape::OpenAi => "ErrorResponse",
            ErrorShape::OAuth2 => "OAuth2Error",
            ErrorShape::Anthropic => "AnthropicErrorResponse",
        })
    }

    /// The errors of an operation, in order of their codes.
    pub(super) fn responses(
        &mut self,
        shape: ErrorShape,
        applies: impl Fn(When) -> bool,
    ) -> Vec<(String, OrReference<Response>)> {
        let mut responses = Vec::new();
        for failure in FAILURES.iter().filter(|failure| applies(failure.when)) {
            self.used.insert((failure.code, shape));
            let name = format!("{}{}", failure.name, self.suffix(shape));
            responses.push((failure.code.to_string(), OrReference::to("responses", &name)));
        }
        responses
    }

    /// The components of the errors that were used.
    pub(super) fn components(
        &self,
        headers: &Ordered<OrReference<ResponseHeader>>,
    ) -> (Ordered<Response>, Vec<(String, Schema)>) {
        let mut responses = Ordered::default();
        for &(code, shape) in &self.used {
            let Some(failure) = FAILURES.iter().find(|failure| failure.code == code) else {
                continue;
            };
            let mut headers = headers.clone();
            if matches!(code, 429 | 503) {
                headers.push("retry-after", OrReference::to("headers", "retry-after"));
            }
            let mut content = Ordered::default();
            let schema = Schema { examples: Vec::new(), ..self.body(shape) };
            let mut media = MediaType { schema: Some(schema), ..MediaType::default() };
            media.example = Some(example(failure, shape));
            content.push("application/json", media);
            let description = words(failure, shape).0.to_owned();
            responses
                .push(format!("{}{}", failure.name, self.suffix(shape)), Response { description, headers, content });
        }
        let mut schemas = Vec::new();
        if self.shapes.contains(&ErrorShape::Status) {
            schemas.extend([("Status".to_owned(), status()), ("Status-detail".to_owned(), detail())]);
            schemas.extend(details());
        }
        if self.shapes.contains(&ErrorShape::OpenAi) {
            schemas.extend([("ErrorResponse".to_owned(), envelope()), ("Error".to_owned(), openai_error())]);
        }
        if self.shapes.contains(&ErrorShape::OAuth2) {
            schemas.push(("OAuth2Error".to_owned(), oauth2_error()));
        }
        if self.shapes.contains(&ErrorShape::Anthropic) {
            schemas.push(("AnthropicErrorResponse".to_owned(), anthropic_envelope()));
            schemas.push(("AnthropicError".to_owned(), anthropic_error()));
        }
        (responses, schemas)
    }
}

/// What a code means, and the message of an example. OAuth 2.0 has its own meanings of two codes.
fn words(failure: &Failure, shape: ErrorShape) -> (&'static str, &'static str) {
    match (failure.code, shape) {
        (400, ErrorShape::OAuth2) => (
            "The request is not well-formed, or what it shows is not valid; `error` says which.",
            "grant_type is missing",
        ),
        (401, ErrorShape::OAuth2) => {
            ("The client is not known, or its secret is wrong.", "the client's id or secret is not right")
        }
        _ => (failure.description, failure.example),
    }
}

fn example(failure: &Failure, shape: ErrorShape) -> Json {
    let code = StatusCode::from_u16(failure.code).unwrap_or_default();
    let status = tonic::Status::new(failure.grpc, words(failure, shape).1);
    let body = crate::status::body(None, shape, &status, code);
    std::str::from_utf8(&body).ok().and_then(Json::parse).unwrap_or_else(|| Json::of(&()))
}

/// `google.rpc.Status` as this transcoder writes it: with the name of the code beside its number.
fn status() -> Schema {
    let codes = (1..=16).map(|code| Json::string(code_name(Code::from_i32(code)))).collect();
    let properties = vec![
        (
            "code".to_owned(),
            Schema { minimum: Some(1.into()), maximum: Some(16.into()), ..Schema::formatted(Type::Integer, "int32") }
                .described(Some("The gRPC code.".into())),
        ),
        (
            "status".to_owned(),
            Schema { values: codes, ..Schema::of(Type::String) }.described(Some("The code's name.".into())),
        ),
        ("message".to_owned(), Schema::of(Type::String).described(Some("What went wrong, for developers.".into()))),
        (
            "details".to_owned(),
            Schema::array(Schema::reference("Status-detail")).described(Some("What programs can know of it.".into())),
        ),
    ];
    let required = ["code", "status", "message", "details"].map(str::to_owned).to_vec();
    Schema {
        description: Some(
            "An error, as `google.rpc.Status`. `code` is a [gRPC code](https://grpc.io/docs/guides/status-codes/)."
                .into(),
        ),
        properties: Ordered::from(properties),
        required,
        ..Schema::of(Type::Object)
    }
}

/// One of the details that are known, or any other message.
fn detail() -> Schema {
    let any = super::scalars::well_known(crate::json::plan::WellKnown::Any);
    let mut any_of: Vec<Schema> = details().iter().map(|(name, _)| Schema::reference(name)).collect();
    any_of.push(any.described(Some("Another message; `@type` says which.".into())));
    Schema { description: Some("What programs can know of an error.".into()), any_of, ..Schema::default() }
}

/// The details that most errors have.
/// Source: <https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto>.
fn details() -> Vec<(String, Schema)> {
    let text = |words: &str| Schema::of(Type::String).described(Some(words.to_owned()));
    let detail = |name: &str, words: &str, mut properties: Vec<(String, Schema)>| {
        properties.insert(0, ("@type".to_owned(), Schema::constant(&format!("type.googleapis.com/google.rpc.{name}"))));
        let schema = Schema {
            description: Some(words.to_owned()),
            properties: Ordered::from(properties),
            required: vec!["@type".to_owned()],
            ..Schema::of(Type::Object)
        };
        (format!("Status-{name}"), schema)
    };
    let violation = Schema {
        properties: Ordered::from(vec![
            ("field".to_owned(), text("The path of the field, such as `messages[0].role`.")),
            ("description".to_owned(), text("What is wrong with it.")),
            ("reason".to_owned(), text("The rule that it breaks, such as `string.min_len`.")),
        ]),
        ..Schema::of(Type::Object)
    };
    vec![
        detail(
            "BadRequest",
            "Which fields are wrong.",
            vec![("fieldViolations".to_owned(), Schema::array(violation).described(Some("The fields.".into())))],
        ),
        detail(
            "ErrorInfo",
            "Why it failed, for programs.",
            vec![
                ("reason".to_owned(), text("A name for the cause, in upper case.")),
                ("domain".to_owned(), text("Who gives the reasons.")),
                (
                    "metadata".to_owned(),
                    Schema {
                        additional_properties: Some(Additional::Each(Box::new(Schema::of(Type::String)))),
                        ..Schema::of(Type::Object)
                    }
                    .described(Some("More about it.".into())),
                ),
            ],
        ),
        detail(
            "RetryInfo",
            "When to try again.",
            vec![("retryDelay".to_owned(), text("How long to wait, such as `1.5s`."))],
        ),
    ]
}

fn envelope() -> Schema {
    Schema {
        description: Some("An error.".into()),
        properties: Ordered::from(vec![("error".to_owned(), Schema::reference("Error"))]),
        required: vec!["error".to_owned()],
        ..Schema::of(Type::Object)
    }
}

/// Source: <https://platform.openai.com/docs/guides/error-codes>.
fn openai_error() -> Schema {
    let text = |words: &str| Schema::of(Type::String).described(Some(words.to_owned()));
    let kinds =
        ["invalid_request_error", "authentication_error", "permission_error", "rate_limit_error", "server_error"];
    let kind = Schema { values: kinds.into_iter().map(Json::string).collect(), ..text("The kind of error.") };
    let properties = vec![
        ("message".to_owned(), text("What went wrong, for developers.")),
        ("type".to_owned(), kind),
        ("param".to_owned(), text("The member of the request that is at fault, if one is.").or_null()),
        ("code".to_owned(), text("A name for the cause, for programs.").or_null()),
    ];
    let required = ["message", "type", "param", "code"].map(str::to_owned).to_vec();
    Schema {
        description: Some("What went wrong.".into()),
        properties: Ordered::from(properties),
        required,
        ..Schema::of(Type::Object)
    }
}

fn anthropic_envelope() -> Schema {
    let properties =
        vec![("type".to_owned(), Schema::constant("error")), ("error".to_owned(), Schema::reference("AnthropicError"))];
    Schema {
        description: Some("An error.".into()),
        properties: Ordered::from(properties),
        required: vec!["type".to_owned(), "error".to_owned()],
        ..Schema::of(Type::Object)
    }
}

/// Source: <https://docs.claude.com/en/api/errors>.
fn anthropic_error() -> Schema {
    let text = |words: &str| Schema::of(Type::String).described(Some(words.to_owned()));
    let properties = vec![
        ("type".to_owned(), text("The kind of error, such as `invalid_request_error` or `overloaded_error`.")),
        ("message".to_owned(), text("What went wrong, for developers.")),
    ];
    Schema {
        description: Some("What went wrong.".into()),
        properties: Ordered::from(properties),
        required: vec!["type".to_owned(), "message".to_owned()],
        ..Schema::of(Type::Object)
    }
}

/// OAuth 2.0's error. Source: RFC 6749, section 5.2.
fn oauth2_error() -> Schema {
    let text = |words: &str| Schema::of(Type::String).described(Some(words.to_owned()));
    let properties = vec![
        (
            "error".to_owned(),
            text("A name for the cause, for programs: one of RFC 6749, such as `invalid_grant`, or the server's own."),
        ),
        // Visible ASCII and spaces, without quotes and backslashes.
        (
            "error_description".to_owned(),
            Schema { pattern: Some(r"^[ !#-\[\]-~]*$".to_owned()), ..text("What went wrong, for developers.") },
        ),
    ];
    Schema {
        description: Some("What went wrong (RFC 6749, section 5.2).".into()),
        properties: Ordered::from(properties),
        required: ["error", "error_description"].map(str::to_owned).to_vec(),
        ..Schema::of(Type::Object)
    }
}
