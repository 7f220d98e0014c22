//! One timer for a whole call: silence that lasts too long, and the caller's deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// Why the watchdog barked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Nothing was heard for this long.
    Silence(Duration),
    /// The caller's deadline has passed.
    Deadline,
}

pin_project! {
    /// Watches a call. A sign of life only notes the time; the timer itself is set anew when it fires, not per sign,
    /// because moving a timer costs more than reading the clock and a stream gives thousands of signs.
    #[derive(Debug)]
    pub(crate) struct Watchdog {
        #[pin]
        timer: Sleep,
        patience: Duration,
        heard: Instant,
        deadline: Option<Instant>,
    }
}

impl Watchdog {
    /// Starts watching: silence may last for `patience`, the call until `deadline`.
    pub(crate) fn new(patience: Duration, deadline: Option<std::time::Instant>) -> Self {
        let heard = Instant::now();
        let deadline = deadline.map(Instant::from_std);
        Self { timer: sleep_until(due(heard, patience, deadline)), patience, heard, deadline }
    }

    /// Notes a sign of life.
    pub(crate) fn heard(self: Pin<&mut Self>) {
        *self.project().heard = Instant::now();
    }

    /// Notes a sign of life, and that silence may last for `patience` from now on.
    pub(crate) fn expect_within(self: Pin<&mut Self>, patience: Duration) {
        let mut this = self.project();
        *this.heard = Instant::now();
        *this.patience = patience;
        let due = due(*this.heard, patience, *this.deadline);
        if due < this.timer.deadline() {
            this.timer.as_mut().reset(due);
        }
    }

    /// Ready when the call has to be given up.
    pub(crate) fn poll_expired(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Expired> {
        let mut this = self.project();
        loop {
            ready!(this.timer.as_mut().poll(context));
            let now = Instant::now();
            if this.deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(Expired::Deadline);
            }
            let due = due(*this.heard, *this.patience, *this.deadline);
            if due <= now {
                return Poll::Ready(Expired::Silence(*this.patience));
            }
            this.timer.as_mut().reset(due);
        }
    }
}

fn due(heard: Instant, patience: Duration, deadline: Option<Instant>) -> Instant {
    // A patience beyond what the clock can express means waiting without an end that anybody would see.
    let silence = heard.checked_add(patience).unwrap_or_else(|| heard + Duration::from_secs(86_400 * 365));
    deadline.map_or(silence, |deadline| deadline.min(silence))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use super::*;

    const SHORT: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn silence_is_counted_from_the_last_sign_of_life() {
        let start = Instant::now();
        let mut watchdog = pin!(Watchdog::new(SHORT, None));
        tokio::time::sleep(SHORT / 2).await;
        watchdog.as_mut().heard();
        assert_eq!(poll_fn(|context| watchdog.as_mut().poll_expired(context)).await, Expired::Silence(SHORT));
        assert!(start.elapsed() >= SHORT + SHORT / 2);
    }

    #[tokio::test]
    async fn the_deadline_holds_whatever_is_heard() {
        let deadline = std::time::Instant::now() + SHORT;
        let mut watchdog = pin!(Watchdog::new(Duration::MAX, Some(deadline)));
        watchdog.as_mut().heard();
        assert_eq!(poll_fn(|context| watchdog.as_mut().poll_expired(context)).await, Expired::Deadline);
    }

    #[tokio::test]
    async fn less_patience_takes_effect_at_once() {
        let mut watchdog = pin!(Watchdog::new(Duration::from_secs(600), None));
        watchdog.as_mut().expect_within(SHORT);
        let start = Instant::now();
        assert_eq!(poll_fn(|context| watchdog.as_mut().poll_expired(context)).await, Expired::Silence(SHORT));
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
