//! `sabir.v1.Chat`.

use sabir_proto::v1::chat_server;
use sabir_proto::v1::{ChatCompletion, CreateChatCompletionRequest};
use tonic::{Request, Response, Status};

use super::caller::{caller, respond};
use crate::chat::{Chat, Relay};

/// Serves chat calls.
#[derive(Clone, Debug)]
pub(crate) struct ChatApi {
    chat: Chat,
}

impl ChatApi {
    pub(crate) fn new(chat: Chat) -> Self {
        Self { chat }
    }
}

#[tonic::async_trait]
impl chat_server::Chat for ChatApi {
    async fn create_chat_completion(
        &self,
        request: Request<CreateChatCompletionRequest>,
    ) -> Result<Response<ChatCompletion>, Status> {
        let caller = caller(&request, &self.chat)?;
        self.chat.complete(caller, Box::new(request.into_inner())).await.map(respond)
    }

    type StreamChatCompletionStream = Relay;

    async fn stream_chat_completion(
        &self,
        request: Request<CreateChatCompletionRequest>,
    ) -> Result<Response<Relay>, Status> {
        let caller = caller(&request, &self.chat)?;
        self.chat.stream(caller, Box::new(request.into_inner())).await.map(respond)
    }
}
