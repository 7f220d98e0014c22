//! The attempts of a call: one target after the other, until one of them answers or nothing is left to try.
//!
//! All of it happens before the first byte of an answer; what goes wrong later is final. An attempt that a hedge has
//! overtaken is dropped, which ends its upstream call.

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sabir_providers::{ChatFuture, Reply, TraceHeaders, UpstreamError, UpstreamErrorKind};
use sabir_store::UsageAttempt;

use super::failure::Failure;
use super::ledger::Ledger;
use super::question::Question;
use super::run::Chat;
use crate::budget::Reservation;
use crate::limit::Hold;
use crate::telemetry;
use crate::upstream::{InFlight, Plan, Target, random};

/// The shortest pause before the same target is asked again doubles from here.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause that we choose ourselves.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause that a target may ask for; one that asks for more is not asked again.
const LONGEST_ASKED: Duration = Duration::from_secs(10);

/// An answer, and who gave it.
pub(super) struct Served<T> {
    pub(super) target: Target,
    pub(super) reply: Reply<T>,
    /// Which attempt it was, from 1.
    pub(super) number: usize,
    /// Counts the call as in flight until it is dropped.
    pub(super) in_flight: Option<InFlight>,
}

/// An attempt that is under way.
struct Attempt {
    target: Target,
    number: usize,
    in_flight: Option<InFlight>,
    began: Instant,
    /// What it holds itself, while another attempt's share is in the ledger.
    holds: Option<(Reservation, Vec<Hold>)>,
    /// Counts and traces it.
    trace: telemetry::Attempt,
}

/// Asks the targets of a plan with `question`, which is told whether it is asked for the last time.
///
/// # Errors
/// Why the last attempt failed, or why no target may be asked.
pub(super) async fn ask<T: Send + 'static>(
    chat: &Chat,
    ledger: &mut Ledger,
    question: &Question,
    plan: &Plan,
    mut send: impl FnMut(&Target, bool, Option<TraceHeaders>) -> ChatFuture<Reply<T>>,
) -> Result<Served<T>, Failure> {
    let deadline = ledger.deadline();
    let mut running = FuturesUnordered::new();
    let mut under_way: Vec<(usize, Instant)> = Vec::with_capacity(1);
    let mut started = 0;
    let mut failed: Option<Failure> = None;
    loop {
        let more = started < plan.attempts;
        if running.is_empty() {
            if !more {
                return Err(failed.unwrap_or(Failure::Deadline));
            }
            // Only a target that has failed before is given time to recover.
            if started >= plan.targets.len() {
                pause(started / plan.targets.len(), failed.as_ref(), deadline).await?;
            }
            started += 1;
            let target = plan.target(started);
            match chat.prepare(ledger, question, target).await {
                Ok((reservation, holds)) => {
                    ledger.asking(target, reservation, holds);
                    let attempt = Attempt::begin(target, started, None, chat.trace(ledger, target, started));
                    under_way.push((started, attempt.began));
                    let answer = send(target, started == plan.attempts, attempt.trace.headers());
                    running.push(attempt.run(deadline, plan.timeout, answer));
                }
                Err(failure) if started < plan.attempts && another_may_serve(&failure) => {
                    ledger.attempt(started, &target.full_name, Instant::now(), failure.of_attempt());
                    failed = Some(failure);
                }
                Err(failure) => return Err(failure),
            }
            continue;
        }
        let hedge_after = plan.hedge_after.filter(|_| more && running.len() == 1 && started < plan.targets.len());
        let ended = match hedge_after {
            None => running.next().await,
            Some(patience) => match tokio::time::timeout(patience, running.next()).await {
                Ok(ended) => ended,
                Err(_) => {
                    started += 1;
                    let target = plan.target(started);
                    // What cannot be had beside the first attempt is not tried.
                    if let Ok(holds) = chat.prepare(ledger, question, target).await {
                        let trace = chat.trace(ledger, target, started);
                        let attempt = Attempt::begin(target, started, Some(holds), trace);
                        under_way.push((started, attempt.began));
                        let answer = send(target, started == plan.attempts, attempt.trace.headers());
                        running.push(attempt.run(deadline, plan.timeout, answer));
                    }
                    continue;
                }
            },
        };
        // There is one, for `running` was not empty.
        let Some((mut attempt, outcome)) = ended else { continue };
        under_way.retain(|(number, _)| *number != attempt.number);
        match outcome {
            Ok(reply) => {
                for (number, began) in under_way {
                    ledger.attempt(number, &plan.target(number).full_name, began, UsageAttempt::OVERTAKEN);
                }
                if ledger.has_attempts() {
                    ledger.attempt(attempt.number, &attempt.target.full_name, attempt.began, UsageAttempt::SERVED);
                }
                if let Some(in_flight) = &mut attempt.in_flight {
                    in_flight.succeeded(question.streamed);
                }
                if let Some((reservation, holds)) = attempt.holds.take() {
                    ledger.asking(&attempt.target, reservation, holds);
                }
                let Attempt { target, number, in_flight, trace, .. } = attempt;
                ledger.answering(trace);
                return Ok(Served { target, reply, number, in_flight });
            }
            Err(failure) => {
                attempt.settle(&failure, ledger);
                let again = another_may_serve(&failure)
                    && (plan.targets.len() > 1 || the_same_may_serve(&failure))
                    && deadline.is_none_or(|deadline| deadline > Instant::now());
                if !again || (running.is_empty() && started >= plan.attempts) {
                    return Err(failure);
                }
                failed = Some(failure);
            }
        }
    }
}

