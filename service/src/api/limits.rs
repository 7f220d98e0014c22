//! `sabir.v1.Limits`.

mod message;

use std::time::SystemTime;

use depends::RequestExt;
use sabir_proto::v1::limit::SubjectKind;
use sabir_proto::v1::limits_server::Limits;
use sabir_proto::v1::{
    CreateLimitRequest, DeleteLimitRequest, DeleteLimitResponse, GetLimitRequest, Limit, ListLimitsRequest,
    ListLimitsResponse, UpdateLimitRequest,
};
use sabir_store::{AuditEntry, Subject, unix_micros};
use serde_json::json;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use self::message::{limit_message, parse_subject, with_figures};
use super::paging::{next_page_token, page};
use crate::dependencies::AdminSession;
use crate::error::{field_status, missing, store_status};

/// Administers limits.
#[derive(Clone, Debug)]
pub(crate) struct LimitsApi;

#[tonic::async_trait]
impl Limits for LimitsApi {
    async fn create_limit(&self, request: Request<CreateLimitRequest>) -> Result<Response<Limit>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let wanted = request.into_inner().limit.unwrap_or_default();
        let subject = parse_subject(wanted.subject_kind(), &wanted.subject)
            .ok_or_else(|| field_status("limit.subject", "does not name a subject of this kind"))?;
        let subject = session.reach().resolve(subject).await?;
        let empty = sabir_store::Limit {
            id: Uuid::now_v7(),
            subject,
            requests_per_minute: None,
            request_burst: None,
            tokens_per_minute: None,
            token_burst: None,
            concurrent_requests: None,
            created_at_micros: unix_micros(SystemTime::now()),
        };
        let limit = with_figures(empty, &wanted, |_| true)?;
        let audit = audit(&session, "Limits/CreateLimit", &limit);
        session.store().create_limit(&limit, &audit).await.map_err(|error| store_status(&error))?;
        Ok(Response::new(limit_message(&limit)))
    }

    async fn get_limit(&self, request: Request<GetLimitRequest>) -> Result<Response<Limit>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let limit = find(&session, &request.get_ref().id).await?;
        Ok(Response::new(limit_message(&limit)))
    }

    async fn list_limits(&self, request: Request<ListLimitsRequest>) -> Result<Response<ListLimitsResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let request = request.into_inner();
        let page = page(request.page_size, &request.page_token)?;
        let asked = match request.subject_kind() {
            SubjectKind::Unspecified => None,
            kind => Some(
                parse_subject(kind, &request.subject)
                    .ok_or_else(|| field_status("subject", "does not name a subject of this kind"))?,
            ),
        };
        let reach = session.reach();
        let subject = match (asked, reach.team()) {
            (Some(subject), _) if !reach.includes(&subject).await? => {
                return Ok(Response::new(ListLimitsResponse::default()));
            }
            // Who belongs to a team sees the team's unless others are asked for by name.
            (None, Some(team)) => Some(Subject::Team(team)),
            (asked, _) => asked,
        };
        let limits = session.store().list_limits(subject.as_ref(), page).await.map_err(|error| store_status(&error))?;
        let next_page_token = next_page_token(page, limits.iter().map(|limit| limit.id));
        let limits = limits.iter().map(limit_message).collect();
        Ok(Response::new(ListLimitsResponse { limits, next_page_token }))
    }

    async fn update_limit(&self, request: Request<UpdateLimitRequest>) -> Result<Response<Limit>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let UpdateLimitRequest { limit, update_mask } = request.into_inner();
        let wanted = limit.unwrap_or_default();
        let limit = find(&session, &wanted.id).await?;
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            return Err(field_status("update_mask", "says what is to change"));
        }
        // A body may name the limit that its path names.
        if let Some(path) = paths.iter().find(|path| *path != "id" && !message::FIGURES.contains(&path.as_str())) {
            return Err(field_status("update_mask", &format!("`{path}` of a limit does not change")));
        }
        let limit = with_figures(limit, &wanted, |figure| paths.iter().any(|path| path == figure))?;
        let audit = audit(&session, "Limits/UpdateLimit", &limit);
        if session.store().update_limit(&limit, &audit).await.map_err(|error| store_status(&error))? {
            Ok(Response::new(limit_message(&limit)))
        } else {
            Err(missing("limit", &wanted.id))
        }
    }

    async fn delete_limit(
        &self,
        request: Request<DeleteLimitRequest>,
    ) -> Result<Response<DeleteLimitResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let limit = find(&session, &request.get_ref().id).await?;
        let audit = audit(&session, "Limits/DeleteLimit", &limit);
        if session.store().delete_limit(limit.id, &audit).await.map_err(|error| store_status(&error))? {
            Ok(Response::new(DeleteLimitResponse {}))
        } else {
            Err(missing("limit", &limit.id.to_string()))
        }
    }
}

/// The limit of this id, if the caller may know of it.
async fn find(session: &AdminSession, id: &str) -> Result<sabir_store::Limit, Status> {
    let absent = || missing("limit", id);
    let id = Uuid::try_parse(id).map_err(|_| absent())?;
    let limit = session.store().limit(id).await.map_err(|error| store_status(&error))?.ok_or_else(absent)?;
    // To those it does not concern it looks as if there were none.
    let reach = session.reach();
    if reach.includes(&limit.subject).await? { Ok(limit) } else { Err(absent()) }
}

fn audit(session: &AdminSession, action: &str, limit: &sabir_store::Limit) -> AuditEntry {
    let detail = json!({
        "subject": limit.subject.to_string(),
        "requests_per_minute": limit.requests_per_minute,
        "request_burst": limit.request_burst,
        "tokens_per_minute": limit.tokens_per_minute,
        "token_burst": limit.token_burst,
        "concurrent_requests": limit.concurrent_requests,
    });
    session.audit(action, format!("limit {}", limit.id), &detail)
}
