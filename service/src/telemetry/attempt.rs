//! One attempt at a model, from the question to the end of the answer: counted once, and a span if its trace is recorded.
//!
//! Neither has a word of what was asked or answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use sabir_providers::TraceHeaders;
use sabir_store::{Operation, Outcome};
use uuid::Uuid;

use super::Telemetry;
use super::call::Call;
use super::context::Ids;
use super::error_type::ErrorType;
use super::models::{Asked, ModelSeries};
use super::tracer::{Ended, OpenSpan};
use crate::upstream::Target;

/// An attempt that is under way. Dropped without an end, it was cancelled.
#[derive(Debug)]
pub(crate) struct Attempt {
    telemetry: Telemetry,
    series: Arc<ModelSeries>,
    began: Instant,
    /// The span, or the trace that is only passed on.
    span: Option<OpenSpan>,
    /// What the span will say; nothing if it is not recorded.
    about: Option<Box<About>>,
    has_ended: bool,
}

/// Which attempt it is.
#[derive(Debug)]
struct About {
    target: Target,
    number: usize,
    call: Uuid,
}

/// How an attempt ended that was answered.
#[derive(Debug)]
pub(crate) struct Ending<'a> {
    /// How the call ended.
    pub(crate) outcome: Outcome,
    /// Why it failed after all; `None` if it did not.
    pub(crate) error: Option<ErrorType>,
    /// The model that answered.
    pub(crate) model_used: Option<&'a str>,
    /// The tokens of the question and of the answer, if anybody counted them.
    pub(crate) tokens: Option<(u32, u32)>,
    /// When the request came and when the first piece of a streamed answer did.
    pub(crate) first_token: Option<(Instant, Instant)>,
}

impl Telemetry {
    /// Begins an attempt, in the trace of this request.
    pub(crate) fn attempt(
        &self,
        call: Option<&Arc<Call>>,
        operation: Operation,
        target: &Target,
        number: usize,
        id: Uuid,
        is_known: impl FnOnce() -> bool,
    ) -> Attempt {
        let Target { provider, model, full_name, .. } = target;
        let series = self.0.models.of(Asked { operation, provider, model, full_name }, is_known);
        let above = call.and_then(|call| call.span());
        let span = match (self.tracer(), above) {
            (Some(tracer), Some(above)) => Some(tracer.under(above)),
            (_, above) => above.cloned(),
        };
        let recorded = self.tracer().is_some() && span.as_ref().is_some_and(|span| span.ids.sampled);
        let about = recorded.then(|| Box::new(About { target: target.clone(), number, call: id }));
        Attempt { telemetry: self.clone(), series, began: Instant::now(), span, about, has_ended: false }
    }
}

impl Attempt {
    /// The headers by which the upstream goes on with the trace.
    pub(crate) fn headers(&self) -> Option<TraceHeaders> {
        let span = self.span.as_ref()?;
        Some(TraceHeaders { parent: span.ids.header()?, state: span.state.clone() })
    }

    /// It was not answered.
    pub(crate) fn failed(&mut self, error: ErrorType) {
        self.finish(Some(error), Vec::new);
    }

    /// It was answered, and the call has ended.
    pub(crate) fn ended(mut self, ending: &Ending<'_>) {
        let recorded = self.recorded();
        if let Some((input, output)) = ending.tokens {
            self.series.input.record(f64::from(input), recorded);
            if self.series.operation == Operation::Chat {
                self.series.output.record(f64::from(output), recorded);
            }
        }
        if let Some((asked, first)) = ending.first_token {
            self.series.first_token.record(first.duration_since(asked).as_secs_f64(), recorded);
            let further = ending.tokens.map_or(0, |(_, output)| output.saturating_sub(1));
            if further > 0 && ending.error.is_none() {
                self.series.per_token.record((first.elapsed() / further).as_secs_f64(), recorded);
            }
        }
        self.finish(ending.error, || attributes_of(ending));
    }

    /// Its span, if that is recorded.
    fn recorded(&self) -> Option<Ids> {
        self.span.as_ref().filter(|_| self.about.is_some()).map(|span| span.ids)
    }

    fn finish(&mut self, error: Option<ErrorType>, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        self.series.count(error);
        if let Some(duration) = self.series.duration(error) {
            duration.record(self.began.elapsed().as_secs_f64(), self.recorded());
        }
        if let (Some(tracer), Some(span), Some(about)) = (self.telemetry.tracer(), &self.span, &self.about) {
            let mut attributes = attributes();
            about.describe(&self.series, &mut attributes);
            attributes.extend(error.map(|error| KeyValue::new("error.type", error.word())));
            let name = format!("{} {}", self.series.operation(), about.target.model).into();
            let failed = error.is_some_and(|error| error != ErrorType::Cancelled);
            tracer.end(span, Ended { name, kind: SpanKind::Client, attributes, failed });
        }
    }
}

impl About {
    fn describe(&self, series: &ModelSeries, attributes: &mut Vec<KeyValue>) {
        let number = i64::try_from(self.number).unwrap_or(i64::MAX);
        attributes.extend([
            KeyValue::new("gen_ai.operation.name", series.operation()),
            KeyValue::new("gen_ai.provider.name", series.provider().to_owned()),
            KeyValue::new("gen_ai.request.model", self.target.model.clone()),
            KeyValue::new("sabir.target", self.target.full_name.clone()),
            KeyValue::new("sabir.attempt", number),
            KeyValue::new("sabir.request_id", self.call.to_string()),
        ]);
        if let Some(address) = &self.target.address {
            let (host, port) = match address.rsplit_once(':') {
                Some((host, port)) => (host, port.parse::<i64>().ok()),
                None => (&**address, None),
            };
            attributes.push(KeyValue::new("server.address", host.to_owned()));
            attributes.extend(port.map(|port| KeyValue::new("server.port", port)));
        }
    }
}

fn attributes_of(ending: &Ending<'_>) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(13);
    if let Some(model) = ending.model_used {
        attributes.push(KeyValue::new("gen_ai.response.model", model.to_owned()));
    }
    if let Some((input, output)) = ending.tokens {
        attributes.push(KeyValue::new("gen_ai.usage.input_tokens", i64::from(input)));
        attributes.push(KeyValue::new("gen_ai.usage.output_tokens", i64::from(output)));
    }
    if let Some(reason) = finish_reason(ending.outcome) {
        let reasons = Value::Array(Array::String(vec![StringValue::from(reason)]));
        attributes.push(KeyValue::new("gen_ai.response.finish_reasons", reasons));
    }
    if let Some((asked, first)) = ending.first_token {
        let seconds = first.checked_duration_since(asked).unwrap_or(Duration::ZERO).as_secs_f64();
        attributes.push(KeyValue::new("gen_ai.response.time_to_first_chunk", seconds));
    }
    attributes
}

fn finish_reason(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Complete => Some("stop"),
        Outcome::Length => Some("length"),
        Outcome::ToolCalls => Some("tool_calls"),
        Outcome::Filtered => Some("content_filter"),
        _ => None,
    }
}

impl Drop for Attempt {
    /// Nobody waits for it any more.
    fn drop(&mut self) {
        self.finish(Some(ErrorType::Cancelled), Vec::new);
    }
}