impl Attempt {
    fn begin(
        target: &Target,
        number: usize,
        holds: Option<(Reservation, Vec<Hold>)>,
        trace: telemetry::Attempt,
    ) -> Self {
        let in_flight = target.health.as_ref().map(|health| health.begin());
        Self { target: target.clone(), number, in_flight, began: Instant::now(), holds, trace }
    }

    /// What comes of it before the deadline of the call and within its own time. When time is up, the upstream call is
    /// dropped, which ends it.
    async fn run<T>(
        self,
        deadline: Option<Instant>,
        timeout: Option<Duration>,
        answer: impl Future<Output = Result<Reply<T>, UpstreamError>>,
    ) -> (Self, Result<Reply<T>, Failure>) {
        let own = timeout.map(|timeout| self.began + timeout);
        let latest = match (deadline, own) {
            (Some(deadline), Some(own)) => Some(deadline.min(own)),
            (deadline, own) => deadline.or(own),
        };
        let outcome = match latest {
            None => answer.await.map_err(|error| self.failure(error)),
            Some(latest) => match tokio::time::timeout_at(latest.into(), answer).await {
                Ok(answer) => answer.map_err(|error| self.failure(error)),
                Err(_) if deadline == Some(latest) => Err(Failure::Deadline),
                Err(_) => Err(self.failure(UpstreamError::new(
                    UpstreamErrorKind::Timeout,
                    "the target did not begin to answer within the route's timeout",
                ))),
            },
        };
        (self, outcome)
    }

    fn failure(&self, error: UpstreamError) -> Failure {
        Failure::Upstream { provider: std::sync::Arc::clone(&self.target.provider), error }
    }

    /// Notes how it ended, for those who choose targets and those who read logs.
    fn settle(&mut self, failure: &Failure, ledger: &mut Ledger) {
        self.trace.failed(failure.error_type());
        ledger.attempt(self.number, &self.target.full_name, self.began, failure.of_attempt());
        if let Some(in_flight) = &mut self.in_flight {
            match failure {
                Failure::Upstream { error, .. } if is_the_targets_fault(error.kind) => {
                    in_flight.failed(error.retry_after)
                }
                Failure::Upstream { .. } => in_flight.blameless(),
                _ => {}
            }
        }
        tracing::debug!(
            request_id = %ledger.id(), attempt = self.number, model = %self.target.full_name,
            latency = ?self.began.elapsed(), failure = %failure.in_log(), "attempt failed"
        );
    }
}

/// Waits before a target is asked again: as long as it asks, else for a random time of at most twice as long as before.
///
/// # Errors
/// What has failed, if the wait would be too long.
async fn pause(round: usize, failed: Option<&Failure>, deadline: Option<Instant>) -> Result<(), Failure> {
    let asked = match failed {
        Some(Failure::Upstream { error, .. }) => error.retry_after,
        _ => None,
    };
    let doubled = FIRST_PAUSE.saturating_mul(1 << round.min(8));
    let wait = asked.unwrap_or_else(|| doubled.min(LONGEST_PAUSE).mul_f64(random()));
    let too_late = deadline.is_some_and(|deadline| Instant::now() + wait >= deadline);
    match failed {
        Some(Failure::Upstream { provider, error }) if wait > LONGEST_ASKED || too_late => {
            Err(Failure::Upstream { provider: std::sync::Arc::clone(provider), error: error.clone() })
        }
        _ if too_late => Err(Failure::Deadline),
        _ => {
            tokio::time::sleep(wait).await;
            Ok(())
        }
    }
}

/// Whether another target could serve what this one could not.
fn another_may_serve(failure: &Failure) -> bool {
    match failure {
        Failure::Upstream { error, .. } => {
            !matches!(error.kind, UpstreamErrorKind::InvalidRequest | UpstreamErrorKind::ContentFilter)
        }
        Failure::Limited(_) | Failure::Budget(_) | Failure::Forbidden(_) => true,
        Failure::Invalid(_) | Failure::UnknownModel(_) | Failure::Deadline | Failure::Unrecordable(_) => false,
    }
}

/// Whether the same target could serve a moment later.
fn the_same_may_serve(failure: &Failure) -> bool {
    matches!(failure, Failure::Upstream { error, .. } if is_transient(error.kind))
}

fn is_transient(kind: UpstreamErrorKind) -> bool {
    use UpstreamErrorKind::{Internal, Overloaded, Protocol, RateLimited, Timeout, Truncated, Unavailable};
    matches!(kind, Internal | Overloaded | Protocol | RateLimited | Timeout | Truncated | Unavailable)
}

/// Whether other calls would fail there too.
fn is_the_targets_fault(kind: UpstreamErrorKind) -> bool {
    use UpstreamErrorKind::{Authentication, NotFound, PermissionDenied};
    is_transient(kind) || matches!(kind, Authentication | NotFound | PermissionDenied)
}

#[cfg(test)]
mod tests;
