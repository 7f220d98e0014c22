//! What the layers noted about a call to a model, and what goes back beside its answer.

use std::sync::Arc;

use sabir_providers::OnUnsupported;
use sabir_store::Protocol;
use tonic::{Request, Response, Status};

use crate::auth::Principal;
use crate::cache::Control;
use crate::chat::{Answer, Caller, Chat, Failure, ON_UNSUPPORTED, Violation};
use crate::limit::CallLimits;
use crate::structured::{Care, STRUCTURED};
use crate::telemetry::Call;

/// The header by which a caller says how old an answer may be.
const CACHE_CONTROL: &str = "cache-control";

/// What the edge noted about a call.
///
/// # Errors
/// A header that says something we do not know.
pub(super) fn caller<T>(request: &Request<T>, chat: &Chat) -> Result<Caller, Status> {
    let protocol = match request.extensions().get() {
        Some(transcode::Protocol::Rest | transcode::Protocol::WebSocket) => Protocol::Rest,
        Some(transcode::Protocol::GrpcWeb) => Protocol::GrpcWeb,
        Some(transcode::Protocol::Grpc) | None => Protocol::Grpc,
    };
    let principal = request.extensions().get::<Arc<Principal>>().cloned().unwrap_or_else(Principal::nobody);
    let deadline = request.extensions().get::<transcode::Deadline>().map(|deadline| deadline.0);
    let limits = request.extensions().get::<Arc<CallLimits>>().cloned();
    let on_unsupported = match request.metadata().get(ON_UNSUPPORTED).map(|value| value.as_bytes()) {
        None | Some(b"refuse") => OnUnsupported::Refuse,
        Some(b"drop") => OnUnsupported::Drop,
        Some(_) => return Err(wrong_header(ON_UNSUPPORTED, "\"refuse\" or \"drop\"")),
    };
    let care = match request.metadata().get(STRUCTURED).map(|value| value.as_bytes()) {
        None | Some(b"check") => Care::Check,
        Some(b"reask") => Care::Reask,
        Some(b"off") => Care::Off,
        Some(_) => return Err(wrong_header(STRUCTURED, "\"check\", \"reask\" or \"off\"")),
    };
    let cache = request.metadata().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let cache = cache.map(Control::read).unwrap_or_default();
    let headers = chat.reads_headers().then(|| Arc::new(request.metadata().clone()));
    let call = request.extensions().get::<Arc<Call>>().cloned();
    Ok(Caller { call, limits, headers, cache, care, on_unsupported, ..Caller::now(principal, protocol, deadline) })
}

fn wrong_header(name: &str, words: &str) -> Status {
    let violation = Violation { field: name.to_owned(), message: format!("must be {words}") };
    (&Failure::Invalid(vec![violation])).into()
}

/// The answer with its headers.
pub(super) fn respond<T>(answer: Answer<T>) -> Response<T> {
    Response::from_parts(answer.headers, answer.body, http::Extensions::new())
}
