//! Calls that administer budgets and prices.

use sabir_proto::v1::budgets_client::BudgetsClient;
use sabir_proto::v1::prices_client::PricesClient;
use sabir_proto::v1::{
    Budget, CreateBudgetRequest, DeleteBudgetRequest, GetBudgetRequest, GetPricesRequest, ImportPricesRequest,
    ImportPricesResponse, ListBudgetsRequest, ListBudgetsResponse, ListPriceVersionsRequest, ListPriceVersionsResponse,
    PriceTable, UpdateBudgetRequest,
};

use crate::{Client, Error};

impl Client {
    /// Makes a budget.
    ///
    /// # Errors
    /// [`Error::Call`] with what the server said.
    pub async fn create_budget(&self, budget: Budget) -> Result<Budget, Error> {
        let request = self.options.request(CreateBudgetRequest { budget: Some(budget) });
        self.within_deadline(BudgetsClient::new(self.channel.clone()).create_budget(request)).await
    }

    /// Looks up a budget, and how it stands.
    ///
    /// # Errors
    /// As [`create_budget`](Self::create_budget).
    pub async fn budget(&self, id: impl Into<String>) -> Result<Budget, Error> {
        let request = self.options.request(GetBudgetRequest { id: id.into() });
        self.within_deadline(BudgetsClient::new(self.channel.clone()).get_budget(request)).await
    }

    /// Lists budgets, a page at a time.
    ///
    /// # Errors
    /// As [`create_budget`](Self::create_budget).
    pub async fn budgets(&self, request: ListBudgetsRequest) -> Result<ListBudgetsResponse, Error> {
        let request = self.options.request(request);
        self.within_deadline(BudgetsClient::new(self.channel.clone()).list_budgets(request)).await
    }

    /// Changes a budget.
    ///
    /// # Errors
    /// As [`create_budget`](Self::create_budget).
    pub async fn update_budget(&self, request: UpdateBudgetRequest) -> Result<Budget, Error> {
        let request = self.options.request(request);
        self.within_deadline(BudgetsClient::new(self.channel.clone()).update_budget(request)).await
    }

    /// Removes a budget.
    ///
    /// # Errors
    /// As [`create_budget`](Self::create_budget).
    pub async fn delete_budget(&self, id: impl Into<String>) -> Result<(), Error> {
        let request = self.options.request(DeleteBudgetRequest { id: id.into() });
        self.within_deadline(BudgetsClient::new(self.channel.clone()).delete_budget(request)).await?;
        Ok(())
    }

    /// The price table of a version; 0 is the one in force.
    ///
    /// # Errors
    /// As [`create_budget`](Self::create_budget).
    pub async fn prices(&self, version: i64) -> Result<PriceTable, Error> {
        let request = self.options.request(GetPricesRequest { version });
        let mut prices = PricesClient::new(self.channel.clone()).max_decoding_message_size(self.message_limit);
        self.within_deadline(prices.get_prices(request)).await
    }

    /// The price tables that were in force, without their prices, a page at a time.
    ///
    /// # Errors
    /// As [`create_budget`](Self::create_budget).
    pub async fn price_versions(&self, request: ListPriceVersionsRequest) -> Result<ListPriceVersionsResponse, Error> {
        let request = self.options.request(request);
        self.within_deadline(PricesClient::new(self.channel.clone()).list_price_versions(request)).await
    }

    /// Puts a price table in force, or says what it would change.
    ///
    /// # Errors
    /// As [`create_budget`](Self::create_budget).
    pub async fn import_prices(&self, request: ImportPricesRequest) -> Result<ImportPricesResponse, Error> {
        let request = self.options.request(request);
        let mut prices = PricesClient::new(self.channel.clone()).max_decoding_message_size(self.message_limit);
        self.within_deadline(prices.import_prices(request)).await
    }
}
