//! The story of a chat call on one screen: take a place in the usage log, check the request, resolve the model, reserve
//! the money, ask the model, hand on what it says, settle.
//!
//! Every way out of this file goes through the ledger, so that every call leaves exactly one usage row. The only
//! exception is a call that could not get a place in the log: it asks nobody and costs nothing.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sabir_proto::v1::{ChatCompletion, CreateChatCompletionRequest};
use sabir_providers::{ChatCall, Dropped, Reply, UpstreamError};
use sabir_store::{StoreError, StoreErrorKind, UsageWriter};
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::bounds::Bounds;
use super::failure::Failure;
use super::ledger::Ledger;
use super::relay::Relay;
use super::{Caller, DROPPED, MODEL_USED, REQUEST_ID, check, limits, standing};
use crate::auth::Principal;
use crate::budget::{Asked, Budgets, Reservation};
use crate::capture::CaptureLog;
use crate::upstream::{Registry, Target};

/// How long a call waits for a place in the usage log. Only a database that has fallen far behind makes it wait at all.
const PLACE_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers chat calls.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    registry: Arc<Registry>,
    usage: UsageWriter,
    budgets: Budgets,
    /// How many tokens an answer is taken to have whose request sets no limit.
    output_estimate: u32,
    captures: CaptureLog,
}

/// An answer, and what is said beside it.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// The headers to send before it.
    pub(crate) headers: MetadataMap,
    /// The answer.
    pub(crate) body: T,
}

impl Chat {
    /// Answers with these models, records into this log, spends of these budgets, and has kept what is said where that is
    /// wanted. Limits on tokens take an answer to have `output_estimate` tokens whose request sets no limit.
    pub(crate) fn new(
        registry: Arc<Registry>,
        usage: UsageWriter,
        budgets: Budgets,
        output_estimate: u32,
        captures: CaptureLog,
    ) -> Self {
        Self { registry, usage, budgets, output_estimate, captures }
    }

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// The status to give to the caller; the call has been settled.
    pub(crate) async fn complete(
        &self,
        caller: Caller,
        request: Box<CreateChatCompletionRequest>,
    ) -> Result<Answer<ChatCompletion>, Status> {
        let (deadline, on_unsupported) = (caller.deadline, caller.on_unsupported);
        let (mut ledger, target) = self.begin(caller, &request, false).await?;
        let call = ChatCall { model: target.model.clone(), request, deadline, on_unsupported };
        match answered(deadline, &target, target.upstream.chat(call)).await {
            Ok(Reply { body, dropped }) => {
                ledger.completion(&body);
                ledger.finish();
                Ok(Answer { headers: headers(&ledger, &target, &dropped), body })
            }
            Err(failure) => Err(ledger.fail(&failure)),
        }
    }

    /// Asks for a streamed answer. Resolves when the upstream's first event is there, so that an early failure has a
    /// status of its own.
    ///
    /// # Errors
    /// The status to give to the caller; the call has been settled.
    pub(crate) async fn stream(
        &self,
        caller: Caller,
        request: Box<CreateChatCompletionRequest>,
    ) -> Result<Answer<Relay>, Status> {
        let (deadline, on_unsupported) = (caller.deadline, caller.on_unsupported);
        let (mut ledger, target) = self.begin(caller, &request, true).await?;
        let wants_usage = request.stream_options.as_ref().is_some_and(|options| options.include_usage());
        let call = ChatCall { model: target.model.clone(), request, deadline, on_unsupported };
        match answered(deadline, &target, target.upstream.stream_chat(call)).await {
            Ok(Reply { body: chunks, dropped }) => Ok(Answer {
                headers: headers(&ledger, &target, &dropped),
                body: Relay::new(chunks, ledger, target.provider, wants_usage, deadline),
            }),
            Err(failure) => Err(ledger.fail(&failure)),
        }
    }

