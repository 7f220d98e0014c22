//! How much goes on at once: open calls, open streams, and bytes of request bodies in memory.
//!
//! A permit is held as long as what it counts, and gives its share back when it is dropped, however that comes about.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

/// A bounded count.
#[derive(Debug, Clone)]
pub(crate) struct Gauge {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Gauge {
    pub(crate) fn new(limit: usize) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// Takes `amount`, if there is so much left.
    pub(crate) fn take(&self, amount: usize) -> Option<Permit> {
        let before = self.used.fetch_add(amount, Ordering::Relaxed);
        let permit = Permit { used: self.used.clone(), amount };
        // A permit that is dropped gives back what it took.
        (before.saturating_add(amount) <= self.limit).then_some(permit)
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}

/// A share of a [`Gauge`].
#[derive(Debug)]
pub(crate) struct Permit {
    used: Arc<AtomicUsize>,
    amount: usize,
}

/// A growing share of a [`Gauge`]: the bytes of one request body.
#[derive(Debug)]
pub(crate) struct Share {
    gauge: Gauge,
    amount: usize,
}

impl Share {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        Self { gauge: gauge.clone(), amount: 0 }
    }

    /// Takes `amount` more, if there is so much left.
    pub(crate) fn grow(&mut self, amount: usize) -> Result<(), Status> {
        let permit = self.gauge.take(amount).ok_or_else(|| {
            Status::resource_exhausted("the server holds as many bytes of requests as it may; try again later")
        })?;
        self.amount += permit.keep();
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.gauge.used.fetch_sub(self.amount, Ordering::Relaxed);
        }
    }
}

impl Permit {
    /// The amount, which somebody else now gives back.
    fn keep(mut self) -> usize {
        std::mem::take(&mut self.amount)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.used.fetch_sub(self.amount, Ordering::Relaxed);
        }
    }
}

/// Holds permits until the body has ended or is dropped.
pub(crate) fn hold(body: Body, permits: [Option<Permit>; 2]) -> Body {
    if permits.iter().all(Option::is_none) {
        return body;
    }
    Body::new(Held { body, permits })
}

struct Held {
    body: Body,
    permits: [Option<Permit>; 2],
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.permits = [None, None];
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let gauge = Gauge::new(10);
        let mut share = Share::new(&gauge);
        share.grow(6).unwrap();
        assert!(gauge.take(5).is_none());
        share.grow(4).unwrap();
        assert!(share.grow(1).is_err());
        drop(share);
        assert!(gauge.take(10).is_some());
        assert!(gauge.take(usize::MAX).is_none());
        assert!(gauge.take(10).is_some());
    }
}
