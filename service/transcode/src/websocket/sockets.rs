//! The sockets that are open, for whoever shuts the server down.
//!
//! A connection that has become a socket is no longer the HTTP server's, and its graceful shutdown neither waits for it
//! nor ends it.

use std::sync::Arc;

use tokio::sync::watch;
use tonic::Status;

/// The WebSockets of a [`Transcoder`](crate::Transcoder). Clones are the same.
#[derive(Debug, Clone)]
pub struct Sockets(Arc<watch::Sender<bool>>);

impl Default for Sockets {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Sockets {
    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.receiver_count()
    }

    /// Resolves when none is open.
    pub async fn ended(&self) {
        self.0.closed().await;
    }

    /// Ends every call with UNAVAILABLE and its socket with 1001, going away; the same for those that come from now on.
    /// Resolves when none is open any more; a client may take some seconds to say its part of the goodbye.
    pub async fn close(&self) {
        self.0.send_replace(true);
        self.ended().await;
    }

    /// Counts one more, until it is dropped.
    pub(super) fn join(&self) -> Member {
        Member(self.0.subscribe())
    }
}

/// One of the open sockets.
pub(super) struct Member(watch::Receiver<bool>);

impl Member {
    /// Waits for the order to close.
    pub(super) async fn closing(&mut self) -> Status {
        if self.0.wait_for(|closing| *closing).await.is_err() {
            // Nobody is left to give the order.
            std::future::pending::<()>().await;
        }
        Status::unavailable("the server is shutting down")
    }
}
