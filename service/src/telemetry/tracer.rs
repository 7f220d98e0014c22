//! Spans: who decides which are recorded, and what becomes of those that have ended.
//!
//! A span is made once, when it ends and everything about it is known; until then it is its ids and a time. What is not
//! sampled costs its ids alone. Batches, retries and the wire are the OpenTelemetry SDK's.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, IdGenerator, RandomIdGenerator, SpanData, SpanProcessor};

use super::context::Ids;

/// Records spans.
pub(crate) struct Tracer {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    ids: RandomIdGenerator,
    /// Traces whose number is below are recorded. It compares as the SDK's own sampler does, so that others who sample by
    /// the same ratio record the same traces.
    threshold: u64,
}

/// A span that is under way.
#[derive(Clone, Debug)]
pub(crate) struct OpenSpan {
    /// Its trace and itself. Of a trace that others record and we do not, the span that asked us.
    pub(crate) ids: Ids,
    /// What tracing systems on the way have added.
    pub(crate) state: Option<HeaderValue>,
    /// The span above.
    parent: Option<[u8; 8]>,
    parent_is_remote: bool,
    began: SystemTime,
}

/// What is known of a span that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What it is called.
    pub(crate) name: Cow<'static, str>,
    /// On which side of a call it is.
    pub(crate) kind: SpanKind,
    /// What there is to know.
    pub(crate) attributes: Vec<KeyValue>,
    /// Whether it failed.
    pub(crate) failed: bool,
}

impl Tracer {
    /// Hands spans to this processor, of as large a part of the traces that begin here.
    pub(crate) fn new(processor: BatchSpanProcessor, ratio: f64) -> Self {
        let scope = InstrumentationScope::builder("sabir").with_version(env!("CARGO_PKG_VERSION")).build();
        let threshold = (ratio.clamp(0.0, 1.0) * (1u64 << 63) as f64) as u64;
        Self { processor, scope, ids: RandomIdGenerator::default(), threshold }
    }

    /// Begins a span for a request. Whether it is recorded, its caller has decided, or the ratio does.
    pub(crate) fn begin(&self, caller: Option<Ids>, state: Option<HeaderValue>) -> OpenSpan {
        let began = SystemTime::now();
        match caller {
            // What is not recorded is passed on as it came.
            Some(ids) if !ids.sampled => OpenSpan { ids, state, parent: None, parent_is_remote: true, began },
            Some(ids) => {
                let parent = Some(ids.span);
                OpenSpan { ids: self.child_of(ids), state, parent, parent_is_remote: true, began }
            }
            None => {
                let trace = self.ids.new_trace_id().to_bytes();
                let sampled = is_below(trace, self.threshold);
                let ids = Ids { trace, span: self.ids.new_span_id().to_bytes(), sampled };
                OpenSpan { ids, state: None, parent: None, parent_is_remote: false, began }
            }
        }
    }

    /// Begins a span under another.
    pub(crate) fn under(&self, parent: &OpenSpan) -> OpenSpan {
        if !parent.ids.sampled {
            return parent.clone();
        }
        OpenSpan {
            ids: self.child_of(parent.ids),
            state: parent.state.clone(),
            parent: Some(parent.ids.span),
            parent_is_remote: false,
            began: SystemTime::now(),
        }
    }

    fn child_of(&self, ids: Ids) -> Ids {
        Ids { span: self.ids.new_span_id().to_bytes(), ..ids }
    }

    /// Hands over a span that has ended now.
    pub(crate) fn end(&self, span: &OpenSpan, ended: Ended) {
        let state = span.state.as_ref().and_then(|state| TraceState::from_str(state.to_str().ok()?).ok());
        let (trace, id) = (span.ids.trace_id(), span.ids.span_id());
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, state.unwrap_or_default()),
            parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
            parent_span_is_remote: span.parent.is_some() && span.parent_is_remote,
            span_kind: ended.kind,
            name: ended.name,
            start_time: span.began,
            end_time: SystemTime::now(),
            attributes: ended.attributes,
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: if ended.failed { Status::error("") } else { Status::Unset },
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Sends what is left and ends. Blocks until that is done or the time is up.
    pub(crate) fn close(&self, within: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(within)
    }
}

impl OpenSpan {
    /// A trace that others record and that is only passed on.
    pub(crate) fn passing(ids: Ids, state: Option<HeaderValue>) -> Self {
        Self { ids, state, parent: None, parent_is_remote: true, began: SystemTime::UNIX_EPOCH }
    }
}

fn is_below(trace: [u8; 16], threshold: u64) -> bool {
    let [.., a, b, c, d, e, f, g, h] = trace;
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1 < threshold
}

impl fmt::Debug for Tracer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tracer")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use opentelemetry_sdk::trace::SpanExporter;

    use super::*;

    #[derive(Debug)]
    struct Nowhere;

    impl SpanExporter for Nowhere {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            Ok(())
        }
    }

    pub(in crate::telemetry) fn tracer(ratio: f64) -> Tracer {
        Tracer::new(BatchSpanProcessor::builder(Nowhere).build(), ratio)
    }

    #[test]
    fn the_caller_decides_and_else_the_ratio() {
        let caller = Ids { trace: [7; 16], span: [8; 8], sampled: true };
        let never = tracer(0.0);
        assert!(never.begin(Some(caller), None).ids.sampled);
        assert!((0..100).all(|_| !never.begin(None, None).ids.sampled));
        let always = tracer(1.0);
        let unsampled = Ids { sampled: false, ..caller };
        assert_eq!(always.begin(Some(unsampled), None).ids, unsampled);
        assert!((0..100).all(|_| always.begin(None, None).ids.sampled));
        let half = tracer(0.5);
        let sampled = (0..2000).filter(|_| half.begin(None, None).ids.sampled).count();
        assert!((850..1150).contains(&sampled), "{sampled}");
    }

    #[test]
    fn spans_hang_below_one_another() {
        let tracer = tracer(1.0);
        let caller = Ids { trace: [7; 16], span: [8; 8], sampled: true };
        let request = tracer.begin(Some(caller), Some(HeaderValue::from_static("a=1")));
        let attempt = tracer.under(&request);
        assert_eq!((request.parent, attempt.parent), (Some([8; 8]), Some(request.ids.span)));
        assert_eq!((attempt.ids.trace, attempt.state), (caller.trace, request.state));
        assert_ne!(attempt.ids.span, request.ids.span);
    }
}
