//! `sabir.v1.AuditLog`.

use depends::RequestExt;
use sabir_proto::v1::audit_log_server::AuditLog;
use sabir_proto::v1::{AuditEntry, ListAuditEntriesRequest, ListAuditEntriesResponse};
use sabir_store::AuditFilter;
use tonic::{Request, Response, Status};

use super::paging::{next_page_token, page};
use super::time::{micros, timestamp};
use crate::dependencies::AdminSession;
use crate::error::{out_of_reach, store_status};

/// Shows the audit log.
#[derive(Clone, Debug)]
pub(crate) struct AuditLogApi;

#[tonic::async_trait]
impl AuditLog for AuditLogApi {
    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        if session.reach().team().is_some() {
            return Err(out_of_reach("who belongs to a team does not see the audit log, which is about all"));
        }
        let request = request.into_inner();
        let page = page(request.page_size, &request.page_token)?;
        let filter = AuditFilter {
            since_micros: request.since.map(|time| micros("since", time)).transpose()?,
            until_micros: request.until.map(|time| micros("until", time)).transpose()?,
            actor: Some(request.actor).filter(|actor| !actor.is_empty()),
            target: Some(request.target).filter(|target| !target.is_empty()),
        };
        let entries = session.store().list_audit(&filter, page).await.map_err(|error| store_status(&error))?;
        let next_page_token = next_page_token(page, entries.iter().map(|entry| entry.id));
        let entries = entries.into_iter().map(message).collect();
        Ok(Response::new(ListAuditEntriesResponse { entries, next_page_token }))
    }
}

fn message(entry: sabir_store::AuditEntry) -> AuditEntry {
    AuditEntry {
        id: entry.id.to_string(),
        time: Some(timestamp(entry.at_micros)),
        actor: entry.actor,
        action: entry.action,
        target: entry.target,
        detail: entry.detail,
    }
}
