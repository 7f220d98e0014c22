//! What went wrong on the way to a remote server, as a gRPC status. Its messages name no address and quote no library.

use std::error::Error;

use http::header::{CONTENT_TYPE, HeaderName};
use http::{Response, StatusCode};
use tonic::codegen::StdError;
use tonic::{Code, ConnectError, Status, TimeoutExpired};

use crate::deadline;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The status of a call that the transport gave up.
///
/// A reset has the code that gRPC gives it; all else that breaks a connection is UNAVAILABLE, since the same call may
/// succeed later. Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors>.
pub(super) fn of_call(error: StdError) -> Status {
    let (mut connecting, mut reason, mut lost) = (false, None, false);
    let mut next: Option<&(dyn Error + 'static)> = Some(&*error);
    while let Some(cause) = next {
        if cause.is::<TimeoutExpired>() {
            return deadline::exceeded();
        }
        connecting |= cause.is::<ConnectError>();
        // What hyper calls cancelled is a request whose connection ended before it was sent.
        lost |= cause.downcast_ref::<hyper::Error>().is_some_and(|error| error.is_canceled() || error.is_closed());
        reason = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind).or(reason);
        next = cause.source();
    }
    if connecting {
        return match reason {
            Some(kind) => Status::unavailable(format!("the gRPC server behind this one cannot be reached: {kind}")),
            None => Status::unavailable("the gRPC server behind this one cannot be reached"),
        };
    }
    match Status::try_from_error(error).map(|status| status.code()) {
        _ if lost => {}
        Ok(code @ (Code::Cancelled | Code::Internal | Code::ResourceExhausted | Code::PermissionDenied)) => {
            return Status::new(code, "the gRPC server behind this one reset the call");
        }
        Ok(_) | Err(_) => {}
    }
    Status::unavailable("the connection to the gRPC server behind this one broke")
}

/// The status of an answer that is not gRPC, such as a load balancer's page: by its HTTP status.
///
/// Source: <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>.
pub(super) fn of_foreign_answer<B>(response: &Response<B>) -> Option<Status> {
    let headers = response.headers();
    let is_grpc = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if headers.contains_key(GRPC_STATUS) || (is_grpc && response.status() == StatusCode::OK) {
        return None;
    }
    let code = match response.status() {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    let http = response.status().as_u16();
    Some(Status::new(code, format!("the server behind this one answered HTTP {http}, and not gRPC")))
}
