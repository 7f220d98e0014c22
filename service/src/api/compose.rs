//! `sabir.v1.Compose`.

use sabir_proto::v1::compose_server;
use sabir_proto::v1::{ChainRequest, FanOutRequest};
use tonic::{Request, Response, Status};

use super::caller::caller;
use crate::compose::{self, ChainEvents, FanOutEvents, Rules};
use crate::structured::Structured;

/// Serves composed calls.
#[derive(Clone, Debug)]
pub(crate) struct ComposeApi {
    structured: Structured,
    rules: Rules,
}

impl ComposeApi {
    /// Has these calls made, which keep these rules.
    pub(crate) fn new(structured: Structured, rules: Rules) -> Self {
        Self { structured, rules }
    }
}

#[tonic::async_trait]
impl compose_server::Compose for ComposeApi {
    type FanOutStream = FanOutEvents;

    async fn fan_out(&self, request: Request<FanOutRequest>) -> Result<Response<FanOutEvents>, Status> {
        let caller = caller(&request, self.structured.chat())?;
        compose::fan_out(self.structured.clone(), caller, &self.rules, request.into_inner()).map(Response::new)
    }

    type ChainStream = ChainEvents;

    async fn chain(&self, request: Request<ChainRequest>) -> Result<Response<ChainEvents>, Status> {
        let caller = caller(&request, self.structured.chat())?;
        compose::chain(self.structured.clone(), caller, request.into_inner()).map(Response::new)
    }
}
