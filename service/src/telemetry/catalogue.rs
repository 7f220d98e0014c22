//! Every metric: what it is called, what it counts, what tells its series apart. Nothing is measured that is not declared
//! here, and the tables in `docs/operations.md` are made of this list.

/// What a metric is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many values were at most as large as each of these bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word for it, as Prometheus has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// What tells the series of a metric apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    /// As Prometheus has it.
    pub(crate) name: &'static str,
    /// As OpenTelemetry has it.
    pub(crate) attribute: &'static str,
}

/// One metric.
#[derive(Debug)]
pub(crate) struct Metric {
    /// As Prometheus has it.
    pub(crate) name: &'static str,
    /// As OpenTelemetry has it.
    pub(crate) otlp: &'static str,
    /// What it is.
    pub(crate) kind: Kind,
    /// In UCUM, as OpenTelemetry wants it: `s`, `By`, `{token}`.
    pub(crate) unit: &'static str,
    /// The labels, in the order in which points have their values.
    pub(crate) labels: &'static [Label],
    /// A sentence for people.
    pub(crate) help: &'static str,
}

const fn label(name: &'static str, attribute: &'static str) -> Label {
    Label { name, attribute }
}

const PROTOCOL: Label = label("protocol", "sabir.protocol");
const METHOD: Label = label("method", "rpc.method");
const CODE: Label = label("code", "rpc.grpc.status_code");
const OPERATION: Label = label("gen_ai_operation_name", "gen_ai.operation.name");
const PROVIDER: Label = label("gen_ai_provider_name", "gen_ai.provider.name");
const MODEL: Label = label("gen_ai_request_model", "gen_ai.request.model");
const ERROR: Label = label("error_type", "error.type");
const TOKEN_TYPE: Label = label("gen_ai_token_type", "gen_ai.token.type");
const OUTCOME: Label = label("outcome", "sabir.outcome");
const ASKED: Label = label("provider", "sabir.provider");
const TARGET: Label = label("target", "sabir.target");
const REASON: Label = label("reason", "sabir.reason");
const TEAM: Label = label("team", "sabir.team");

/// For whole requests: the bounds that OpenTelemetry gives for HTTP, and longer ones, for models take their time.
const REQUEST_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0, 300.0];

// The bounds that the conventions for generative AI give.
// Source: <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>.
const OPERATION_SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const FIRST_TOKEN_SECONDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const PER_TOKEN_SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

/// Declares the metrics, and the list of all of them.
macro_rules! metrics {
    ($($id:ident: $kind:expr, $name:literal, $otlp:literal, $unit:literal, [$($label:ident),*], $help:literal;)+) => {
        $(pub(crate) static $id: Metric = Metric {
            name: $name, otlp: $otlp, kind: $kind, unit: $unit, labels: &[$($label),*], help: $help,
        };)+

        /// All of them, in the order in which they are shown.
        #[cfg(test)]
        pub(crate) static ALL: &[&Metric] = &[$(&$id),+];
    };
}

