//! `sabir.v1.Chat`.

use std::sync::Arc;

use sabir_proto::v1::chat_server;
use sabir_proto::v1::{ChatCompletion, CreateChatCompletionRequest};
use sabir_providers::OnUnsupported;
use sabir_store::Protocol;
use tonic::{Request, Response, Status};

use crate::auth::Principal;
use crate::chat::{Answer, Caller, Chat, Failure, ON_UNSUPPORTED, Relay, Violation};
use crate::limit::CallLimits;

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

/// What the edge noted about a call.
///
/// # Errors
/// A header that says something we do not know.
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let protocol = match request.extensions().get() {
        Some(transcode::Protocol::Rest | transcode::Protocol::WebSocket) => Protocol::Rest,
        Some(transcode::Protocol::GrpcWeb) => Protocol::GrpcWeb,
        Some(transcode::Protocol::Grpc) | None => Protocol::Grpc,
    };
    let principal = request.extensions().get::<Arc<Principal>>().cloned().unwrap_or_else(Principal::nobody);
    let deadline = request.extensions().get::<transcode::Deadline>().map(|deadline| deadline.0);
    let limits = request.extensions().get::<Arc<CallLimits>>().cloned();
    let on_unsupported = match request.metadata().get(ON_UNSUPPORTED).map(|value| value.as_bytes()) {
        None | Some(b"refuse") => OnUnsupported::Refuse,
        Some(b"drop") => OnUnsupported::Drop,
        Some(_) => {
            let message = "must be \"refuse\" or \"drop\"".to_owned();
            return Err((&Failure::Invalid(vec![Violation { field: ON_UNSUPPORTED.to_owned(), message }])).into());
        }
    };
    Ok(Caller { limits, on_unsupported, ..Caller::now(principal, protocol, deadline) })
}

#[tonic::async_trait]
impl chat_server::Chat for ChatApi {
    async fn create_chat_completion(
        &self,
        request: Request<CreateChatCompletionRequest>,
    ) -> Result<Response<ChatCompletion>, Status> {
        let caller = caller(&request)?;
        self.chat.complete(caller, Box::new(request.into_inner())).await.map(respond)
    }

    type StreamChatCompletionStream = Relay;

    async fn stream_chat_completion(
        &self,
        request: Request<CreateChatCompletionRequest>,
    ) -> Result<Response<Relay>, Status> {
        let caller = caller(&request)?;
        self.chat.stream(caller, Box::new(request.into_inner())).await.map(respond)
    }
}

fn respond<T>(answer: Answer<T>) -> Response<T> {
    Response::from_parts(answer.headers, answer.body, http::Extensions::new())
}
