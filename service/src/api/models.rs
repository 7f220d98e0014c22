//! `sabir.v1.Models`.

use std::sync::Arc;

use sabir_proto::v1::models_server::Models;
use sabir_proto::v1::{GetModelRequest, ListModelsRequest, ListModelsResponse, Model};
use tonic::{Request, Response, Status};

use crate::upstream::Registry;

/// Serves the list of models.
#[derive(Clone, Debug)]
pub(crate) struct ModelsApi {
    registry: Arc<Registry>,
}

impl ModelsApi {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }
}

#[tonic::async_trait]
impl Models for ModelsApi {
    async fn list_models(&self, _: Request<ListModelsRequest>) -> Result<Response<ListModelsResponse>, Status> {
        let data = self.registry.list().await;
        Ok(Response::new(ListModelsResponse { object: "list".to_owned(), data, ..Default::default() }))
    }

    async fn get_model(&self, request: Request<GetModelRequest>) -> Result<Response<Model>, Status> {
        let id = request.into_inner().id;
        self.registry.get(&id).await.map(Response::new).map_err(|unknown| Status::from(&unknown))
    }
}
