//! The contract's rules for questions that no caller sent as they are: the gate has not seen them.

use std::sync::Arc;

use prost::Message as _;
use sabir_proto::v1::CreateChatCompletionRequest;
use tonic::Status;
use transcode::json::MessageId;
use transcode::validate::Validator;

/// What holds questions to the rules. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    validator: Arc<Validator>,
    question: Option<MessageId>,
}

impl Rules {
    /// The rules that the gate has.
    pub(crate) fn new(validator: Arc<Validator>) -> Self {
        let question = validator.plans().message("sabir.v1.CreateChatCompletionRequest");
        Self { validator, question }
    }

    /// The rules of the contract.
    #[cfg(test)]
    pub(super) fn of_contract() -> Self {
        Self::new(transcode::Transcoder::new(sabir_proto::FILE_DESCRIPTOR_SET).unwrap().validator())
    }

    /// Whether a question keeps them.
    ///
    /// # Errors
    /// The rules that it breaks, with the fields at fault.
    pub(super) fn check(&self, question: &CreateChatCompletionRequest) -> Result<(), Status> {
        let id = self.question.ok_or_else(|| Status::internal("the contract lacks the message of a question"))?;
        self.validator.validate(id, &question.encode_to_vec())
    }
}
