//! The `[telemetry]` section: what is recorded, and where it is sent.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use sabir_providers::Secret;

use crate::config::Section;

/// What to record, and where to send it.
#[derive(Clone, Debug)]
pub struct Config {
    /// `telemetry.otlp_endpoint`: where an OpenTelemetry collector takes OTLP over gRPC. Left out: nothing is sent.
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` stands for it too.
    pub otlp_endpoint: Option<Uri>,
    /// `telemetry.otlp_headers`: headers for the collector, `name=value` separated by commas. May hold keys.
    /// `OTEL_EXPORTER_OTLP_HEADERS` stands for it too.
    pub otlp_headers: Secret,
    /// `telemetry.service_name`: what this server calls itself. `OTEL_SERVICE_NAME` stands for it too.
    pub service_name: String,
    /// `telemetry.sample_ratio`: which part of the traces that begin here is recorded. Callers decide on theirs.
    pub sample_ratio: f64,
    /// `telemetry.traces`: whether traces are sent.
    pub traces: bool,
    /// `telemetry.metrics`: whether metrics are sent.
    pub metrics: bool,
    /// `telemetry.logs`: whether logs are sent.
    pub logs: bool,
    /// `telemetry.metrics_interval`: how often metrics are sent.
    pub metrics_interval: Duration,
    /// `telemetry.max_models`: how many models metrics tell apart.
    pub max_models: usize,
}

impl Config {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let endpoint = usual(&mut section, "otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT");
        let headers = usual(&mut section, "otlp_headers", "OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
        let service_name =
            usual(&mut section, "service_name", "OTEL_SERVICE_NAME").unwrap_or_else(|| "sabir".to_owned());
        let config = Self {
            otlp_endpoint: endpoint.and_then(|url| address(&section, &url)),
            otlp_headers: Secret::new(headers),
            service_name,
            sample_ratio: section.value("sample_ratio", 1.0),
            traces: section.value("traces", true),
            metrics: section.value("metrics", true),
            logs: section.value("logs", true),
            metrics_interval: section.value("metrics_interval", Duration::from_secs(60)),
            max_models: section.value("max_models", 1000),
        };
        if parsed(&config.otlp_headers).is_none() {
            section.problem("otlp_headers", "must be headers as in name=value,name=value");
        }
        if !(0.0..=1.0).contains(&config.sample_ratio) {
            section.problem("sample_ratio", "must be from 0 to 1");
        }
        if config.metrics_interval < Duration::from_millis(100) {
            section.problem("metrics_interval", "must be at least 100ms");
        }
        if !(1..=100_000).contains(&config.max_models) {
            section.problem("max_models", "must be from 1 to 100000");
        }
        section.finish();
        config
    }

    /// The headers for the collector.
    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        parsed(&self.otlp_headers).unwrap_or_default()
    }
}

/// A key, or else the variable that every program has for it.
fn usual(section: &mut Section<'_>, key: &str, variable: &str) -> Option<String> {
    let own = section.optional::<String>(key);
    own.or_else(|| section.environment(variable).filter(|text| !text.is_empty()))
}

fn address(section: &Section<'_>, url: &str) -> Option<Uri> {
    let uri = url.parse::<Uri>().ok().filter(|uri| {
        let scheme = uri.scheme_str();
        matches!(scheme, Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if uri.is_none() {
        let usual = "must be the address of a collector for OTLP over gRPC, as in http://127.0.0.1:4317";
        section.problem("otlp_endpoint", format!("{usual} (OTEL_EXPORTER_OTLP_ENDPOINT counts as well)"));
    }
    uri
}

/// What is between the commas; the values may be percent-encoded, as the OpenTelemetry specification has them.
fn parsed(headers: &Secret) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let pairs = headers.expose().split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = percent_decoded(value.trim())?;
            let mut value = HeaderValue::from_bytes(&value).ok()?;
            value.set_sensitive(true);
            Some((name.trim().to_ascii_lowercase().parse().ok()?, value))
        })
        .collect()
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config as Whole;

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let environment = environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Whole::from_parts(Some(file), environment).map(|config| config.telemetry).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_sent_unless_somebody_says_where() {
        let config = read("", &[]).unwrap();
        assert_eq!((config.otlp_endpoint, config.service_name.as_str()), (None, "sabir"));
    }

    #[test]
    fn the_usual_variables_count_and_give_way_to_our_own() {
        let usual = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317"), ("OTEL_SERVICE_NAME", "gateway")];
        let config = read("", &usual).unwrap();
        assert_eq!(config.otlp_endpoint.unwrap(), "http://a:4317/");
        assert_eq!(config.service_name, "gateway");
        let config = read("[telemetry]\notlp_endpoint = \"https://b\"", &usual).unwrap();
        assert_eq!(config.otlp_endpoint.unwrap(), "https://b/");
    }

    #[test]
    fn headers_are_secrets() {
        let config = read("", &[("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, X-Other = c=d")]).unwrap();
        let headers = config.headers();
        assert_eq!(headers[0].1.as_bytes(), b"a b");
        assert_eq!((headers[1].0.as_str(), headers[1].1.as_bytes()), ("x-other", &b"c=d"[..]));
        assert!(!format!("{config:?}").contains("c=d"));
        let wrong = read("[telemetry]\notlp_headers = \"hunter2\"", &[]).unwrap_err();
        assert!(wrong.contains("telemetry.otlp_headers") && !wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (line, key) in [
            ("otlp_endpoint = \"collector:4317\"", "otlp_endpoint"),
            ("sample_ratio = 2", "sample_ratio"),
            ("metrics_interval = \"1ms\"", "metrics_interval"),
            ("max_models = 0", "max_models"),
        ] {
            let wrong = read(&format!("[telemetry]\n{line}"), &[]).unwrap_err();
            assert!(wrong.contains(&format!("telemetry.{key}")), "{wrong}");
        }
    }
}
