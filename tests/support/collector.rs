//! An OpenTelemetry collector that keeps what it is sent: the OTLP services over gRPC, in a thread of its own. The messages
//! are decoded by the types that the protocol's own files generate.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use http::HeaderMap;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data},
    resource::v1::Resource,
};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::PATIENCE;

/// The running collector. It stops when it is dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    received: Received,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    traces: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
    logs: Vec<ExportLogsServiceRequest>,
    headers: Vec<HeaderMap>,
}

/// A span, as a claim looks at it.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) state: String,
    /// 2 is a server's, 3 a client's.
    pub(crate) kind: i32,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Whether it says that it failed.
    pub(crate) failed: bool,
    pub(crate) lasted: Duration,
    /// What the server calls itself.
    pub(crate) service: String,
}

impl Span {
    /// An attribute, as text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

impl Collector {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let received = Received::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let services = received.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming =
                    tonic::transport::server::TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
                let server = tonic::transport::Server::builder()
                    .add_service(TraceServiceServer::new(services.clone()))
                    .add_service(MetricsServiceServer::new(services.clone()))
                    .add_service(LogsServiceServer::new(services));
                tokio::select! {
                    served = server.serve_with_incoming(incoming) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, received, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables by which a server sends everything here, and soon.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.url()),
            ("OTEL_SERVICE_NAME", "sabir-under-test".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
            ("OTEL_BLRP_SCHEDULE_DELAY", "50".to_owned()),
            ("SABIR_TELEMETRY__METRICS_INTERVAL", "200ms".to_owned()),
        ]
    }

    /// The spans of a trace, in the order in which they ended, as soon as there are this many. More are an error.
    pub(crate) async fn spans_of(&self, trace: &str, count: usize) -> Vec<Span> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let spans: Vec<Span> = self.spans().into_iter().filter(|span| span.trace == trace).collect();
            if spans.len() >= count {
                assert_eq!(spans.len(), count, "{spans:#?}");
                return spans;
            }
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {count} spans: {spans:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let received = self.received.0.lock().unwrap();
        let resources = received.traces.iter().flat_map(|request| &request.resource_spans);
        let spans = resources.flat_map(|resource| {
            let service = service_of(resource.resource.as_ref());
            resource.scope_spans.iter().flat_map(|scope| &scope.spans).map(move |span| (service.clone(), span))
        });
        spans
            .map(|(service, span)| Span {
                service,
                name: span.name.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                state: span.trace_state.clone(),
                kind: span.kind,
                attributes: attributes(&span.attributes),
                failed: span.status.as_ref().is_some_and(|status| status.code == 2),
                lasted: Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano),
            })
            .collect()
    }

    /// The last of a metric that was sent and satisfies the claim; waits for it.
    pub(crate) async fn metric(&self, name: &str, claim: impl Fn(&Metric) -> bool) -> Metric {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = {
                let received = self.received.0.lock().unwrap();
                let resources = received.metrics.iter().flat_map(|request| &request.resource_metrics);
                let mut metrics =
                    resources.flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics);
                metrics.rfind(|metric| metric.name == name).cloned()
            };
            if let Some(metric) = found.clone().filter(|metric| claim(metric)) {
                return metric;
            }
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {name}: {found:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The log records so far: event, text.
    pub(crate) fn logs(&self) -> Vec<(String, String)> {
        let received = self.received.0.lock().unwrap();
        let resources = received.logs.iter().flat_map(|request| &request.resource_logs);
        let records = resources.flat_map(|resource| &resource.scope_logs).flat_map(|scope| &scope.log_records);
        let records = records.map(|record| {
            let event = attributes(&record.attributes).remove("event").unwrap_or_default();
            (event, record.body.as_ref().map(text).unwrap_or_default())
        });
        records.collect()
    }

    /// A header of the last request.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let received = self.received.0.lock().unwrap();
        Some(received.headers.last()?.get(name)?.to_str().unwrap().to_owned())
    }

    /// Everything that was received, written out.
    pub(crate) fn everything(&self) -> String {
        format!("{:?}", self.received.0.lock().unwrap())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The sum of all points of a counter, or the number of values in all points of a histogram.
pub(crate) fn total(metric: &Metric) -> u64 {
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::{AsDouble, AsInt};
    let number = |value: &Option<_>| match value {
        Some(AsInt(number)) => u64::try_from(*number).unwrap(),
        Some(AsDouble(number)) => *number as u64,
        None => 0,
    };
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => sum.data_points.iter().map(|point| number(&point.value)).sum(),
        Data::Gauge(gauge) => gauge.data_points.iter().map(|point| number(&point.value)).sum(),
        Data::Histogram(histogram) => histogram.data_points.iter().map(|point| point.count).sum(),
        other => panic!("{other:?}"),
    }
}

/// The attributes of each point of a metric.
pub(crate) fn points(metric: &Metric) -> Vec<BTreeMap<String, String>> {
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => sum.data_points.iter().map(|point| attributes(&point.attributes)).collect(),
        Data::Gauge(gauge) => gauge.data_points.iter().map(|point| attributes(&point.attributes)).collect(),
        Data::Histogram(histogram) => histogram.data_points.iter().map(|point| attributes(&point.attributes)).collect(),
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map(text).unwrap_or_default())).collect()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        Some(Value::ArrayValue(array)) => array.values.iter().map(text).collect::<Vec<_>>().join(","),
        other => format!("{other:?}"),
    }
}

fn service_of(resource: Option<&Resource>) -> String {
    resource.and_then(|resource| attributes(&resource.attributes).remove("service.name")).unwrap_or_default()
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut inner = self.0.lock().unwrap();
        inner.headers.push(request.metadata().clone().into_headers());
        inner.traces.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut inner = self.0.lock().unwrap();
        inner.headers.push(request.metadata().clone().into_headers());
        inner.metrics.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Received {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let mut inner = self.0.lock().unwrap();
        inner.headers.push(request.metadata().clone().into_headers());
        inner.logs.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}
