//! Answers that follow a schema: checked before anybody relies on them, put right where that is a matter of form, asked for
//! once more where the caller wants that.
//!
//! Providers hold a schema themselves where they can; nobody here relies on it. It stands in front of the chat and uses it
//! as any caller does, so that every question to a model has its own usage row.

mod complete;
mod fields;
mod problem;
mod repair;
mod schema;
mod stream;

use std::sync::Arc;

use sabir_proto::v1::response_format::{Format, JsonSchema};
use sabir_proto::v1::{ChatCompletion, CreateChatCompletionRequest, ResponseFormat};
use tonic::Status;

pub(crate) use self::fields::Fields;
pub(crate) use self::problem::Problem;
pub(crate) use self::repair::repair;
pub(crate) use self::schema::{Checked, Schema, Schemas};
pub(crate) use self::stream::Answering;
use crate::chat::{Answer, Caller, Chat};
use crate::guard::Guard;

/// The header by which a caller says what to do about answers that do not follow their schema: `check`, which is usual,
/// `reask`, or `off`.
pub(crate) const STRUCTURED: &str = "sabir-structured";

/// What to do about an answer that does not follow its schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Care {
    /// Put it right if that is a matter of form; else refuse it.
    #[default]
    Check,
    /// Ask once more before it is refused. A stream, which cannot be taken back, is checked only.
    Reask,
    /// Nothing.
    Off,
}

/// Chat calls whose answers follow their schemas. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Structured {
    guard: Guard,
    schemas: Schemas,
}

impl Structured {
    /// Has these calls made.
    pub(crate) fn new(guard: Guard, schemas: Schemas) -> Self {
        Self { guard, schemas }
    }

    /// The calls behind guardrails, whatever their answers look like.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The calls as they are, without guardrails.
    pub(crate) fn chat(&self) -> &Chat {
        self.guard.chat()
    }

    /// The schemas that were seen of late.
    pub(crate) fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// As [`Chat::complete`]; a schema that is none; an answer that does not follow it.
    pub(crate) async fn complete(
        &self,
        caller: Caller,
        request: Box<CreateChatCompletionRequest>,
    ) -> Result<Answer<ChatCompletion>, Status> {
        match self.schema_of(&caller, &request)? {
            None => self.guard.complete(caller, request).await,
            Some(schema) => complete::complete(&self.guard, &schema, caller, request).await,
        }
    }

    /// Asks for a streamed answer.
    ///
    /// # Errors
    /// As [`Chat::stream`]; a schema that is none. An answer that does not follow it ends with an error.
    pub(crate) async fn stream(
        &self,
        caller: Caller,
        request: Box<CreateChatCompletionRequest>,
    ) -> Result<Answer<Answering>, Status> {
        let schema = self.schema_of(&caller, &request)?;
        let Answer { headers, body } = self.guard.stream(caller, request).await?;
        Ok(Answer { headers, body: Answering::new(body, schema) })
    }

    /// The schema that an answer has to follow, if there is one and somebody cares.
    fn schema_of(&self, caller: &Caller, request: &CreateChatCompletionRequest) -> Result<Option<Arc<Schema>>, Status> {
        let Some(ResponseFormat { format: Some(Format::JsonSchema(JsonSchema { schema, .. })), .. }) =
            &request.response_format
        else {
            return Ok(None);
        };
        if schema.is_empty() || caller.care == Care::Off {
            return Ok(None);
        }
        let schema = self.schemas.get(schema);
        schema.map(Some).map_err(|problem| problem.of_field("response_format.json_schema.schema"))
    }
}
