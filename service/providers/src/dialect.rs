//! The wire protocols by name, each with how an upstream that speaks it is made.
//!
//! A new protocol is a folder and a line in [`DIALECTS`]; nothing else in the service names one.

use std::fmt;
use std::sync::Arc;

use transcode::json::Plans;

use crate::anthropic;
use crate::bedrock;
use crate::cohere;
use crate::endpoint::Endpoint;
use crate::error::SetupError;
use crate::gemini;
use crate::ollama;
use crate::openai::{self, Quirks};
use crate::responses;
use crate::transport::Transport;
use crate::upstream::Upstream;

/// Every protocol, in the order in which documentation lists them.
pub static DIALECTS: &[&Dialect] = &[
    &openai::DIALECT,
    &responses::DIALECT,
    &anthropic::DIALECT,
    &gemini::DIALECT,
    &gemini::VERTEX,
    &ollama::DIALECT,
    &cohere::DIALECT,
    &bedrock::DIALECT,
];

/// A wire protocol.
pub struct Dialect {
    /// Its name, as vendors' rows and documentation have it.
    pub name: &'static str,
    /// Makes the upstream at an address. No connection is opened.
    pub build: fn(Setup) -> Result<Arc<dyn Upstream>, SetupError>,
}

/// What an upstream is made of.
#[derive(Clone)]
pub struct Setup {
    /// How the contract's messages look as JSON.
    pub plans: Arc<Plans>,
    /// Address and credentials.
    pub endpoint: Endpoint,
    /// The sender.
    pub transport: Transport,
    /// How the server departs from OpenAI's protocol, for servers that speak it.
    pub quirks: Quirks,
}

impl fmt::Debug for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Dialect({})", self.name)
    }
}
