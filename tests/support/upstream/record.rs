//! What the upstream remembers of a request: what was asked, and how and when its answer ended.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use serde_json::Value;
use tokio::sync::watch;

use crate::support::soon;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The script came to its end.
    Finished,
    /// The script cut the connection.
    Cut,
    /// The client closed the connection first.
    Dropped,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    ending: watch::Sender<Option<(Ending, Instant)>>,
}

/// The answer to a request, while it is open. Dropped before its end, it notes that the client went away.
#[derive(Debug)]
pub(crate) struct OpenAnswer(Arc<Record>);

impl Record {
    pub(super) fn open(head: Parts, body: Bytes) -> (Arc<Self>, OpenAnswer) {
        let (ending, _) = watch::channel(None);
        let record = Arc::new(Self { headers: head.headers, body, ending });
        (Arc::clone(&record), OpenAnswer(record))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A header, as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How the answer ended; `None` while it is open.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.ending.borrow().map(|(ending, _)| ending)
    }

    /// Waits for the end of the answer.
    pub(crate) async fn ended(&self) -> (Ending, Instant) {
        let mut ending = self.ending.subscribe();
        let ended = soon("the upstream's answer to end", ending.wait_for(Option::is_some)).await;
        ended.unwrap().unwrap()
    }

    /// Waits for the end of the answer, which must be that the client went away; how long after `moment` that was.
    pub(crate) async fn dropped_after(&self, moment: Instant) -> Duration {
        let (ending, at) = self.ended().await;
        assert_eq!(ending, Ending::Dropped, "the client should have gone away");
        at.saturating_duration_since(moment)
    }
}

impl OpenAnswer {
    pub(super) fn end(&self, ending: Ending) {
        self.0
            .ending
            .send_if_modified(|noted| noted.is_none().then(|| *noted = Some((ending, Instant::now()))).is_some());
    }
}

impl Drop for OpenAnswer {
    fn drop(&mut self) {
        self.end(Ending::Dropped);
    }
}
