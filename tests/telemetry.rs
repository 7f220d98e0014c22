//! Claims about what the server says of itself, over every protocol alike: read by a collector that decodes OTLP, and by a
//! scraper that reads `/metrics`.

mod commands;
mod metrics;
mod privacy;
mod traces;

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;

use crate::support::{
    Collector, Server, Upstream,
    http::{get, http1},
    server::free_address,
};

/// A server that sends everything to a collector and shows its metrics, with further lines of configuration.
struct Watched {
    upstream: Upstream,
    collector: Collector,
    server: Server,
    admin: SocketAddr,
}

async fn watched(lines: &str) -> Watched {
    let (upstream, collector, admin) = (Upstream::start(), Collector::start(), free_address());
    let config = format!("{}\n{lines}", Server::config_for(&upstream.base_url()));
    let mut variables = collector.variables();
    variables.extend([("SABIR_ADMIN__ENABLED", "true".to_owned()), ("SABIR_ADMIN__LISTEN", admin.to_string())]);
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Server::start_with(&config, &variables).await;
    Watched { upstream, collector, server, admin }
}

/// The metrics of a server, as lines.
async fn scrape(admin: SocketAddr) -> Vec<String> {
    let (status, body) = get(admin, "/metrics").await;
    assert_eq!(status, 200);
    String::from_utf8(body).unwrap().lines().map(str::to_owned).collect()
}

/// The metrics as OpenMetrics.
async fn scrape_openmetrics(admin: SocketAddr) -> (String, String) {
    let accept = "application/openmetrics-text; version=1.0.0";
    let exchange = http1(admin, Request::get("/metrics").header("accept", accept).body(Bytes::new()).unwrap()).await;
    let media_type = exchange.header("content-type").unwrap().to_owned();
    (media_type, String::from_utf8(exchange.body().await).unwrap())
}

/// The sum of the samples of this name whose labels hold all of these.
fn value(lines: &[String], name: &str, labels: &[&str]) -> f64 {
    let samples = lines.iter().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label)))
    });
    samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}
