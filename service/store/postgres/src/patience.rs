//! How long an answer of the database is waited for. It must not know what was asked.

use std::time::Duration;

use sabir_store::{StoreError, StoreErrorKind, StoreFuture};

/// Much longer than anything asked takes, and less than a person waits. The server's own limit for a statement does not
/// help where the server, or the way to it, stands still.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer, or `Unavailable` if it does not come in time. A change may then have been made or not, as when the connection
/// is lost before its answer.
pub(crate) fn answered<'a, T: 'a>(
    question: impl Future<Output = Result<T, StoreError>> + Send + 'a,
) -> StoreFuture<'a, T> {
    Box::pin(async move {
        let answer = tokio::time::timeout(PATIENCE, question).await;
        answer.unwrap_or_else(|_| {
            Err(StoreError::new(
                StoreErrorKind::Unavailable,
                format!("the database did not answer within {PATIENCE:?}"),
            ))
        })
    })
}
