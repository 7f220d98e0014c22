//! Calls that ask what was used, and the table that an export is.

use sabir_proto::google::api::HttpBody;
use sabir_proto::v1::usage_client::UsageClient;
use sabir_proto::v1::{ListUsageRecordsRequest, ListUsageRecordsResponse, QueryUsageRequest, QueryUsageResponse};
use tokio::time::{Instant, timeout_at};
use tonic::Streaming;

use crate::client::within;
use crate::{Client, Error};

impl Client {
    /// Adds usage up, a page at a time.
    ///
    /// # Errors
    /// [`Error::Call`] with what the server said.
    pub async fn usage(&self, request: QueryUsageRequest) -> Result<QueryUsageResponse, Error> {
        let request = self.options.request(request);
        let mut usage = UsageClient::new(self.channel.clone()).max_decoding_message_size(self.message_limit);
        self.within_deadline(usage.query_usage(request)).await
    }

    /// Lists single calls, the latest first, a page at a time.
    ///
    /// # Errors
    /// As [`usage`](Self::usage).
    pub async fn usage_records(&self, request: ListUsageRecordsRequest) -> Result<ListUsageRecordsResponse, Error> {
        let request = self.options.request(request);
        let mut usage = UsageClient::new(self.channel.clone()).max_decoding_message_size(self.message_limit);
        self.within_deadline(usage.list_usage_records(request)).await
    }

    /// Adds usage up as one table, however many pages it has. Resolves when its first line is on its way.
    ///
    /// # Errors
    /// As [`usage`](Self::usage).
    pub async fn export_usage(&self, request: QueryUsageRequest) -> Result<UsageTable, Error> {
        let deadline = self.deadline();
        let request = self.options.request(request);
        let mut usage = UsageClient::new(self.channel.clone()).max_decoding_message_size(self.message_limit);
        let pieces = within(deadline, usage.export_usage(request)).await?.into_inner();
        Ok(UsageTable { pieces, deadline })
    }
}

/// Comma-separated values, as they are read from the database.
///
/// It ends with `None` only if the whole table has arrived; one that broke off ends with an error.
#[derive(Debug)]
pub struct UsageTable {
    pieces: Streaming<HttpBody>,
    deadline: Option<Instant>,
}

impl UsageTable {
    /// The next piece of the table: whole lines; `None` at its end.
    ///
    /// # Errors
    /// [`Error::Call`] when the table breaks off. Nothing follows.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let piece = match self.deadline {
            None => self.pieces.message().await,
            Some(deadline) => {
                timeout_at(deadline, self.pieces.message()).await.map_err(|_| Error::deadline_exceeded())?
            }
        };
        Ok(piece?.map(|piece| piece.data))
    }
}