    /// What both kinds of call have in common before anybody is asked.
    async fn begin(
        &self,
        caller: Caller,
        request: &CreateChatCompletionRequest,
        streamed: bool,
    ) -> Result<(Ledger, Target), Status> {
        let latest = Instant::now() + PLACE_TIMEOUT;
        let latest = caller.deadline.map_or(latest, |deadline| deadline.min(latest));
        let permit = match tokio::time::timeout_at(latest.into(), self.usage.reserve()).await {
            Ok(reserved) => reserved.map_err(|error| Status::from(&Failure::Unrecordable(error)))?,
            Err(_) if caller.deadline_passed() => return Err(Status::from(&Failure::Deadline)),
            Err(_) => {
                let behind = StoreError::new(StoreErrorKind::Unavailable, "the database has fallen behind");
                return Err(Status::from(&Failure::Unrecordable(behind)));
            }
        };
        let principal = Arc::clone(&caller.principal);
        let deadline = caller.deadline;
        let mut ledger = Ledger::open(permit, caller, request, streamed);
        ledger.capture(&self.captures, request);
        let violations = check::check(request);
        if !violations.is_empty() {
            return Err(ledger.fail(&Failure::Invalid(violations)));
        }
        let target = match self.registry.resolve(&request.model) {
            Ok(target) => target,
            Err(unknown) => return Err(ledger.fail(&unknown.into())),
        };
        if !ledger.principal().may_ask(&[&request.model, &target.full_name]) {
            let model = ledger.model_asked();
            return Err(ledger.fail(&Failure::Forbidden(model)));
        }
        if let Err(refusal) = limits::take(&mut ledger, request, &target, self.output_estimate).await {
            return Err(ledger.fail(&refusal.into()));
        }
        match self.reserve(&principal, request, &target, deadline).await {
            Ok(reservation) => ledger.reserved(reservation),
            Err(failure) => return Err(ledger.fail(&failure)),
        }
        ledger.asking(&target);
        Ok((ledger, target))
    }

    /// Reserves the most that the call can cost.
    async fn reserve(
        &self,
        principal: &Principal,
        request: &CreateChatCompletionRequest,
        target: &Target,
        deadline: Option<Instant>,
    ) -> Result<Reservation, Failure> {
        let bounds = Bounds::of(request);
        let asked = Asked {
            principal,
            model_asked: &request.model,
            model: &target.full_name,
            prompt_tokens: bounds.prompt,
            output_tokens: bounds.output,
            answers: bounds.answers,
        };
        let reservation = self.budgets.reserve(&asked);
        match deadline {
            None => Ok(reservation.await?),
            Some(deadline) => {
                let reservation = tokio::time::timeout_at(deadline.into(), reservation).await;
                Ok(reservation.map_err(|_| Failure::Deadline)??)
            }
        }
    }
}

/// What the upstream answers before the deadline. When time is up, the upstream call is dropped, which ends it.
async fn answered<T>(
    deadline: Option<Instant>,
    target: &Target,
    answer: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, Failure> {
    let answer = match deadline {
        None => answer.await,
        Some(deadline) => tokio::time::timeout_at(deadline.into(), answer).await.map_err(|_| Failure::Deadline)?,
    };
    answer.map_err(|error| Failure::Upstream { provider: Arc::clone(&target.provider), error })
}

fn headers(ledger: &Ledger, target: &Target, dropped: &Dropped) -> MetadataMap {
    let mut headers = MetadataMap::with_capacity(ledger.header_count());
    if let Ok(id) = ledger.id().to_string().parse() {
        headers.insert(REQUEST_ID, id);
    }
    // A name that no header can carry is left out: it is in the answer and in the usage row as well.
    if let Ok(name) = target.full_name.parse() {
        headers.insert(MODEL_USED, name);
    }
    if !dropped.is_empty()
        && let Ok(names) = dropped.join(", ").parse()
    {
        headers.insert(DROPPED, names);
    }
    standing::add(&mut headers, ledger.reservation().standing(), ledger.reservation().is_unpriced());
    headers
}

#[cfg(test)]
mod tests;
