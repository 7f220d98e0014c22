//! Calls that administer limits.

use sabir_proto::v1::limits_client::LimitsClient;
use sabir_proto::v1::{
    CreateLimitRequest, DeleteLimitRequest, GetLimitRequest, Limit, ListLimitsRequest, ListLimitsResponse,
    UpdateLimitRequest,
};

use crate::{Client, Error};

impl Client {
    /// Makes a limit.
    ///
    /// # Errors
    /// [`Error::Call`] with what the server said.
    pub async fn create_limit(&self, limit: Limit) -> Result<Limit, Error> {
        let request = self.options.request(CreateLimitRequest { limit: Some(limit) });
        self.within_deadline(LimitsClient::new(self.channel.clone()).create_limit(request)).await
    }

    /// Looks up a limit.
    ///
    /// # Errors
    /// As [`create_limit`](Self::create_limit).
    pub async fn limit(&self, id: impl Into<String>) -> Result<Limit, Error> {
        let request = self.options.request(GetLimitRequest { id: id.into() });
        self.within_deadline(LimitsClient::new(self.channel.clone()).get_limit(request)).await
    }

    /// Lists limits, a page at a time.
    ///
    /// # Errors
    /// As [`create_limit`](Self::create_limit).
    pub async fn limits(&self, request: ListLimitsRequest) -> Result<ListLimitsResponse, Error> {
        let request = self.options.request(request);
        self.within_deadline(LimitsClient::new(self.channel.clone()).list_limits(request)).await
    }

    /// Changes a limit.
    ///
    /// # Errors
    /// As [`create_limit`](Self::create_limit).
    pub async fn update_limit(&self, request: UpdateLimitRequest) -> Result<Limit, Error> {
        let request = self.options.request(request);
        self.within_deadline(LimitsClient::new(self.channel.clone()).update_limit(request)).await
    }

    /// Removes a limit.
    ///
    /// # Errors
    /// As [`create_limit`](Self::create_limit).
    pub async fn delete_limit(&self, id: impl Into<String>) -> Result<(), Error> {
        let request = self.options.request(DeleteLimitRequest { id: id.into() });
        self.within_deadline(LimitsClient::new(self.channel.clone()).delete_limit(request)).await?;
        Ok(())
    }
}
