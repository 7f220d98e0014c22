//! Claims about Sabir, through the front door: the real server, each protocol, a scripted upstream.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed, and says so by panicking"
)]

mod admin;
mod answers;
mod auth;
mod bad_input;
mod browser;
mod budgets;
mod cache;
mod cancellation;
mod clients;
mod compose;
mod conformance;
mod envoy;
mod failures;
mod floods;
mod guardrails;
mod harness;
mod helm;
mod interop;
mod lifecycle;
mod limits;
mod local;
mod oauth;
mod openapi;
mod overload;
mod pacing;
mod postgres;
mod reload;
mod replicas;
mod requests;
mod round_trip;
mod routes;
mod routing;
mod rules;
mod secrets;
mod sockets;
mod structured;
mod support;
mod telemetry;
mod tidy;
mod tls;
mod usage;
