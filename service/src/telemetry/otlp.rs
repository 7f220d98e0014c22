//! Sending traces, metrics and logs over OTLP. One connection for all three, opened when there is something to send.
//!
//! Batches of spans and of log records are the OpenTelemetry SDK's, each with a thread and a bounded queue: what does not fit is
//! dropped and counted there. Metrics are sent from here, for they are kept here.

mod encode;

use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, SpanExporter, WithTonicConfig as _};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use self::encode::Clock;
use super::config::Config;
use super::tracer::Tracer;
use super::{Telemetry, event};

/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The address cannot be used.
    #[error("telemetry.otlp_endpoint cannot be used: {0}")]
    Endpoint(#[from] tonic::transport::Error),
    /// The library refuses its settings.
    #[error("telemetry cannot be sent: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Where telemetry is sent, if it is sent anywhere.
#[derive(Debug, Default)]
pub struct Export {
    pub(super) tracer: Option<Arc<Tracer>>,
    logs: Option<SdkLoggerProvider>,
    metrics: Option<Metrics>,
}

/// How metrics are sent.
#[derive(Debug)]
struct Metrics {
    client: MetricsServiceClient<Channel>,
    headers: MetadataMap,
    resource: Resource,
    interval: Duration,
}

impl Export {
    /// Nothing is sent.
    pub fn none() -> Self {
        Self::default()
    }

    /// Sends what the configuration says, on the runtime that this is called in. Nothing is connected yet.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub fn start(config: &Config) -> Result<Self, ExportError> {
        let Some(address) = &config.otlp_endpoint else { return Ok(Self::none()) };
        let mut endpoint = Endpoint::from(address.clone()).timeout(PATIENCE).connect_timeout(PATIENCE);
        if address.scheme() == Some(&Scheme::HTTPS) {
            endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?;
        }
        let channel = endpoint.connect_lazy();
        let headers = MetadataMap::from_headers(config.headers().into_iter().collect());
        let resource = Resource::builder()
            .with_service_name(config.service_name.clone())
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let tracer = if config.traces {
            let exporter = SpanExporter::builder().with_tonic().with_channel(channel.clone());
            let exporter = exporter.with_metadata(headers.clone()).build()?;
            let mut processor = BatchSpanProcessor::builder(exporter).build();
            processor.set_resource(&resource);
            Some(Arc::new(Tracer::new(processor, config.sample_ratio)))
        } else {
            None
        };
        let logs = if config.logs {
            let exporter = LogExporter::builder().with_tonic().with_channel(channel.clone());
            let exporter = exporter.with_metadata(headers.clone()).build()?;
            Some(SdkLoggerProvider::builder().with_batch_exporter(exporter).with_resource(resource.clone()).build())
        } else {
            None
        };
        let metrics = config.metrics.then(|| Metrics {
            client: MetricsServiceClient::new(channel),
            headers,
            resource,
            interval: config.metrics_interval,
        });
        Ok(Self { tracer, logs, metrics })
    }

    /// Where log events go.
    pub(super) fn logs(&self) -> Option<&SdkLoggerProvider> {
        self.logs.as_ref()
    }

    /// Begins to send metrics. What is returned ends it all.
    pub(crate) fn run(self, telemetry: Telemetry) -> Exporting {
        let stop = CancellationToken::new();
        let metrics = self.metrics.map(|metrics| tokio::spawn(metrics.run(telemetry, stop.clone())));
        Exporting { tracer: self.tracer, logs: self.logs, metrics, stop }
    }
}

/// Telemetry that is being sent.
#[derive(Debug)]
pub(crate) struct Exporting {
    tracer: Option<Arc<Tracer>>,
    logs: Option<SdkLoggerProvider>,
    metrics: Option<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Exporting {
    /// Sends what is left, as far as that is possible in this time.
    pub(crate) async fn close(self, within: Duration) {
        self.stop.cancel();
        let Self { tracer, logs, metrics, .. } = self;
        // Both block, and the connection they use is driven by this runtime.
        let spans = tokio::task::spawn_blocking(move || tracer.map(|tracer| tracer.close(within)));
        let logs = tokio::task::spawn_blocking(move || logs.map(|logs| logs.shutdown_with_timeout(within)));
        let metrics = async {
            if let Some(metrics) = metrics {
                let _ = metrics.await;
            }
        };
        // A collector that is away is no reason to stay. What could not be sent has been logged.
        let _ = tokio::time::timeout(within, async { tokio::join!(spans, logs, metrics) }).await;
    }
}

impl Metrics {
    /// Sends now and then, and once more at the end.
    async fn run(mut self, telemetry: Telemetry, stop: CancellationToken) {
        let clock = Clock::start();
        let mut failing = false;
        let mut going_on = true;
        while going_on {
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                () = stop.cancelled() => going_on = false,
            }
            let resource_metrics = vec![encode::encode(&telemetry.read(), &self.resource, clock)];
            let mut request = tonic::Request::new(ExportMetricsServiceRequest { resource_metrics });
            *request.metadata_mut() = self.headers.clone();
            match self.client.export(request).await {
                Ok(_) => failing = false,
                Err(status) => {
                    telemetry.export_failed();
                    // Once for each time that the collector is away.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(
                            event = event::METRICS_UNSENT, code = ?status.code(), error = status.message(),
                            "metrics cannot be sent"
                        );
                    }
                }
            }
        }
    }
}
