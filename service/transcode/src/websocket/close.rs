//! How the end of a call is said in a close frame.
//!
//! | status | code |
//! |---|---|
//! | OK | 1000 normal |
//! | INVALID_ARGUMENT, OUT_OF_RANGE | 1007 invalid payload; 1003 for a binary frame |
//! | UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION, ABORTED | 1008 policy |
//! | RESOURCE_EXHAUSTED | 1013 try again later; 1009 for a message that is too large |
//! | UNAVAILABLE | 1013 try again later; 1001 where the server shuts down |
//! | DEADLINE_EXCEEDED | 3008 timeout |
//! | CANCELLED, UNIMPLEMENTED, INTERNAL, UNKNOWN, DATA_LOSS | 1011 internal error |
//!
//! Source of the codes: <https://www.iana.org/assignments/websocket/websocket.xhtml>. The reason is the name of the
//! status; what is wrong in particular stands in the last text.

use http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tonic::{Code, Status};

use super::answer::End;
use crate::render;
use crate::route::Method;
use crate::status::code_name;
use crate::transcoder::Shared;

/// IANA: "Timeout".
const TIMEOUT: CloseCode = CloseCode::Library(3008);

/// The close frame that says how a call ended.
pub(super) fn frame(end: &End) -> CloseFrame {
    let code = end.status.code();
    CloseFrame { code: end.close.unwrap_or_else(|| close_code(code)), reason: code_name(code).into() }
}

/// The close code of an HTTP status that says more than the status of the call.
pub(super) fn of_http(http: StatusCode) -> Option<CloseCode> {
    (http == StatusCode::PAYLOAD_TOO_LARGE).then_some(CloseCode::Size)
}

/// The last text.
pub(super) fn text(shared: &Shared, method: &Method, status: &Status) -> String {
    let mut text = Vec::new();
    render::lines::terminal(&shared.plans, method.error_shape, status, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

fn close_code(code: Code) -> CloseCode {
    match code {
        Code::Ok => CloseCode::Normal,
        Code::InvalidArgument | Code::OutOfRange => CloseCode::Invalid,
        Code::Unauthenticated
        | Code::PermissionDenied
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted => CloseCode::Policy,
        Code::ResourceExhausted | Code::Unavailable => CloseCode::Again,
        Code::DeadlineExceeded => TIMEOUT,
        Code::Cancelled | Code::Unimplemented | Code::Internal | Code::Unknown | Code::DataLoss => CloseCode::Error,
    }
}
