//! `sabir.v1.Models`.

use std::sync::Arc;

use sabir_proto::v1::models_server::Models;
use sabir_proto::v1::{GetModelRequest, ListModelsRequest, ListModelsResponse, Model};
use tonic::{Request, Response, Status};

use crate::auth::Principal;
use crate::error::model_forbidden;
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

/// Who asks, as the authentication layer found it.
fn principal<T>(request: &Request<T>) -> Arc<Principal> {
    request.extensions().get::<Arc<Principal>>().cloned().unwrap_or_else(Principal::nobody)
}

#[tonic::async_trait]
impl Models for ModelsApi {
    async fn list_models(&self, request: Request<ListModelsRequest>) -> Result<Response<ListModelsResponse>, Status> {
        let principal = principal(&request);
        let mut data = self.registry.list().await;
        data.retain(|model| self.may_ask(&principal, &model.id));
        Ok(Response::new(ListModelsResponse { object: "list".to_owned(), data, ..Default::default() }))
    }

    async fn get_model(&self, request: Request<GetModelRequest>) -> Result<Response<Model>, Status> {
        let principal = principal(&request);
        let id = request.into_inner().id;
        let model = self.registry.get(&id).await.map_err(|unknown| Status::from(&unknown))?;
        if self.may_ask(&principal, &id) { Ok(Response::new(model)) } else { Err(model_forbidden(&id)) }
    }
}

impl ModelsApi {
    /// As a chat call decides it: by the name it is asked for and by the one it stands for.
    fn may_ask(&self, principal: &Principal, name: &str) -> bool {
        if principal.models.is_empty() {
            return true;
        }
        match self.registry.resolve(name) {
            Ok(target) => principal.may_ask(&[name, &target.full_name()]),
            Err(_) => principal.may_ask(&[name]),
        }
    }
}
