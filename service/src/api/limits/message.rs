//! Limits as the contract has them, from and to what the store keeps.

use sabir_proto::v1::Limit;
use sabir_proto::v1::limit::SubjectKind;
use sabir_store::Subject;
use tonic::Status;

use crate::api::time::timestamp;
use crate::error::field_status;

/// What can change of a limit.
pub(super) const FIGURES: [&str; 5] =
    ["requests_per_minute", "request_burst", "tokens_per_minute", "token_burst", "concurrent_requests"];

/// The subject of this kind and name; `None` if there is none such.
pub(super) fn parse_subject(kind: SubjectKind, name: &str) -> Option<Subject> {
    let kind = match kind {
        SubjectKind::Unspecified => return None,
        SubjectKind::Everyone => "everyone",
        SubjectKind::Team => "team",
        SubjectKind::User => "user",
        SubjectKind::Key => "key",
        SubjectKind::External => "external",
        SubjectKind::Model => "model",
    };
    Subject::parse(kind, name)
}

fn kind_of(subject: &Subject) -> SubjectKind {
    match subject {
        Subject::Everyone => SubjectKind::Everyone,
        Subject::Team(_) => SubjectKind::Team,
        Subject::User(_) => SubjectKind::User,
        Subject::Key(_) => SubjectKind::Key,
        Subject::External(_) => SubjectKind::External,
        Subject::Model(_) => SubjectKind::Model,
    }
}

/// The limit with those figures of the message that are chosen.
///
/// # Errors
/// It would limit nothing, or have a burst without a rate.
pub(super) fn with_figures(
    limit: sabir_store::Limit,
    message: &Limit,
    chosen: impl Fn(&str) -> bool,
) -> Result<sabir_store::Limit, Status> {
    let choose = |figure: &str, new: Option<u32>, old: Option<u32>| if chosen(figure) { new } else { old };
    let [requests, request_burst, tokens, token_burst, concurrent] = FIGURES;
    let limit = sabir_store::Limit {
        requests_per_minute: choose(requests, message.requests_per_minute, limit.requests_per_minute),
        request_burst: choose(request_burst, message.request_burst, limit.request_burst),
        tokens_per_minute: choose(tokens, message.tokens_per_minute, limit.tokens_per_minute),
        token_burst: choose(token_burst, message.token_burst, limit.token_burst),
        concurrent_requests: choose(concurrent, message.concurrent_requests, limit.concurrent_requests),
        ..limit
    };
    let rates = [
        ("limit.request_burst", limit.request_burst, limit.requests_per_minute),
        ("limit.token_burst", limit.token_burst, limit.tokens_per_minute),
    ];
    for (field, burst, rate) in rates {
        if burst.is_some() && rate.is_none() {
            return Err(field_status(field, "means nothing without a rate per minute"));
        }
    }
    if limit.requests_per_minute.is_none() && limit.tokens_per_minute.is_none() && limit.concurrent_requests.is_none() {
        return Err(field_status(
            "limit",
            "limits nothing: give requests_per_minute, tokens_per_minute or concurrent_requests",
        ));
    }
    Ok(limit)
}

pub(super) fn limit_message(limit: &sabir_store::Limit) -> Limit {
    Limit {
        id: limit.id.to_string(),
        subject_kind: kind_of(&limit.subject).into(),
        subject: limit.subject.name(),
        requests_per_minute: limit.requests_per_minute,
        request_burst: limit.request_burst,
        tokens_per_minute: limit.tokens_per_minute,
        token_burst: limit.token_burst,
        concurrent_requests: limit.concurrent_requests,
        create_time: Some(timestamp(limit.created_at_micros)),
    }
}
