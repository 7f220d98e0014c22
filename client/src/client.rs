//! The client: one method for each call of the API.

use std::future::Future;
use std::sync::Arc;

use sabir_proto::v1::chat_client::ChatClient;
use sabir_proto::v1::models_client::ModelsClient;
use sabir_proto::v1::request_log_client::RequestLogClient;
use sabir_proto::v1::{
    ChatCompletion, CreateChatCompletionRequest, GetModelRequest, ListCapturesRequest, ListCapturesResponse,
    ListModelsRequest, Model,
};
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::transport::Channel;

use crate::{CallOptions, ChatStream, ConnectOptions, Error};

/// A connection to a Sabir server. Clones are cheap and share the connection; many calls can be open at once.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) channel: Channel,
    pub(crate) message_limit: usize,
    pub(crate) options: Arc<CallOptions>,
}

impl Client {
    /// Connects to a server, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the address is none, [`Error::Connect`] if nothing answers there.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::connect_with(url, &ConnectOptions::default()).await
    }

    /// Connects with other limits than the usual ones.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: &ConnectOptions) -> Result<Self, Error> {
        let channel = options.open(url).await?;
        Ok(Self { channel, message_limit: options.message_limit_bytes(), options: Arc::default() })
    }

    /// The same connection, with these options for every call made through it.
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { options: Arc::new(options), ..self.clone() }
    }

    /// Asks a model for a whole answer.
    ///
    /// # Errors
    /// [`Error::Call`] with what the server said.
    pub async fn chat(&self, request: CreateChatCompletionRequest) -> Result<ChatCompletion, Error> {
        let request = self.options.request(request);
        let mut chat = ChatClient::new(self.channel.clone()).max_decoding_message_size(self.message_limit);
        self.within_deadline(chat.create_chat_completion(request)).await
    }

    /// Asks a model for an answer in chunks. Resolves when the first of them is on its way.
    ///
    /// # Errors
    /// [`Error::Call`] with what the server said.
    pub async fn stream(&self, request: CreateChatCompletionRequest) -> Result<ChatStream, Error> {
        let deadline = self.deadline();
        let request = self.options.request(request);
        let mut chat = ChatClient::new(self.channel.clone()).max_decoding_message_size(self.message_limit);
        let response = within(deadline, chat.stream_chat_completion(request)).await?;
        Ok(ChatStream::new(response, deadline))
    }

    /// Lists the models that can be asked.
    ///
    /// # Errors
    /// [`Error::Call`] with what the server said.
    pub async fn models(&self) -> Result<Vec<Model>, Error> {
        let request = self.options.request(ListModelsRequest::default());
        let mut models = ModelsClient::new(self.channel.clone()).max_decoding_message_size(self.message_limit);
        Ok(self.within_deadline(models.list_models(request)).await?.data)
    }

    /// Lists what was captured of prompts and answers, the latest call first. Needs the scope `audit.read`.
    ///
    /// # Errors
    /// [`Error::Call`] with what the server said.
    pub async fn captures(&self, request: ListCapturesRequest) -> Result<ListCapturesResponse, Error> {
        let request = self.options.request(request);
        let mut log = RequestLogClient::new(self.channel.clone()).max_decoding_message_size(self.message_limit);
        self.within_deadline(log.list_captures(request)).await
    }

    /// Looks up one model.
    ///
    /// # Errors
    /// [`Error::Call`] with [`Code::NotFound`](crate::Code::NotFound) if there is no such model.
    pub async fn model(&self, id: impl Into<String>) -> Result<Model, Error> {
        let request = self.options.request(GetModelRequest { id: id.into() });
        let mut models = ModelsClient::new(self.channel.clone());
        self.within_deadline(models.get_model(request)).await
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.options.limit().and_then(|limit| Instant::now().checked_add(limit))
    }

    pub(crate) async fn within_deadline<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Error> {
        Ok(within(self.deadline(), call).await?.into_inner())
    }
}

/// The server keeps the deadline too; this one is for a server, or a network, that has stopped to answer.
pub(crate) async fn within<T>(
    deadline: Option<Instant>,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<tonic::Response<T>, Error> {
    match deadline {
        None => Ok(call.await?),
        Some(deadline) => Ok(timeout_at(deadline, call).await.map_err(|_| Error::deadline_exceeded())??),
    }
}