metrics! {
    REQUESTS: Kind::Counter, "sabir_requests_total", "sabir.requests", "{request}", [PROTOCOL, METHOD, CODE],
        "Requests that have ended, by protocol, RPC and gRPC status.";
    IN_FLIGHT: Kind::Gauge, "sabir_requests_in_flight", "sabir.requests.in_flight", "{request}", [],
        "Requests that are being answered, streams included.";
    DURATION: Kind::Histogram(REQUEST_SECONDS), "sabir_request_duration_seconds", "sabir.request.duration", "s",
        [PROTOCOL, METHOD], "From the head of a request to the end of its answer, streams included.";
    OPEN_STREAMS: Kind::Gauge, "sabir_open_streams", "sabir.streams.open", "{stream}", [],
        "Requests with a streamed answer that are being answered.";
    OPEN_CONNECTIONS: Kind::Gauge, "sabir_open_connections", "sabir.connections.open", "{connection}", [],
        "Connections to the port for requests.";
    REFUSALS: Kind::Counter, "sabir_refusals_total", "sabir.refusals", "{request}", [REASON],
        "Requests that were turned down: auth, limit, budget, overload.";
    OPERATION_DURATION: Kind::Histogram(OPERATION_SECONDS), "gen_ai_client_operation_duration_seconds",
        "gen_ai.client.operation.duration", "s", [OPERATION, PROVIDER, MODEL, ERROR],
        "How long attempts at providers took, to the end of their streams.";
    TOKEN_USAGE: Kind::Histogram(TOKENS), "gen_ai_client_token_usage", "gen_ai.client.token.usage", "{token}",
        [TOKEN_TYPE, OPERATION, PROVIDER, MODEL], "Tokens of the questions and answers of calls.";
    TIME_TO_FIRST_TOKEN: Kind::Histogram(FIRST_TOKEN_SECONDS), "gen_ai_server_time_to_first_token_seconds",
        "gen_ai.server.time_to_first_token", "s", [OPERATION, PROVIDER, MODEL],
        "From the request to the first piece of a streamed answer.";
    TIME_PER_OUTPUT_TOKEN: Kind::Histogram(PER_TOKEN_SECONDS), "gen_ai_server_time_per_output_token_seconds",
        "gen_ai.server.time_per_output_token", "s", [OPERATION, PROVIDER, MODEL],
        "The time of each token of a streamed answer after the first.";
    ATTEMPTS: Kind::Counter, "sabir_attempts_total", "sabir.attempts", "{attempt}", [ASKED, OUTCOME],
        "Attempts at providers that have ended: ok, or why they failed.";
    BREAKER_OPEN: Kind::Gauge, "sabir_breaker_open", "sabir.breaker.open", "1", [TARGET],
        "Whether a target of a route is left alone because it fails: 1 or 0.";
    CACHE_LOOKUPS: Kind::Counter, "sabir_cache_lookups_total", "sabir.cache.lookups", "{lookup}", [OUTCOME],
        "Looks into the cache of answers: hit or miss.";
    COST: Kind::Counter, "sabir_cost_microusd_total", "sabir.cost", "u[USD]", [TEAM],
        "What calls cost, in millionths of a dollar, by the id of the team; `none` without one.";
    USAGE_PENDING: Kind::Gauge, "sabir_usage_rows_pending", "sabir.usage_rows.pending", "{row}", [],
        "Usage rows that are not in the database yet.";
    USAGE_LOST: Kind::Counter, "sabir_usage_rows_lost_total", "sabir.usage_rows.lost", "{row}", [],
        "Usage rows that the database has refused for good.";
    STORE_ERRORS: Kind::Counter, "sabir_store_errors_total", "sabir.store.errors", "{error}", [],
        "Writes of usage rows that failed, and requests that failed because of the database.";
    EXPORTS_FAILED: Kind::Counter, "sabir_exports_failed_total", "sabir.exports.failed", "{export}", [],
        "Exports of metrics over OTLP that failed.";
    CPU: Kind::Counter, "process_cpu_seconds_total", "process.cpu.time", "s", [],
        "Processor time of the process, its own and the kernel's on its behalf.";
    MEMORY: Kind::Gauge, "process_resident_memory_bytes", "process.memory.usage", "By", [],
        "Memory of the process that is not swapped out.";
    FILES: Kind::Gauge, "process_open_fds", "process.unix.file_descriptor.count", "{file_descriptor}", [],
        "Files, sockets and the like that the process has open.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_well_formed_and_say_what_they_count() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len(), "no name twice");
        for metric in ALL {
            assert!(metric.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), matches!(metric.kind, Kind::Counter), "{}", metric.name);
            assert_eq!(metric.unit == "s", metric.name.contains("seconds"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted(), "{}", metric.name);
            }
        }
    }
}
