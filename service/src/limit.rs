//! How much may be asked: requests and tokens per minute, and calls at once, for each key, user, team, model and for all.
//!
//! The decision is made in memory ([`Limiter`]). Where several replicas share the limits, each spends what it has leased
//! from the database ahead of time, so that a call does not wait for the database. Nothing here knows a protocol; only
//! `layer` and `headers` know HTTP.

mod account;
mod accounts;
mod body;
mod bucket;
mod call;
mod config;
mod gcra;
mod headers;
mod hold;
mod layer;
mod leaser;
mod limiter;
mod refusal;
mod rules;
mod slots;
mod standing;

pub(crate) use call::CallLimits;
pub(crate) use config::Config;
pub(crate) use headers::EXPOSED;
pub(crate) use hold::Hold;
pub(crate) use layer::LimitLayer;
pub(crate) use limiter::{Limiter, Want};
pub(crate) use refusal::{Cause, Refusal};
pub(crate) use standing::Measure;

#[cfg(test)]
mod tests;
