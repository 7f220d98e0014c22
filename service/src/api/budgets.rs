//! `sabir.v1.Budgets`.

mod message;

use std::time::SystemTime;

use depends::RequestExt;
use sabir_proto::v1::budgets_server::Budgets;
use sabir_proto::v1::{
    Budget, CreateBudgetRequest, DeleteBudgetRequest, DeleteBudgetResponse, GetBudgetRequest, ListBudgetsRequest,
    ListBudgetsResponse, UpdateBudgetRequest,
};
use sabir_store::{AuditEntry, Subject, unix_micros};
use serde_json::json;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use self::message::{budget_message, parse_subject, period_of, warn_percents};
use super::paging::{next_page_token, page};
use crate::dependencies::AdminSession;
use crate::error::{field_status, missing, store_status};

/// Administers budgets.
#[derive(Clone, Debug)]
pub(crate) struct BudgetsApi;

#[tonic::async_trait]
impl Budgets for BudgetsApi {
    async fn create_budget(&self, request: Request<CreateBudgetRequest>) -> Result<Response<Budget>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let wanted = request.into_inner().budget.unwrap_or_default();
        let subject = parse_subject(wanted.subject_kind(), &wanted.subject)
            .ok_or_else(|| field_status("budget.subject", "does not name a subject of this kind"))?;
        let amount_nanos = wanted.amount_nanos.ok_or_else(|| field_status("budget.amount_nanos", "is required"))?;
        let reach = session.reach();
        let subject = reach.resolve(subject).await?;
        let budget = sabir_store::Budget {
            id: Uuid::now_v7(),
            subject,
            amount_nanos,
            period: period_of(wanted.period()),
            hard: wanted.hard.unwrap_or(true),
            warn_percents: warn_percents(&wanted.warn_percents),
            created_at_micros: unix_micros(SystemTime::now()),
        };
        let audit = audit(&session, "Budgets/CreateBudget", &budget);
        session.store().create_budget(&budget, &audit).await.map_err(|error| store_status(&error))?;
        answer(&session, budget).await
    }

    async fn get_budget(&self, request: Request<GetBudgetRequest>) -> Result<Response<Budget>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let budget = find(&session, &request.get_ref().id).await?;
        answer(&session, budget).await
    }

    async fn list_budgets(
        &self,
        request: Request<ListBudgetsRequest>,
    ) -> Result<Response<ListBudgetsResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let request = request.into_inner();
        let page = page(request.page_size, &request.page_token)?;
        let asked = match request.subject_kind() {
            sabir_proto::v1::budget::SubjectKind::Unspecified => None,
            kind => Some(
                parse_subject(kind, &request.subject)
                    .ok_or_else(|| field_status("subject", "does not name a subject of this kind"))?,
            ),
        };
        let reach = session.reach();
        let subject = match (asked, reach.team()) {
            (Some(subject), _) if !reach.includes(&subject).await? => {
                return Ok(Response::new(ListBudgetsResponse::default()));
            }
            // Who belongs to a team sees the team's unless others are asked for by name.
            (None, Some(team)) => Some(Subject::Team(team)),
            (asked, _) => asked,
        };
        let budgets = session.store().list_budgets(subject.as_ref(), page).await;
        let budgets = budgets.map_err(|error| store_status(&error))?;
        let next_page_token = next_page_token(page, budgets.iter().map(|budget| budget.id));
        Ok(Response::new(ListBudgetsResponse { budgets: messages(&session, &budgets).await?, next_page_token }))
    }

    async fn update_budget(&self, request: Request<UpdateBudgetRequest>) -> Result<Response<Budget>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let UpdateBudgetRequest { budget, update_mask } = request.into_inner();
        let wanted = budget.unwrap_or_default();
        let mut budget = find(&session, &wanted.id).await?;
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            return Err(field_status("update_mask", "says what is to change"));
        }
        for path in &paths {
            match path.as_str() {
                "amount_nanos" => {
                    budget.amount_nanos =
                        wanted.amount_nanos.ok_or_else(|| field_status("budget.amount_nanos", "is required"))?;
                }
                "hard" => budget.hard = wanted.hard.unwrap_or(true),
                "warn_percents" => budget.warn_percents = warn_percents(&wanted.warn_percents),
                // A body may name the budget that its path names.
                "id" => {}
                other => return Err(field_status("update_mask", &format!("`{other}` of a budget does not change"))),
            }
        }
        let audit = audit(&session, "Budgets/UpdateBudget", &budget);
        if session.store().update_budget(&budget, &audit).await.map_err(|error| store_status(&error))? {
            answer(&session, budget).await
        } else {
            Err(missing("budget", &wanted.id))
        }
    }

    async fn delete_budget(
        &self,
        request: Request<DeleteBudgetRequest>,
    ) -> Result<Response<DeleteBudgetResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let budget = find(&session, &request.get_ref().id).await?;
        let audit = audit(&session, "Budgets/DeleteBudget", &budget);
        if session.store().delete_budget(budget.id, &audit).await.map_err(|error| store_status(&error))? {
            Ok(Response::new(DeleteBudgetResponse {}))
        } else {
            Err(missing("budget", &budget.id.to_string()))
        }
    }
}

/// The budget of this id, if the caller may know of it.
async fn find(session: &AdminSession, id: &str) -> Result<sabir_store::Budget, Status> {
    let absent = || missing("budget", id);
    let id = Uuid::try_parse(id).map_err(|_| absent())?;
    let budget = session.store().budget(id).await.map_err(|error| store_status(&error))?.ok_or_else(absent)?;
    // To those it does not concern it looks as if there were none.
    let reach = session.reach();
    if reach.includes(&budget.subject).await? { Ok(budget) } else { Err(absent()) }
}

/// Budgets as they stand.
async fn messages(session: &AdminSession, budgets: &[sabir_store::Budget]) -> Result<Vec<Budget>, Status> {
    let ids: Vec<Uuid> = budgets.iter().map(|budget| budget.id).collect();
    let states = session.store().budget_states(&ids).await.map_err(|error| store_status(&error))?;
    Ok(budgets.iter().zip(states).map(|(budget, state)| budget_message(budget, state.as_ref())).collect())
}

async fn answer(session: &AdminSession, budget: sabir_store::Budget) -> Result<Response<Budget>, Status> {
    let mut messages = messages(session, &[budget]).await?;
    messages.pop().map(Response::new).ok_or_else(|| Status::internal("a budget has no message"))
}

fn audit(session: &AdminSession, action: &str, budget: &sabir_store::Budget) -> AuditEntry {
    let detail = json!({
        "subject": budget.subject.to_string(),
        "amount_nanos": budget.amount_nanos,
        "period": budget.period.as_str(),
        "hard": budget.hard,
        "warn_percents": budget.warn_percents,
    });
    session.audit(action, format!("budget {}", budget.id), &detail)
}
