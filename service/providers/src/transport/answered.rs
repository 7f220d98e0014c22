//! Which connections have carried an answer before, told by their local ports.
//!
//! A pooled connection may be closed by the upstream in the very moment it is used again. Such a call can be repeated:
//! the upstream has not looked at it. The same failure on a new connection means that the upstream gave up on this
//! call, and then it must not be repeated. The HTTP client does not say which of the two a connection is.

use std::sync::atomic::{AtomicU64, Ordering};

use http::Extensions;
use hyper_util::client::legacy::connect::HttpInfo;

/// One bit for each local port. A bit that outlives its connection can cost one needless repetition, no more.
#[derive(Debug)]
pub(super) struct AnsweredPorts(Box<[AtomicU64]>);

impl Default for AnsweredPorts {
    fn default() -> Self {
        Self((0..=u16::MAX / 64).map(|_| AtomicU64::new(0)).collect())
    }
}

impl AnsweredPorts {
    /// Notes that the connection described by these extensions has carried an answer.
    pub(super) fn note(&self, connection: &Extensions) {
        if let Some((word, bit)) = self.place(connection)
            && word.load(Ordering::Relaxed) & bit == 0
        {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether the connection has carried an answer. It has failed now, so its port is free for another.
    pub(super) fn take(&self, connection: &Extensions) -> bool {
        self.place(connection).is_some_and(|(word, bit)| word.fetch_and(!bit, Ordering::Relaxed) & bit != 0)
    }

    fn place(&self, connection: &Extensions) -> Option<(&AtomicU64, u64)> {
        let port = connection.get::<HttpInfo>()?.local_addr().port();
        Some((self.0.get(usize::from(port / 64))?, 1 << (port % 64)))
    }
}
