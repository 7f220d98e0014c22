//! Metrics as OTLP messages. Everything is cumulative since the start of the process, as Prometheus has it.
//!
//! Source: <https://opentelemetry.io/docs/specs/otel/metrics/data-model/>.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::telemetry::catalogue::{self, Kind};
use crate::telemetry::family::{Family, Point, Value};
use crate::telemetry::histogram::{self, Distribution};

/// When counting began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: u64,
}

impl Clock {
    /// Counting begins now.
    pub(super) fn start() -> Self {
        Self { start: nanos(SystemTime::now()) }
    }
}

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// All metrics of this server.
pub(super) fn encode(families: &[Family], resource: &opentelemetry_sdk::Resource, clock: Clock) -> ResourceMetrics {
    let attributes = resource.iter().map(|(key, value)| text(key.as_str(), &value.as_str())).collect();
    let scope = InstrumentationScope {
        name: "sabir".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    };
    let now = nanos(SystemTime::now());
    // A metric that has no series yet is nothing to send.
    let metrics = families.iter().filter(|family| !family.points.is_empty());
    let metrics = metrics.map(|family| metric(family, clock.start, now)).collect();
    ResourceMetrics {
        resource: Some(Resource { attributes, ..Default::default() }),
        scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..Default::default() }],
        ..Default::default()
    }
}

fn metric(Family { metric, points }: &Family, start: u64, now: u64) -> Metric {
    let cumulative = AggregationTemporality::Cumulative.into();
    let numbers = || points.iter().filter_map(|point| number(metric, point, start, now)).collect();
    let data = match metric.kind {
        Kind::Counter => {
            Data::Sum(Sum { data_points: numbers(), aggregation_temporality: cumulative, is_monotonic: true })
        }
        Kind::Gauge => Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Histogram(_) => {
            let data_points = points.iter().filter_map(|point| distribution(metric, point, start, now)).collect();
            Data::Histogram(Histogram { data_points, aggregation_temporality: cumulative })
        }
    };
    Metric {
        name: metric.otlp.to_owned(),
        description: metric.help.to_owned(),
        unit: metric.unit.to_owned(),
        data: Some(data),
        ..Default::default()
    }
}

fn number(metric: &catalogue::Metric, point: &Point, start: u64, now: u64) -> Option<NumberDataPoint> {
    let value = match &point.value {
        Value::Whole(count) => number_data_point::Value::AsInt(i64::try_from(*count).unwrap_or(i64::MAX)),
        Value::Real(number) => number_data_point::Value::AsDouble(*number),
        Value::Distribution(_) => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(metric, point),
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(value),
        ..Default::default()
    })
}

fn distribution(metric: &catalogue::Metric, point: &Point, start: u64, now: u64) -> Option<HistogramDataPoint> {
    let Value::Distribution(Distribution { bounds, counts, sum, exemplars }) = &point.value else { return None };
    Some(HistogramDataPoint {
        attributes: attributes(metric, point),
        start_time_unix_nano: start,
        time_unix_nano: now,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: bounds.to_vec(),
        exemplars: exemplars.iter().flatten().map(example).collect(),
        ..Default::default()
    })
}

fn example(exemplar: &histogram::Exemplar) -> Exemplar {
    Exemplar {
        time_unix_nano: nanos(exemplar.at),
        trace_id: exemplar.ids.trace.to_vec(),
        span_id: exemplar.ids.span.to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
        ..Default::default()
    }
}

fn attributes(metric: &catalogue::Metric, point: &Point) -> Vec<KeyValue> {
    let pairs = metric.labels.iter().zip(&point.labels).filter(|(_, value)| !value.is_empty());
    pairs.map(|(label, value)| text(label.attribute, value)).collect()
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Any::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..Default::default() }
}
