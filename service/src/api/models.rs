//! `sabir.v1.Models`.

use depends::RequestExt;
use sabir_proto::v1::models_server::Models;
use sabir_proto::v1::{GetModelRequest, ListModelsRequest, ListModelsResponse, Model};
use tonic::{Request, Response, Status};

use crate::auth::Principal;
use crate::dependencies::CurrentPrincipal;
use crate::error::model_forbidden;
use crate::live::Live;
use crate::upstream::Registry;

/// Serves the list of models.
#[derive(Clone, Debug)]
pub(crate) struct ModelsApi;

#[tonic::async_trait]
impl Models for ModelsApi {
    async fn list_models(&self, request: Request<ListModelsRequest>) -> Result<Response<ListModelsResponse>, Status> {
        let registry = request.depends::<Live<Registry>>().await?.get();
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let mut data = registry.list().await;
        data.retain(|model| may_ask(principal, &registry, &model.id));
        Ok(Response::new(ListModelsResponse { object: "list".to_owned(), data, ..Default::default() }))
    }

    async fn get_model(&self, request: Request<GetModelRequest>) -> Result<Response<Model>, Status> {
        let registry = request.depends::<Live<Registry>>().await?.get();
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        let id = request.into_inner().id;
        let model = registry.get(&id).await.map_err(|unknown| Status::from(&unknown))?;
        if may_ask(principal, &registry, &id) { Ok(Response::new(model)) } else { Err(model_forbidden(&id)) }
    }
}

/// Whether the model may be asked, as a chat call decides it: by the name it is asked for and by the one it stands for.
fn may_ask(principal: &Principal, registry: &Registry, name: &str) -> bool {
    if principal.models.is_empty() {
        return true;
    }
    match registry.resolve(name) {
        Ok(target) => principal.may_ask(&[name, &target.full_name]),
        Err(_) => principal.may_ask(&[name]),
    }
}
