//! `sabir.v1.Prices`.

use std::sync::Arc;
use std::time::SystemTime;

use depends::RequestExt;
use sabir_proto::v1::prices_server;
use sabir_proto::v1::{
    GetPricesRequest, ImportPricesRequest, ImportPricesResponse, ListPriceVersionsRequest, ListPriceVersionsResponse,
    ModelPrice, PriceChange,
};
use sabir_store::{AuditEntry, PriceVersion, unix_micros};
use serde_json::json;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::paging::limit;
use super::time::timestamp;
use crate::auth::Scope;
use crate::budget::{Entry, PriceTable, Prices, PricesError, table_of};
use crate::dependencies::CurrentPrincipal;
use crate::error::{field_status, missing, out_of_reach, outdated, store_status};

/// Administers the price table.
#[derive(Clone, Debug)]
pub(crate) struct PricesApi {
    prices: Arc<Prices>,
}

impl PricesApi {
    pub(crate) fn new(prices: Arc<Prices>) -> Self {
        Self { prices }
    }
}

#[tonic::async_trait]
impl prices_server::Prices for PricesApi {
    async fn get_prices(
        &self,
        request: Request<GetPricesRequest>,
    ) -> Result<Response<sabir_proto::v1::PriceTable>, Status> {
        let version = request.into_inner().version;
        let store = self.prices.store();
        let kept = match version {
            0 => store.current_prices().await,
            version => store.prices(version).await,
        };
        let kept = kept.map_err(|error| store_status(&error))?;
        let kept = kept.ok_or_else(|| missing("version", &version.to_string()))?;
        let table = table_of(&kept).map_err(|error| prices_status(&error))?;
        Ok(Response::new(version_message(&kept, table.entries().iter().map(entry_message).collect())))
    }

    async fn list_price_versions(
        &self,
        request: Request<ListPriceVersionsRequest>,
    ) -> Result<Response<ListPriceVersionsResponse>, Status> {
        let ListPriceVersionsRequest { page_size, page_token } = request.into_inner();
        let before = match page_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|_| field_status("page_token", "is no page token"))?),
        };
        let limit = limit(page_size);
        let kept = self.prices.store().list_prices(before, limit).await.map_err(|error| store_status(&error))?;
        let last = kept.last().filter(|_| kept.len() == limit as usize);
        let next_page_token = last.map(|last| last.version.to_string()).unwrap_or_default();
        let versions = kept.iter().map(|version| version_message(version, Vec::new())).collect();
        Ok(Response::new(ListPriceVersionsResponse { versions, next_page_token }))
    }

    async fn import_prices(
        &self,
        request: Request<ImportPricesRequest>,
    ) -> Result<Response<ImportPricesResponse>, Status> {
        let CurrentPrincipal(principal) = &*request.depends::<CurrentPrincipal>().await?;
        if principal.team_id.is_some() && !principal.scopes.allow(Scope::Admin) {
            return Err(out_of_reach("prices are everybody's: this needs the scope `admin`"));
        }
        let request = request.into_inner();
        let entries = request.prices.into_iter().map(entry).collect();
        let table = PriceTable::new(entries).map_err(|error| field_status("prices", &error.to_string()))?;
        // Another replica may have imported one just now.
        self.prices.reload().await.map_err(|error| prices_status(&error))?;
        let before = self.prices.current();
        if request.expected_version.is_some_and(|expected| expected != before.version) {
            return Err(outdated("prices", before.version));
        }
        let changes: Vec<PriceChange> = before.table.changes_to(&table).iter().map(change_message).collect();
        let checksum = table.checksum();
        if request.validate_only || changes.is_empty() {
            return Ok(Response::new(ImportPricesResponse { version: before.version, checksum, changes }));
        }
        let audit = AuditEntry {
            id: Uuid::now_v7(),
            at_micros: unix_micros(SystemTime::now()),
            actor: principal.actor.to_string(),
            action: "Prices/ImportPrices".to_owned(),
            target: "prices".to_owned(),
            detail: json!({"checksum": checksum, "changes": changes.len(), "replaces": before.version}).to_string(),
        };
        // What the caller is told has changed is what changes, or nothing is.
        let imported = self.prices.import(&table, &principal.actor, Some(before.version), &audit).await;
        match imported.map_err(|error| prices_status(&error))? {
            Some(version) => Ok(Response::new(ImportPricesResponse { version, checksum, changes })),
            None => Err(outdated("prices", self.prices.current().version)),
        }
    }
}

fn prices_status(error: &PricesError) -> Status {
    match error {
        PricesError::Store(error) => store_status(error),
        other => Status::internal(other.to_string()),
    }
}

/// A line as the table has it; what is left out costs as much as what it is a part of.
fn entry(price: ModelPrice) -> Entry {
    let (input, output) = (price.input_nanos.unwrap_or(0), price.output_nanos.unwrap_or(0));
    Entry {
        pattern: price.pattern,
        input_nanos: input,
        cached_input_nanos: price.cached_input_nanos.unwrap_or(input),
        output_nanos: output,
        reasoning_nanos: price.reasoning_nanos.unwrap_or(output),
        max_output_tokens: price.max_output_tokens,
        source: price.source,
        as_of: price.as_of,
    }
}

fn entry_message(entry: &Entry) -> ModelPrice {
    ModelPrice {
        pattern: entry.pattern.clone(),
        input_nanos: Some(entry.input_nanos),
        cached_input_nanos: Some(entry.cached_input_nanos),
        output_nanos: Some(entry.output_nanos),
        reasoning_nanos: Some(entry.reasoning_nanos),
        max_output_tokens: entry.max_output_tokens,
        source: entry.source.clone(),
        as_of: entry.as_of.clone(),
    }
}

fn change_message(change: &crate::budget::Change) -> PriceChange {
    let message = |entry: &Option<Entry>| entry.as_ref().map(entry_message);
    PriceChange { before: message(&change.before), after: message(&change.after) }
}

fn version_message(kept: &PriceVersion, prices: Vec<ModelPrice>) -> sabir_proto::v1::PriceTable {
    sabir_proto::v1::PriceTable {
        version: kept.version,
        checksum: kept.checksum.clone(),
        source: kept.source.clone(),
        import_time: Some(timestamp(kept.imported_at_micros)),
        prices,
    }
}
