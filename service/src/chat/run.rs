//! The story of a chat call on one screen: take a place in the usage log, check the request, resolve the model, reserve
//! the money, ask the model, hand on what it says, settle.
//!
//! Every way out of this file goes through the ledger, so that every call leaves exactly one usage row. The only
//! exception is a call that could not get a place in the log: it asks nobody and costs nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream;
use sabir_proto::v1::{ChatCompletion, CreateChatCompletionRequest, CreateEmbeddingRequest, CreateEmbeddingResponse};
use sabir_providers::{ChatCall, Dropped, EmbedCall, Reply, TraceHeaders};
use sabir_store::{StoreError, StoreErrorKind, UsageWriter};
use tonic::Status;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::attempt::{self, Served};
use super::bounds::Bounds;
use super::failure::Failure;
use super::ledger::{KEPT, Ledger};
use super::question::Question;
use super::relay::Relay;
use super::stamp::Stamp;
use super::{ATTEMPT, Caller, DROPPED, MODEL_USED, REQUEST_ID, check, limits, standing};
use crate::budget::{Asked, Budgets, Reservation};
use crate::cache::{AGE, CACHE, Cache, Entry, Found, Recorder, SIMILARITY, replay};
use crate::capture::CaptureLog;
use crate::limit::Hold;
use crate::live::Live;
use crate::telemetry::{self, Telemetry};
use crate::upstream::{Plan, Registry, Target};

