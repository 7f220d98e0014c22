//! Metrics as text: the format of Prometheus, and OpenMetrics with its exemplars for those who ask for it.
//!
//! Sources: <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use super::catalogue::{Kind, Metric};
use super::family::{Family, Point, Value};
use super::histogram::{Distribution, Exemplar};

/// A form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// What every scraper reads.
    Prometheus,
    /// With exemplars.
    OpenMetrics,
}

impl Form {
    /// What an `Accept` header asks for.
    pub(crate) fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The type of the text.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes all metrics.
    pub(crate) fn write(self, families: &[Family]) -> String {
        let mut text = String::with_capacity(16 * 1024);
        for family in families {
            // Writing to a string cannot fail.
            let _ = self.family(&mut text, family);
        }
        if self == Self::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }

    fn family(self, text: &mut String, Family { metric, points }: &Family) -> std::fmt::Result {
        // In OpenMetrics the ending of a counter belongs to its samples, not to its name.
        let name = match (self, metric.kind) {
            (Self::OpenMetrics, Kind::Counter) => metric.name.trim_end_matches("_total"),
            _ => metric.name,
        };
        writeln!(text, "# HELP {name} {}", metric.help)?;
        writeln!(text, "# TYPE {name} {}", metric.kind.word())?;
        for Point { labels, value } in points {
            match value {
                Value::Whole(count) => sample(text, metric, "", labels, None, &count.to_string(), None)?,
                Value::Real(number) => sample(text, metric, "", labels, None, &number.to_string(), None)?,
                Value::Distribution(distribution) => self.distribution(text, metric, labels, distribution)?,
            }
        }
        Ok(())
    }

    fn distribution(
        self,
        text: &mut String,
        metric: &Metric,
        labels: &[String],
        distribution: &Distribution,
    ) -> std::fmt::Result {
        let bounds = distribution.bounds.iter().map(|bound| number(*bound)).chain(["+Inf".to_owned()]);
        let mut total = 0;
        for (index, (bound, count)) in bounds.zip(&distribution.counts).enumerate() {
            total += count;
            let exemplar = distribution.exemplars.get(index).copied().flatten().filter(|_| self == Self::OpenMetrics);
            sample(text, metric, "_bucket", labels, Some(&bound), &total.to_string(), exemplar)?;
        }
        sample(text, metric, "_sum", labels, None, &distribution.sum.to_string(), None)?;
        sample(text, metric, "_count", labels, None, &total.to_string(), None)
    }
}

/// A bound as both formats have it: OpenMetrics wants a fraction.
fn number(bound: f64) -> String {
    if bound.fract() == 0.0 { format!("{bound:.1}") } else { bound.to_string() }
}

fn sample(
    text: &mut String,
    metric: &Metric,
    ending: &str,
    labels: &[String],
    bound: Option<&str>,
    value: &str,
    exemplar: Option<Exemplar>,
) -> std::fmt::Result {
    write!(text, "{}{ending}", metric.name)?;
    let named = metric.labels.iter().map(|label| label.name).zip(labels.iter().map(String::as_str));
    let named = named.filter(|(_, value)| !value.is_empty()).chain(bound.map(|bound| ("le", bound)));
    let mut separator = '{';
    for (name, value) in named {
        write!(text, "{separator}{name}=\"")?;
        escape(text, value);
        text.push('"');
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    write!(text, " {value}")?;
    if let Some(Exemplar { ids, value, at }) = exemplar {
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let (trace, span) = (ids.trace_id(), ids.span_id());
        write!(text, " # {{trace_id=\"{trace}\",span_id=\"{span}\"}} {value} {at:.3}")?;
    }
    text.push('\n');
    Ok(())
}

fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            character => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::catalogue;
    use crate::telemetry::context::Ids;
    use crate::telemetry::histogram::Histogram;

    fn families() -> Vec<Family> {
        let mut requests = Family::new(&catalogue::REQUESTS);
        requests.count(&["grpc", "a\"b\\c\nd", "0"], 7);
        let histogram = Histogram::new(&catalogue::TIME_PER_OUTPUT_TOKEN);
        histogram.record(1.0, Some(Ids { trace: [0xab; 16], span: [0xcd; 8], sampled: true }));
        histogram.record(9.0, None);
        let mut times = Family::new(&catalogue::TIME_PER_OUTPUT_TOKEN);
        times.histogram(&["chat", "", "m"], &histogram);
        vec![requests, times]
    }

    #[test]
    fn prometheus_reads_names_labels_and_buckets() {
        let text = Form::Prometheus.write(&families());
        assert!(text.contains("# TYPE sabir_requests_total counter\n"), "{text}");
        assert!(text.contains("sabir_requests_total{protocol=\"grpc\",method=\"a\\\"b\\\\c\\nd\",code=\"0\"} 7\n"));
        let name = "gen_ai_server_time_per_output_token_seconds";
        let labels = "gen_ai_operation_name=\"chat\",gen_ai_request_model=\"m\"";
        assert!(text.contains(&format!("{name}_bucket{{{labels},le=\"0.75\"}} 0\n")), "{text}");
        assert!(text.contains(&format!("{name}_bucket{{{labels},le=\"1.0\"}} 1\n")), "{text}");
        assert!(text.contains(&format!("{name}_bucket{{{labels},le=\"+Inf\"}} 2\n")), "{text}");
        assert!(text.contains(&format!("{name}_sum{{{labels}}} 10\n")), "{text}");
        assert!(!text.contains("trace_id") && !text.contains("EOF"));
    }

    #[test]
    fn openmetrics_has_exemplars_and_an_end() {
        let text = Form::OpenMetrics.write(&families());
        assert!(text.contains("# TYPE sabir_requests counter\nsabir_requests_total{"), "{text}");
        let example =
            format!("le=\"1.0\"}} 1 # {{trace_id=\"{}\",span_id=\"{}\"}} 1 ", "ab".repeat(16), "cd".repeat(8));
        assert!(text.contains(&example), "{text}");
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(Form::wanted("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"), Form::OpenMetrics);
        assert_eq!(Form::wanted("*/*"), Form::Prometheus);
    }
}
