//! `sabir.v1.Chat`.

use sabir_proto::v1::chat_server;
use sabir_proto::v1::{ChatCompletion, CreateChatCompletionRequest};
use tonic::{Request, Response, Status};

use super::caller::{caller, respond};
use crate::structured::{Answering, Structured};

/// Serves chat calls.
#[derive(Clone, Debug)]
pub(crate) struct ChatApi {
    structured: Structured,
}

impl ChatApi {
    pub(crate) fn new(structured: Structured) -> Self {
        Self { structured }
    }
}

#[tonic::async_trait]
impl chat_server::Chat for ChatApi {
    async fn create_chat_completion(
        &self,
        request: Request<CreateChatCompletionRequest>,
    ) -> Result<Response<ChatCompletion>, Status> {
        let caller = caller(&request, self.structured.chat())?;
        self.structured.complete(caller, Box::new(request.into_inner())).await.map(respond)
    }

    type StreamChatCompletionStream = Answering;

    async fn stream_chat_completion(
        &self,
        request: Request<CreateChatCompletionRequest>,
    ) -> Result<Response<Answering>, Status> {
        let caller = caller(&request, self.structured.chat())?;
        self.structured.stream(caller, Box::new(request.into_inner())).await.map(respond)
    }
}