/// How long a call waits for a place in the usage log. Only a database that has fallen far behind makes it wait at all.
const PLACE_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers chat calls.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    registry: Live<Registry>,
    usage: UsageWriter,
    budgets: Budgets,
    /// How many tokens an answer is taken to have whose request sets no limit.
    output_estimate: u32,
    captures: CaptureLog,
    cache: Option<Cache>,
    telemetry: Telemetry,
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
    /// wanted. Limits on tokens take an answer to have `output_estimate` tokens whose request sets no limit. Answers are
    /// given again out of `cache`.
    pub(crate) fn new(
        registry: Live<Registry>,
        usage: UsageWriter,
        budgets: Budgets,
        output_estimate: u32,
        captures: CaptureLog,
        cache: Option<Cache>,
        telemetry: Telemetry,
    ) -> Self {
        Self { registry, usage, budgets, output_estimate, captures, cache, telemetry }
    }

    /// Whether any of its routes looks at the headers of calls.
    pub(crate) fn reads_headers(&self) -> bool {
        self.registry.get().reads_headers()
    }

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// The status to give to the caller; the call has been settled.
    pub(crate) async fn complete(
        &self,
        caller: Caller,
        mut request: Box<CreateChatCompletionRequest>,
    ) -> Result<Answer<ChatCompletion>, Status> {
        let question = Question::of_chat(&request, false);
        let (deadline, on_unsupported, origin) = (caller.deadline, caller.on_unsupported, caller.origin);
        let (mut ledger, plan) = self.begin(caller, &question, Some(&request)).await?;
        let mut lead = match self.look_up(&mut ledger, &plan, &mut request).await? {
            Some(Found::Kept(entry, likeness)) => {
                ledger.kept();
                ledger.completion(&entry.answer);
                ledger.finish();
                return Ok(Answer { headers: headers_of_kept(&ledger, &entry, likeness), body: entry.answer.clone() });
            }
            Some(Found::Missing(lead)) => Some(lead),
            None => None,
        };
        let mut request = Words(Some(request));
        let send = |target: &Target, last: bool, trace: Option<TraceHeaders>| {
            let (model, request) = (target.model.clone(), request.say(last));
            target.upstream.chat(ChatCall { model, request, deadline, on_unsupported, origin, trace })
        };
        match attempt::ask(self, &mut ledger, &question, &plan, send).await {
            Ok(Served { target, reply, number, in_flight: _ }) => {
                let Reply { mut body, dropped } = reply;
                Stamp::of(&ledger).complete(&mut body);
                ledger.completion(&body);
                ledger.finish();
                let headers = headers(&ledger, &plan, &target, number, &dropped, lead.is_some());
                if let Some(mut lead) = lead.take().filter(|_| dropped.is_empty()) {
                    lead.given_by(target.full_name);
                    lead.keep(&body);
                }
                Ok(Answer { headers, body })
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
        mut request: Box<CreateChatCompletionRequest>,
    ) -> Result<Answer<Relay>, Status> {
        let question = Question::of_chat(&request, true);
        let (deadline, on_unsupported, origin) = (caller.deadline, caller.on_unsupported, caller.origin);
        let (mut ledger, plan) = self.begin(caller, &question, Some(&request)).await?;
        let wants_usage = request.stream_options.as_ref().is_some_and(|options| options.include_usage());
        let lead = match self.look_up(&mut ledger, &plan, &mut request).await? {
            Some(Found::Kept(entry, likeness)) => {
                ledger.kept();
                let headers = headers_of_kept(&ledger, &entry, likeness);
                let chunks = Box::pin(stream::iter(replay(&entry.answer).into_iter().map(Ok)));
                let provider = Arc::from(KEPT);
                return Ok(Answer { headers, body: Relay::new(chunks, ledger, provider, wants_usage, deadline) });
            }
            Some(Found::Missing(lead)) => Some(lead),
            None => None,
        };
        let mut request = Words(Some(request));
        let send = |target: &Target, last: bool, trace: Option<TraceHeaders>| {
            let (model, request) = (target.model.clone(), request.say(last));
            target.upstream.stream_chat(ChatCall { model, request, deadline, on_unsupported, origin, trace })
        };
        match attempt::ask(self, &mut ledger, &question, &plan, send).await {
            Ok(Served { target, reply, number, in_flight }) => {
                let Reply { body: chunks, dropped } = reply;
                ledger.in_flight(in_flight);
                let headers = headers(&ledger, &plan, &target, number, &dropped, lead.is_some());
                let recorder = lead.filter(|_| dropped.is_empty()).map(|mut lead| {
                    lead.given_by(target.full_name);
                    Recorder::new(lead)
                });
                let relay = Relay::new(chunks, ledger, target.provider, wants_usage, deadline);
                Ok(Answer { headers, body: relay.recorded(recorder) })
            }
            Err(failure) => Err(ledger.fail(&failure)),
        }
    }

    /// Asks for the vectors of texts.
    ///
    /// # Errors
    /// The status to give to the caller; the call has been settled.
    pub(crate) async fn embed(
        &self,
        caller: Caller,
        request: Box<CreateEmbeddingRequest>,
    ) -> Result<Answer<CreateEmbeddingResponse>, Status> {
        let question = Question::of_embedding(&request);
        let (deadline, on_unsupported) = (caller.deadline, caller.on_unsupported);
        let (mut ledger, plan) = self.begin(caller, &question, None).await?;
        let mut request = Words(Some(request));
        let send = |target: &Target, last: bool, trace: Option<TraceHeaders>| {
            let (model, request) = (target.model.clone(), request.say(last));
            target.upstream.embed(EmbedCall { model, request, deadline, on_unsupported, trace })
        };
        match attempt::ask(self, &mut ledger, &question, &plan, send).await {
            Ok(Served { target, reply, number, in_flight: _ }) => {
                ledger.embeddings(&reply.body);
                ledger.finish();
                let headers = headers(&ledger, &plan, &target, number, &reply.dropped, false);
                Ok(Answer { headers, body: reply.body })
            }
            Err(failure) => Err(ledger.fail(&failure)),
        }
    }

    /// What all kinds of call have in common before anybody is asked. What is said is `conversation`, if that is what the
    /// call is about.
    async fn begin(
        &self,
        caller: Caller,
        question: &Question,
        conversation: Option<&CreateChatCompletionRequest>,
    ) -> Result<(Ledger, Plan), Status> {
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
        let mut ledger = Ledger::open(permit, caller, question, self.telemetry.clone());
        if let Some(conversation) = conversation {
            ledger.capture(&self.captures, conversation);
            let violations = check::check(conversation);
            if !violations.is_empty() {
                return Err(ledger.fail(&Failure::Invalid(violations)));
            }
        }
        match self.plan(&mut ledger, question).await {
            Ok(plan) => Ok((ledger, plan)),
            Err(failure) => Err(ledger.fail(&failure)),
        }
    }

    /// Looks for an answer that is kept; `None` if nothing is kept of this call.
    async fn look_up(
        &self,
        ledger: &mut Ledger,
        plan: &Plan,
        request: &mut CreateChatCompletionRequest,
    ) -> Result<Option<Found>, Status> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let Caller { cache: control, principal, on_unsupported, origin, .. } = ledger.caller();
        // What the vendor is to keep is not answered by anybody else.
        if control.is_off() || request.store() {
            return Ok(None);
        }
        let asked = cache.asked(principal, plan, *on_unsupported, *origin, request);
        let found = cache.look_up(asked, *control);
        let found = match ledger.deadline() {
            None => found.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), found).await {
                Ok(found) => found,
                Err(_) => return Err(ledger.fail(&Failure::Deadline)),
            },
        };
        self.telemetry.looked_up(matches!(found, Found::Kept(..)));
        Ok(Some(found))
    }

    /// The targets that the caller may ask, once there is room for the call within the caller's limits.
    async fn plan(&self, ledger: &mut Ledger, question: &Question) -> Result<Plan, Failure> {
        let mut plan = self.registry.get().plan(&question.model, ledger.caller(), question.streamed)?;
        let principal = Arc::clone(&ledger.caller().principal);
        plan.targets.retain(|target| principal.may_ask(&[&question.model, &target.full_name]));
        if plan.targets.is_empty() {
            return Err(Failure::Forbidden(ledger.model_asked()));
        }
        limits::take(ledger, question, self.output_estimate).await?;
        Ok(plan)
    }

    /// Begins to count and trace an attempt at this target.
    pub(super) fn trace(&self, ledger: &Ledger, target: &Target, number: usize) -> telemetry::Attempt {
        let call = ledger.caller().call.as_ref();
        let is_known = || self.registry.get().knows(target);
        self.telemetry.attempt(call, ledger.operation(), target, number, ledger.id(), is_known)
    }

    /// Takes what a call to this target needs: room within the model's limits, and the most that it can cost.
    pub(super) async fn prepare(
        &self,
        ledger: &Ledger,
        question: &Question,
        target: &Target,
    ) -> Result<(Reservation, Vec<Hold>), Failure> {
        let hold = limits::take_of_model(ledger, question, target, self.output_estimate).await?;
        let Bounds { prompt, output, answers } = question.bounds;
        let asked = Asked {
            principal: ledger.principal(),
            model_asked: &question.model,
            model: &target.full_name,
            prompt_tokens: prompt,
            output_tokens: output,
            answers,
        };
        let reservation = self.budgets.reserve(&asked);
        let reservation = match ledger.deadline() {
            None => reservation.await?,
            Some(deadline) => {
                let reservation = tokio::time::timeout_at(deadline.into(), reservation).await;
                reservation.map_err(|_| Failure::Deadline)??
            }
        };
        Ok((reservation, hold.into_iter().collect()))
    }
}

