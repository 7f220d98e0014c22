//! The `[server]` section: where to listen and how much to allow.

use std::net::SocketAddr;
use std::time::Duration;

use transcode::cors::Origins;

use super::tls;
use crate::auth::Mode;
use crate::config::{ByteSize, Section};

/// The words of `server.runtime`.
const RUNTIMES: [(&str, Runtime); 2] = [("shared", Runtime::Shared), ("per-core", Runtime::PerCore)];

/// What the workers of the server share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// One runtime: whoever has nothing to do takes from the others.
    Shared,
    /// Nothing: each has a runtime, connections and connections to upstreams of its own. It costs a tenth less CPU a call,
    /// and a fifth less over HTTP/2 (`scripts/bench-runtimes`).
    #[default]
    PerCore,
}

/// How the server listens, and its limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// `server.listen`: the address of the one port for gRPC, gRPC-Web and HTTP.
    pub listen: SocketAddr,
    /// `server.allow_unauthenticated`: listen beyond loopback although everyone who can reach the port may use it.
    pub allow_unauthenticated: bool,
    /// `server.workers`: threads that serve requests. One means a single-threaded runtime. Left out: one for each
    /// processor that the process may use.
    pub workers: Option<usize>,
    /// `server.runtime`: what the workers share.
    pub runtime: Runtime,
    /// `server.body_limit`: the largest request body, in bytes.
    pub body_limit: usize,
    /// `server.bodies_limit`: how many bytes of request bodies may be in memory at once, over all calls.
    pub bodies_limit: usize,
    /// `server.max_streams`: how many calls with a streamed request or answer may be open at once.
    pub max_streams: usize,
    /// `server.max_calls`: how many calls may be open at once.
    pub max_calls: usize,
    /// `server.body_timeout`: how long a request body may pause before the request is given up.
    pub body_timeout: Duration,
    /// `server.stream_keep_alive`: how long a stream of events may be silent before a comment is sent, so that proxies
    /// do not cut it.
    pub stream_keep_alive: Duration,
    /// `server.max_connections`: how many connections are open at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// `server.handshake_timeout`: how long a new connection may take to show by its first bytes whether it speaks
    /// HTTP/1.1 or HTTP/2.
    pub handshake_timeout: Duration,
    /// `server.header_timeout`: how long an HTTP/1.1 connection may take from being free to the end of the next request
    /// head. It also closes idle connections, so it must be longer than a load balancer keeps its own (60 s is usual).
    pub header_timeout: Duration,
    /// `server.request_timeout`: how long a call may take when the caller sets no deadline. Left out: no limit.
    pub request_timeout: Option<Duration>,
    /// `server.drain_timeout`: how long open calls may go on after a request to stop.
    pub drain_timeout: Duration,
    /// `server.max_connection_age`: how long a connection may last before its client is asked to make another, so that a
    /// balancer spreads clients over new replicas. Calls that are open go on. Left out: no limit.
    pub max_connection_age: Option<Duration>,
    /// `[server.tls]`: the certificates. Left out: no TLS.
    pub tls: Option<tls::Config>,
    /// `server.cors_origins`: origins of web pages that may call, or `"*"`. Left out: pages served from loopback.
    pub cors_origins: Origins,
}

impl Config {
    /// How many threads serve requests.
    pub(crate) fn cores(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// How many runtimes serve requests, each with connections to upstreams of its own.
    pub(crate) fn runtimes(&self) -> usize {
        match self.runtime {
            Runtime::Shared => 1,
            Runtime::PerCore => self.cores(),
        }
    }

    /// Reads the section, with what `auth.mode` is.
    pub(crate) fn read(mut section: Section<'_>, mode: Mode) -> Self {
        let config = Self {
            listen: section.value("listen", SocketAddr::from(([127, 0, 0, 1], 8080))),
            allow_unauthenticated: section.value("allow_unauthenticated", false),
            workers: section.optional("workers"),
            runtime: section.choice("runtime", &RUNTIMES, Runtime::default()),
            body_limit: section.value("body_limit", ByteSize(32 << 20)).0,
            bodies_limit: section.value("bodies_limit", ByteSize(512 << 20)).0,
            max_streams: section.value("max_streams", 65_536),
            max_calls: section.value("max_calls", 10_000),
            body_timeout: section.value("body_timeout", Duration::from_secs(30)),
            stream_keep_alive: section.value("stream_keep_alive", Duration::from_secs(15)),
            max_connections: section.value("max_connections", 10_000),
            handshake_timeout: section.value("handshake_timeout", Duration::from_secs(10)),
            header_timeout: section.value("header_timeout", Duration::from_secs(75)),
            request_timeout: section.optional("request_timeout"),
            drain_timeout: section.value("drain_timeout", Duration::from_secs(30)),
            max_connection_age: section.optional("max_connection_age"),
            tls: tls::Config::read(section.section("tls")),
            cors_origins: cors_origins(&mut section),
        };
        if config.workers.is_some_and(|workers| !(1..=1024).contains(&workers)) {
            section.problem("workers", "must be from 1 to 1024");
        }
        if config.body_limit == 0 {
            section.problem("body_limit", "must be more than 0");
        }
        if config.bodies_limit < config.body_limit {
            section.problem("bodies_limit", "must be at least server.body_limit, or no body of that size ever passes");
        }
        if config.max_calls == 0 {
            section.problem("max_calls", "must be more than 0");
        }
        if config.max_streams == 0 {
            section.problem("max_streams", "must be more than 0");
        }
        if !(1..=1_000_000).contains(&config.max_connections) {
            section.problem("max_connections", "must be from 1 to 1000000");
        }
        for (key, limit) in [
            ("body_timeout", Some(config.body_timeout)),
            ("stream_keep_alive", Some(config.stream_keep_alive)),
            ("handshake_timeout", Some(config.handshake_timeout)),
            ("header_timeout", Some(config.header_timeout)),
            ("request_timeout", config.request_timeout),
            ("max_connection_age", config.max_connection_age),
        ] {
            if limit == Some(Duration::ZERO) {
                section.problem(key, "must be more than 0");
            }
        }
        let exposed = !config.listen.ip().is_loopback() && mode == Mode::Open;
        if exposed && !config.allow_unauthenticated {
            section.problem(
                "listen",
                format!(
                    "{} can be reached from other machines, and everyone who reaches it could use your models. Set \
                     auth.mode = \"required\" (SABIR_AUTH__MODE=required), listen on 127.0.0.1 behind something that \
                     authenticates, or set server.allow_unauthenticated = true \
                     (SABIR_SERVER__ALLOW_UNAUTHENTICATED=true)",
                    config.listen
                ),
            );
        }
        section.finish();
        config
    }
}

fn cors_origins(section: &mut Section<'_>) -> Origins {
    let Some(origins) = section.optional::<Vec<String>>("cors_origins") else { return Origins::Loopback };
    if origins == ["*"] {
        return Origins::Any;
    }
    let mut list = Vec::with_capacity(origins.len());
    for origin in &origins {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let complete = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*']));
        match origin.parse() {
            Ok(origin) if complete => list.push(origin),
            _ => section.problem(
                "cors_origins",
                format!("\"{origin}\" is no origin: write scheme, host and port only (\"https://app.example.com\"), or \"*\" alone"),
            ),
        }
    }
    Origins::List(list)
}
