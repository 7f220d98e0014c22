//! What handlers ask for, resolved once for each request by the crate `depends`: who calls, and the models.
//!
//! Chat reads who calls from the request itself: a dependency takes a copy of the request's head, which is nothing beside an
//! administrative act and its database, but is something beside a call that should cost next to nothing.

use std::sync::Arc;

use depends::{Context, Dependency, Error};
use tonic::Status;

use crate::auth::Principal;
use crate::upstream::Registry;

/// Who calls, as the authentication layer found it.
#[derive(Debug, Clone)]
pub(crate) struct CurrentPrincipal(pub(crate) Arc<Principal>);

impl Dependency for CurrentPrincipal {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        let principal = context.head()?.extensions().get::<Arc<Principal>>().cloned();
        // Nobody comes here without one. If somebody does, a layer is missing, and nobody may do anything.
        Ok(Self(principal.ok_or_else(|| Status::internal("nobody has said who calls"))?))
    }
}

/// The models; given when the service is put together.
impl Dependency for Registry {}