/// A request that is sent once or several times.
struct Words<R>(Option<Box<R>>);

impl<R: Clone + Default> Words<R> {
    /// The request; the last time, without a copy.
    fn say(&mut self, last: bool) -> Box<R> {
        let words = if last { self.0.take() } else { self.0.clone() };
        // Nobody asks after the last time.
        words.unwrap_or_default()
    }
}

/// The headers that every answer has.
fn names(ledger: &Ledger, model: &str) -> MetadataMap {
    let mut headers = MetadataMap::with_capacity(ledger.header_count());
    if let Ok(id) = ledger.id().to_string().parse() {
        headers.insert(REQUEST_ID, id);
    }
    // A name that no header can carry is left out: it is in the answer and in the usage row as well.
    if let Ok(name) = model.parse() {
        headers.insert(MODEL_USED, name);
    }
    headers
}

fn headers_of_kept(ledger: &Ledger, entry: &Entry, likeness: Option<f32>) -> MetadataMap {
    let mut headers = names(ledger, &entry.model);
    headers.insert(CACHE, MetadataValue::from_static(if likeness.is_some() { "similar" } else { "hit" }));
    if let Some(likeness) = likeness.and_then(|cosine| format!("{cosine:.3}").parse().ok()) {
        headers.insert(SIMILARITY, likeness);
    }
    headers.insert(AGE, entry.age().as_secs().into());
    headers
}

fn headers(
    ledger: &Ledger,
    plan: &Plan,
    target: &Target,
    number: usize,
    dropped: &Dropped,
    looked_for: bool,
) -> MetadataMap {
    let mut headers = names(ledger, &target.full_name);
    if looked_for {
        headers.insert(CACHE, MetadataValue::from_static("miss"));
    }
    if plan.attempts > 1 {
        headers.insert(ATTEMPT, number.into());
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
pub(super) mod tests;
