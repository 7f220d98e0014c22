//! `sabir.v1.Embeddings`.

use sabir_proto::v1::embeddings_server;
use sabir_proto::v1::{CreateEmbeddingRequest, CreateEmbeddingResponse};
use tonic::{Request, Response, Status};

use super::caller::{caller, respond};
use crate::guard::Guard;

/// Serves vectors.
#[derive(Clone, Debug)]
pub(crate) struct EmbeddingsApi {
    guard: Guard,
}

impl EmbeddingsApi {
    /// Has these calls made.
    pub(crate) fn new(guard: Guard) -> Self {
        Self { guard }
    }
}

#[tonic::async_trait]
impl embeddings_server::Embeddings for EmbeddingsApi {
    async fn create_embedding(
        &self,
        request: Request<CreateEmbeddingRequest>,
    ) -> Result<Response<CreateEmbeddingResponse>, Status> {
        let caller = caller(&request, self.guard.chat())?;
        self.guard.embed(caller, Box::new(request.into_inner())).await.map(respond)
    }
}
