//! `sabir.v1.Messages`: Anthropic's form in, chat completions behind, Anthropic's form out.
//!
//! Pure translation on both sides of the one path that every chat call takes; nothing is decided here.

mod answer;
mod request;
mod stream;

use std::sync::Arc;

use sabir_proto::v1::messages_server;
use sabir_proto::v1::{CreateMessageRequest, MessageResponse};
use sabir_providers::Origin;
use tonic::{Request, Response, Status};
use transcode::json::{MessageId, Plans};

use self::stream::Events;
use super::caller::{caller, respond};
use crate::chat::{Answer, Caller};
use crate::structured::Structured;

/// Serves messages.
#[derive(Clone, Debug)]
pub(crate) struct MessagesApi {
    structured: Structured,
    schema: Option<Schema>,
}

/// How the messages look as JSON, for what is carried on verbatim.
#[derive(Clone, Debug)]
struct Schema {
    plans: Arc<Plans>,
    response: MessageId,
    block: MessageId,
    tool: MessageId,
}

impl MessagesApi {
    /// Answers by these chat calls. `plans` say how the contract's messages look as JSON.
    pub(crate) fn new(structured: Structured, plans: Arc<Plans>) -> Self {
        let message = |name: &str| plans.message(&format!("sabir.v1.{name}"));
        let ids = (message("MessageResponse"), message("ContentBlock"), message("ToolParam"));
        let schema = match ids {
            (Some(response), Some(block), Some(tool)) => Some(Schema { response, block, tool, plans }),
            _ => None,
        };
        Self { structured, schema }
    }

    fn schema(&self) -> Result<&Schema, Status> {
        self.schema.as_ref().ok_or_else(|| Status::internal("the contract lacks the messages of this service"))
    }
}

#[tonic::async_trait]
impl messages_server::Messages for MessagesApi {
    async fn create_message(
        &self,
        request: Request<CreateMessageRequest>,
    ) -> Result<Response<MessageResponse>, Status> {
        let schema = self.schema()?;
        let caller = Caller { origin: Origin::Translated, ..caller(&request, self.structured.chat())? };
        let request = request::translate(schema, request.into_inner())?;
        let Answer { headers, body } = self.structured.complete(caller, Box::new(request)).await?;
        Ok(respond(Answer { headers, body: answer::translate(schema, body) }))
    }

    type StreamMessageStream = Events;

    async fn stream_message(&self, request: Request<CreateMessageRequest>) -> Result<Response<Events>, Status> {
        let schema = self.schema()?;
        let caller = Caller { origin: Origin::Translated, ..caller(&request, self.structured.chat())? };
        let mut request = request::translate(schema, request.into_inner())?;
        // The last event but one says what the call cost.
        request.stream_options.get_or_insert_default().include_usage = Some(true);
        let Answer { headers, body } = self.structured.stream(caller, Box::new(request)).await?;
        Ok(respond(Answer { headers, body: Events::new(body) }))
    }
}
