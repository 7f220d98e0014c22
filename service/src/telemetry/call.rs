//! One request, from its head to the end of its answer: counted once, and a span if its trace is recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering};
use std::time::Instant;

use http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, TraceId};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::Telemetry;
use super::context::{Ids, state_of};
use super::requests::{MethodId, Refused, Way};
use super::tracer::{Ended, OpenSpan};

/// What stands for a status that is not known yet.
const OPEN: u8 = u8::MAX;

/// A request that is being answered. In the extensions of requests, as [`Arc`].
#[derive(Debug)]
pub(crate) struct Call {
    telemetry: Telemetry,
    way: Way,
    method: AtomicU16,
    began: Instant,
    deadline: Option<Instant>,
    code: AtomicU8,
    /// Whether it counts as an open stream.
    streamed: AtomicBool,
    span: Option<OpenSpan>,
}

impl Call {
    /// A request whose head has come.
    pub(super) fn begin(
        telemetry: &Telemetry,
        way: Way,
        path: &str,
        headers: &HeaderMap,
        deadline: Option<Instant>,
    ) -> Self {
        let requests = &telemetry.0.requests;
        requests.begin();
        let method = requests.method(path);
        let caller = Ids::of(headers);
        let state = caller.and_then(|_| state_of(headers));
        let span = match (telemetry.tracer(), caller) {
            (Some(tracer), caller) => Some(tracer.begin(caller, state)),
            (None, Some(caller)) => Some(OpenSpan::passing(caller, state)),
            (None, None) => None,
        };
        let call = Self {
            telemetry: telemetry.clone(),
            way,
            method: AtomicU16::new(method.0),
            began: Instant::now(),
            deadline,
            code: AtomicU8::new(OPEN),
            streamed: AtomicBool::new(false),
            span,
        };
        // Over HTTP only the body tells which of the twins is meant.
        if way != Way::Http {
            call.reached(method);
        }
        call
    }

    /// The request turns out to be for the RPC at this path.
    pub(super) fn is_for(&self, path: &str) {
        self.reached(self.telemetry.0.requests.method(path));
    }

    fn reached(&self, method: MethodId) {
        self.method.store(method.0, Ordering::Relaxed);
        let requests = &self.telemetry.0.requests;
        if requests.streams(method) && !self.streamed.swap(true, Ordering::Relaxed) {
            requests.open_stream();
        }
    }

    /// The trace that it belongs to, for logs.
    pub(crate) fn trace_id(&self) -> Option<TraceId> {
        self.span.as_ref().map(|span| span.ids.trace_id())
    }

    /// The span that it is, or that it passes on.
    pub(super) fn span(&self) -> Option<&OpenSpan> {
        self.span.as_ref()
    }

    /// How it is answered.
    pub(super) fn answered(&self, code: Code) {
        self.code.store(code as u8, Ordering::Relaxed);
    }

    /// It is answered with this status, as far as headers or trailers say one.
    pub(super) fn answered_by(&self, headers: &HeaderMap) {
        let Some(code) = headers.get("grpc-status") else { return };
        let code = Code::from_bytes(code.as_bytes());
        self.answered(code);
        if code != Code::Ok
            && let Some(status) = Status::from_header_map(headers)
        {
            self.note_refusal(&status);
        }
    }

    /// Counts who refused it, by the reason that the status carries.
    fn note_refusal(&self, status: &Status) {
        let requests = &self.telemetry.0.requests;
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        let refused = match reason.as_str() {
            "CREDENTIALS_MISSING"
            | "CREDENTIALS_INVALID"
            | "CREDENTIALS_EXPIRED"
            | "SCOPE_MISSING"
            | "METHOD_CLOSED"
            | "MODEL_NOT_ALLOWED" => Refused::Auth,
            "REQUEST_LIMIT_EXCEEDED"
            | "TOKEN_LIMIT_EXCEEDED"
            | "CONCURRENCY_LIMIT_EXCEEDED"
            | "REQUEST_ABOVE_TOKEN_LIMIT" => Refused::Limit,
            "BUDGET_EXCEEDED" => Refused::Budget,
            "DATABASE_UNAVAILABLE"
            | "DATABASE_BROKEN"
            | "IDENTITY_UNAVAILABLE"
            | "LIMITS_UNAVAILABLE"
            | "BUDGET_UNAVAILABLE" => {
                requests.store_errors.fetch_add(1, Ordering::Relaxed);
                return;
            }
            // The edge gives no reasons. What is too large for it is the caller's business.
            "OVERLOADED" => Refused::Overload,
            "" if status.code() == Code::ResourceExhausted && !status.message().contains("larger than") => {
                Refused::Overload
            }
            _ => return,
        };
        requests.refuse(refused);
    }

    /// It has ended, or nobody waits for its end any more.
    fn end(&self) {
        let requests = &self.telemetry.0.requests;
        let code = match self.code.load(Ordering::Relaxed) {
            OPEN if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) => Code::DeadlineExceeded,
            OPEN => Code::Cancelled,
            code => Code::from_i32(i32::from(code)),
        };
        let (method, streamed) = (MethodId(self.method.load(Ordering::Relaxed)), self.streamed.load(Ordering::Relaxed));
        let way = if streamed && self.way == Way::Http { Way::Stream } else { self.way };
        let recorded = self.span.as_ref().filter(|span| span.ids.sampled);
        requests.end(streamed);
        requests.count(method, way, code, self.began.elapsed(), recorded.map(|span| span.ids));
        if let (Some(tracer), Some(span)) = (self.telemetry.tracer(), recorded) {
            let name = requests.name(method).to_owned();
            let attributes = self.attributes(&name, method, way, code);
            tracer.end(span, Ended { attributes, kind: SpanKind::Server, failed: is_ours(code), name: name.into() });
        }
    }

    fn attributes(&self, name: &str, method: MethodId, way: Way, code: Code) -> Vec<KeyValue> {
        let (service, rpc) = name.split_once('/').unwrap_or(("", name));
        let mut attributes = Vec::with_capacity(9);
        attributes.extend([
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", service.to_owned()),
            KeyValue::new("rpc.method", rpc.to_owned()),
            KeyValue::new("rpc.grpc.status_code", i64::from(code as i32)),
            KeyValue::new("sabir.protocol", way.word()),
        ]);
        if matches!(way, Way::Http | Way::Stream)
            && let Some((verb, path)) = self.telemetry.0.requests.route(method)
        {
            attributes.push(KeyValue::new("http.request.method", verb.to_owned()));
            attributes.push(KeyValue::new("http.route", path.to_owned()));
            let status = i64::from(transcode::http_status(code).as_u16());
            attributes.push(KeyValue::new("http.response.status_code", status));
        }
        if code != Code::Ok {
            attributes.push(KeyValue::new("error.type", transcode::code_name(code)));
        }
        attributes
    }
}

/// Whether a status is the server's failure, as the conventions for gRPC servers have it.
fn is_ours(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

/// Keeps a call open for as long as its answer goes on.
#[derive(Debug)]
pub(super) struct Open(pub(super) Arc<Call>);

impl Drop for Open {
    /// The answer has ended, or nobody waits for its end any more.
    fn drop(&mut self) {
        self.0.end();
    }
}
