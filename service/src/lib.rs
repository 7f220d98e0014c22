//! Sabir: one typed LLM API over gRPC, gRPC-Web and OpenAI-compatible HTTP, in front of any model.
//!
//! This crate is the service itself. The contract, the transcoder, the providers and the stores are crates of their own,
//! which do not know it; [`app`] is the one module that knows them all.
//!
//! In reading order: a call arrives at [`server`], passes the layers that [`app`] stacks up, becomes a message in `api`,
//! and is answered by `chat` with a model that `upstream` found for it.

pub mod app;
pub mod budget;
pub mod cache;
pub mod capture;
pub mod cli;
pub mod config;
pub mod pages;
mod reload;
mod retention;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod upstream;

mod about;
mod api;
pub mod auth;
mod banner;
mod chat;
mod compose;
mod dependencies;
mod error;
pub mod guard;
mod limit;
mod live;
mod nearest;
mod outgoing;
mod overload;
mod redact;
mod structured;

pub use app::{Ended, StartError, run};
pub use config::Config;
pub use server::Shutdown;
