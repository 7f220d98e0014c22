//! What handlers ask for, resolved once for each request by the crate `depends`: who calls, the database, the models.
//!
//! Chat reads who calls from the request itself: a dependency takes a copy of the request's head, which is nothing beside an
//! administrative act and its database, but is something beside a call that should cost next to nothing.

use std::fmt;
use std::sync::Arc;

use depends::{Context, Dependency, Error};
use sabir_store::{AuditEntry, Store};
use serde_json::Value;
use tonic::Status;

use crate::api::{Reach, act};
use crate::auth::Principal;
use crate::capture::CaptureLog;
use crate::live::Live;
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

/// The database. Given when the service is put together.
#[derive(Clone)]
pub(crate) struct Database(pub(crate) Arc<dyn Store>);

impl Dependency for Database {}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Database")
    }
}

/// An administrative act: who acts, on which database, and how far that goes.
#[derive(Debug)]
pub(crate) struct AdminSession {
    principal: Arc<Principal>,
    database: Arc<Database>,
}

impl Dependency for AdminSession {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        let CurrentPrincipal(principal) = &*context.get::<CurrentPrincipal>().await?;
        Ok(Self { principal: Arc::clone(principal), database: context.get().await? })
    }
}

impl AdminSession {
    /// Who acts.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The database.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.database.0
    }

    /// The database, for what goes on after the handler has answered.
    pub(crate) fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.database.0)
    }

    /// Whose things may be seen and changed.
    pub(crate) fn reach(&self) -> Reach<'_> {
        Reach::of(&self.principal, self.store())
    }

    /// What the audit log is told of an act, in the same transaction as the act.
    pub(crate) fn audit(&self, action: &str, target: String, detail: &Value) -> AuditEntry {
        act(&self.principal, action, target, detail)
    }
}

/// The models. Given when the service is put together.
impl Dependency for Live<Registry> {}

/// The request log. Given when the service is put together.
impl Dependency for CaptureLog {}
