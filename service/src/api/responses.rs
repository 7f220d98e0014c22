//! `sabir.v1.Responses`: the form of OpenAI's Responses API in, chat completions behind, the same form out.
//!
//! Pure translation on both sides of the one path that every chat call takes; nothing is decided here.

mod answer;
mod echo;
mod input;
mod request;
mod stream;
mod thought;
mod writer;

use std::sync::Arc;

use sabir_proto::v1::responses_server;
use sabir_proto::v1::{CreateResponseRequest, ModelResponse};
use sabir_providers::Origin;
use tonic::{Request, Response, Status};
use transcode::json::{MessageId, Plans};

use self::echo::echo;
use self::stream::Events;
use super::caller::{caller, respond};
use crate::chat::{Answer, Caller};
use crate::structured::Structured;

/// Serves responses.
#[derive(Clone, Debug)]
pub(crate) struct ResponsesApi {
    structured: Structured,
    schema: Option<Schema>,
}

/// How the messages look as JSON, for what is carried on verbatim.
#[derive(Clone, Debug)]
struct Schema {
    plans: Arc<Plans>,
    tool: MessageId,
}

impl ResponsesApi {
    /// Answers by these chat calls. `plans` say how the contract's messages look as JSON.
    pub(crate) fn new(structured: Structured, plans: Arc<Plans>) -> Self {
        let schema = plans.message("sabir.v1.ResponseTool").map(|tool| Schema { tool, plans });
        Self { structured, schema }
    }

    fn schema(&self) -> Result<&Schema, Status> {
        self.schema.as_ref().ok_or_else(|| Status::internal("the contract lacks the messages of this service"))
    }
}

#[tonic::async_trait]
impl responses_server::Responses for ResponsesApi {
    async fn create_response(
        &self,
        request: Request<CreateResponseRequest>,
    ) -> Result<Response<ModelResponse>, Status> {
        let caller = Caller { origin: Origin::Translated, ..caller(&request, self.structured.chat())? };
        let request = request.into_inner();
        let echo = echo(&request);
        let request = request::translate(self.schema()?, request)?;
        let Answer { headers, body } = self.structured.complete(caller, Box::new(request)).await?;
        Ok(respond(Answer { headers, body: answer::translate(echo, body) }))
    }

    type StreamResponseStream = Events;

    async fn stream_response(&self, request: Request<CreateResponseRequest>) -> Result<Response<Events>, Status> {
        let caller = Caller { origin: Origin::Translated, ..caller(&request, self.structured.chat())? };
        let request = request.into_inner();
        let echo = echo(&request);
        let mut request = request::translate(self.schema()?, request)?;
        // The last event says what the call cost.
        request.stream_options.get_or_insert_default().include_usage = Some(true);
        let Answer { headers, body } = self.structured.stream(caller, Box::new(request)).await?;
        Ok(respond(Answer { headers, body: Events::new(echo, body) }))
    }
}
