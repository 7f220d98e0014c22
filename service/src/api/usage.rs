//! `sabir.v1.Usage`.

mod message;
mod table;

use std::pin::Pin;
use std::sync::Arc;

use depends::RequestExt;
use futures_util::{Stream, stream};
use sabir_proto::google::api::HttpBody;
use sabir_proto::v1::usage_server::Usage;
use sabir_proto::v1::{ListUsageRecordsRequest, ListUsageRecordsResponse, QueryUsageRequest, QueryUsageResponse};
use sabir_store::{Store, UsageSumQuery};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use self::message::{record_message, record_token, row_filter, sum_message, sum_query, sum_token};
use super::paging::limit;
use crate::dependencies::AdminSession;
use crate::error::store_status;

/// How many sums an export reads at once.
const EXPORTED_AT_ONCE: u32 = 1_000;

/// Tells what was used.
#[derive(Clone, Debug)]
pub(crate) struct UsageApi;

#[tonic::async_trait]
impl Usage for UsageApi {
    async fn query_usage(&self, request: Request<QueryUsageRequest>) -> Result<Response<QueryUsageResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let limit = limit(request.get_ref().page_size);
        let mut query = sum_query(request.get_ref())?;
        if !confine(&session, &mut query.team_id) {
            return Ok(Response::new(QueryUsageResponse::default()));
        }
        let sums = session.store().sum_usage(&query, limit).await.map_err(|error| store_status(&error))?;
        let full = sums.len() == limit as usize;
        let next_page_token = sums.last().filter(|_| full).map(|last| sum_token(&last.group)).unwrap_or_default();
        let sums = sums.iter().map(|sum| sum_message(sum, query.by)).collect();
        Ok(Response::new(QueryUsageResponse { sums, next_page_token }))
    }

    type ExportUsageStream = Pin<Box<dyn Stream<Item = Result<HttpBody, Status>> + Send>>;

    async fn export_usage(
        &self,
        request: Request<QueryUsageRequest>,
    ) -> Result<Response<Self::ExportUsageStream>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let mut query = sum_query(request.get_ref())?;
        let within_reach = confine(&session, &mut query.team_id);
        let titles = HttpBody {
            content_type: "text/csv; charset=utf-8".to_owned(),
            data: table::titles(query.by),
            ..Default::default()
        };
        // The first page is read before the answer begins, so that a database that is away is an error and not half a table.
        let first = if within_reach { Some(page(session.shared_store(), query).await?) } else { None };
        let rest = stream::try_unfold(first, |page| async move {
            let Some((text, next)) = page else { return Ok(None) };
            let next = match next {
                Some((store, query)) => Some(self::page(store, query).await?),
                None => None,
            };
            Ok(Some((HttpBody { data: text, ..Default::default() }, next)))
        });
        let titles = stream::iter([Ok(titles)]);
        Ok(Response::new(Box::pin(futures_util::StreamExt::chain(titles, rest))))
    }

    async fn list_usage_records(
        &self,
        request: Request<ListUsageRecordsRequest>,
    ) -> Result<Response<ListUsageRecordsResponse>, Status> {
        let session = request.depends::<AdminSession>().await?;
        let limit = limit(request.get_ref().page_size);
        let mut filter = row_filter(request.get_ref())?;
        if !confine(&session, &mut filter.team_id) {
            return Ok(Response::new(ListUsageRecordsResponse::default()));
        }
        let rows = session.store().list(&filter, limit).await.map_err(|error| store_status(&error))?;
        let full = rows.len() == limit as usize;
        let next_page_token = rows.last().filter(|_| full).map(record_token).unwrap_or_default();
        let records = rows.iter().map(record_message).collect();
        Ok(Response::new(ListUsageRecordsResponse { records, next_page_token }))
    }
}

/// Confines a question about `asked` to what the caller may know; false if nothing is left of it.
fn confine(session: &AdminSession, asked: &mut Option<Uuid>) -> bool {
    match session.reach().team() {
        None => true,
        Some(team) => *asked.get_or_insert(team) == team,
    }
}

/// What is left of an export after a page.
type Rest = Option<(Arc<dyn Store>, UsageSumQuery)>;

/// A page of an export as text, and what is left after it.
async fn page(store: Arc<dyn Store>, mut query: UsageSumQuery) -> Result<(Vec<u8>, Rest), Status> {
    let sums = store.sum_usage(&query, EXPORTED_AT_ONCE).await.map_err(|error| store_status(&error))?;
    let text = table::lines(&sums, query.by);
    if sums.len() < EXPORTED_AT_ONCE as usize {
        return Ok((text, None));
    }
    query.after = sums.into_iter().next_back().map(|last| last.group);
    Ok((text, Some((store, query))))
}
