//! Claims about dependencies, through the layer: a service made of a closure, called as gRPC calls it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed, and says so by panicking"
)]

mod ending;
mod graph;
mod support;
