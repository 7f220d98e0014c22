//! The account of one call: it holds the place of the call's usage row from the start and fills it exactly once,
//! whichever way the call ends.
//!
//! A call that is simply dropped, because its caller went away, is a way to end like any other: dropping the ledger
//! writes the row.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sabir_proto::v1::{ChatCompletion, ChatCompletionChunk, CreateChatCompletionRequest, CreateEmbeddingResponse};
use sabir_store::{Operation, Outcome, TokenSource, UsageAttempt, UsagePermit, UsageRow, unix_micros};
use tonic::{Code, Status};
use uuid::Uuid;

use super::Caller;
use super::failure::Failure;
use super::meter::Meter;
use super::question::Question;
use super::standing;
use crate::auth::{Identity, Principal};
use crate::budget::{Denied, Reservation, TokenCount};
use crate::capture::{self, CaptureLog, Recording};
use crate::limit::{CallLimits, Hold};
use crate::telemetry::event;
use crate::telemetry::{self, ErrorType, Telemetry};
use crate::upstream::{InFlight, Target};

/// The longest model name that a row keeps, in bytes. Longer ones are refused, and their rows hold the beginning.
const NAME_LIMIT: usize = super::check::MODEL_NAME_LIMIT;

/// What stands in a row for the provider of an answer that was kept from before.
pub(super) const KEPT: &str = "cache";

/// The open account of a call.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Gone when the row has been written.
    permit: Option<UsagePermit>,
    id: Uuid,
    caller: Caller,
    operation: Operation,
    streamed: bool,
    model_asked: Arc<str>,
    model_used: Option<Arc<str>>,
    provider: Option<Arc<str>>,
    /// Whether the answer was kept from before, and nobody was asked.
    is_kept: bool,
    first_token: Option<Instant>,
    meter: Meter,
    /// What is kept of its texts, if anything is.
    recording: Option<Box<Recording>>,
    /// What the call holds of its budgets, until it is charged.
    reservation: Reservation,
    /// What the call has taken of its limits.
    limits: Vec<Hold>,
    /// Counts the call among those that its target has.
    in_flight: Option<InFlight>,
    telemetry: Telemetry,
    /// The attempt that is answered, until the answer has ended.
    attempt: Option<telemetry::Attempt>,
    /// Why the call failed, if it did.
    error: Option<ErrorType>,
    /// The attempts it took, once one has failed.
    attempts: Vec<UsageAttempt>,
}

impl Ledger {
    /// Opens the account.
    pub(super) fn open(permit: UsagePermit, caller: Caller, question: &Question, telemetry: Telemetry) -> Self {
        let model_asked = match question.model.len() {
            ..=NAME_LIMIT => Arc::clone(&question.model),
            _ => Arc::from(&question.model[..question.model.floor_char_boundary(NAME_LIMIT)]),
        };
        Self {
            permit: Some(permit),
            id: Uuid::now_v7(),
            caller,
            operation: question.operation,
            streamed: question.streamed,
            model_asked,
            model_used: None,
            provider: None,
            is_kept: false,
            first_token: None,
            meter: Meter::new(question.prompt_bytes),
            recording: None,
            reservation: Reservation::default(),
            limits: Vec::new(),
            in_flight: None,
            telemetry,
            attempt: None,
            error: None,
            attempts: Vec::new(),
        }
    }

    /// What is asked for.
    pub(super) fn operation(&self) -> Operation {
        self.operation
    }

    /// Notes which attempt is answered.
    pub(super) fn answering(&mut self, attempt: telemetry::Attempt) {
        self.attempt = Some(attempt);
    }

    /// The call's name, as callers and logs see it.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// The call as its caller made it.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Who asks.
    pub(super) fn principal(&self) -> &Principal {
        &self.caller.principal
    }

    /// The model as the caller named it.
    pub(super) fn model_asked(&self) -> Arc<str> {
        Arc::clone(&self.model_asked)
    }

    /// Begins to keep what is asked and answered, if this log keeps it of this call.
    pub(super) fn capture(&mut self, captures: &CaptureLog, request: &CreateChatCompletionRequest) {
        let (id, caller, model) = (self.id, &self.caller, &self.model_asked);
        let subject = || capture::Subject {
            id,
            at_micros: unix_micros(caller.received_at),
            actor: caller.principal.actor.to_string(),
            team_id: caller.principal.team_id,
            model: Arc::clone(model),
        };
        self.recording = captures.begin(id, subject, request);
    }

    /// The limits that hold for the call.
    pub(super) fn limits(&self) -> Option<Arc<CallLimits>> {
        self.caller.limits.clone()
    }

    /// Keeps what the call has taken of a limit until it is over.
    pub(super) fn hold(&mut self, hold: Hold) {
        self.limits.push(hold);
    }

    /// How many headers an answer has at most. A map that has to grow costs more than the headers in it.
    pub(super) fn header_count(&self) -> usize {
        // The call's names and those of its budget; of limits, also those that the limit layer adds.
        if self.caller.limits.is_some() { 7 + 9 } else { 7 }
    }

    /// Notes who is being asked, and holds what was taken for that until the call ends. What was held for somebody asked
    /// before, who has failed, is given back.
    pub(super) fn asking(&mut self, target: &Target, reservation: Reservation, holds: Vec<Hold>) {
        self.provider = Some(Arc::clone(&target.provider));
        self.reservation = reservation;
        self.limits.extend(holds);
    }

    /// Notes how an attempt ended that began at `began`.
    pub(super) fn attempt(&mut self, number: usize, target: &str, began: Instant, outcome: &'static str) {
        self.attempts.push(UsageAttempt {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            model: target.to_owned(),
            outcome: outcome.into(),
            after_micros: micros(began.duration_since(self.caller.received)),
            latency_micros: micros(began.elapsed()),
        });
    }

    /// Whether an attempt has ended otherwise than with the answer.
    pub(super) fn has_attempts(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// When the call must be over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.caller.deadline
    }

    /// When the call came.
    pub(super) fn received_at(&self) -> SystemTime {
        self.caller.received_at
    }

    /// Counts the call as its target's until it ends.
    pub(super) fn in_flight(&mut self, in_flight: Option<InFlight>) {
        self.in_flight = in_flight;
    }

    /// How the call's budgets stand, for the headers of its answer.
    pub(super) fn reservation(&self) -> &Reservation {
        &self.reservation
    }

    /// Notes the vectors of texts.
    pub(super) fn embeddings(&mut self, answer: &CreateEmbeddingResponse) {
        self.note_model(&answer.model);
        self.meter.embeddings(answer);
    }

    /// Notes that the answer was kept from before: nobody is asked, and it costs nothing.
    pub(super) fn kept(&mut self) {
        self.is_kept = true;
        self.provider = Some(Arc::from(KEPT));
    }

    /// Notes a whole answer.
    pub(super) fn completion(&mut self, answer: &ChatCompletion) {
        self.note_model(&answer.model);
        self.meter.completion(answer);
        if let Some(recording) = &mut self.recording {
            recording.completion(answer);
        }
    }

    /// Notes a chunk.
    pub(super) fn chunk(&mut self, chunk: &ChatCompletionChunk) {
        self.note_model(&chunk.model);
        if let Some(recording) = &mut self.recording {
            recording.chunk(chunk);
        }
        if self.meter.chunk(chunk) && self.first_token.is_none() {
            self.first_token = Some(Instant::now());
        }
    }

    /// Closes the account of an answer that came to its normal end.
    pub(super) fn finish(&mut self) {
        self.close(self.meter.ending(), Code::Ok);
    }

    /// Closes the account of a call that failed, and says so in the log. Returns what the caller is told.
    pub(super) fn fail(&mut self, failure: &Failure) -> Status {
        // A provider keeps the caller's deadline too. If it was faster than we were, it reports a timeout of its own.
        let failure = if failure.is_timeout() && self.caller.deadline_passed() { &Failure::Deadline } else { failure };
        let mut status = Status::from(failure);
        if let Ok(id) = self.id.to_string().parse() {
            status.metadata_mut().insert(super::REQUEST_ID, id);
        }
        if let Failure::Budget(Denied::Spent { standing: spent, .. }) = failure {
            standing::add(status.metadata_mut(), Some(*spent), false);
        }
        let trace = self.caller.call.as_ref().and_then(|call| call.trace_id()).map(tracing::field::display);
        if failure.is_the_callers() {
            tracing::info!(
                event = event::CALL_REFUSED, request_id = %self.id, trace_id = trace, model = %self.model_asked,
                code = ?status.code(), failure = %failure.in_log(), "call failed"
            );
        } else {
            tracing::warn!(
                event = event::CALL_FAILED, request_id = %self.id, trace_id = trace, model = %self.model_asked,
                code = ?status.code(), failure = %failure.in_log(), "call failed"
            );
        }
        self.error = Some(failure.error_type());
        self.close(failure.outcome(), status.code());
        status
    }

    fn note_model(&mut self, model: &str) {
        if self.model_used.is_none() && !model.is_empty() {
            self.model_used = Some(Arc::from(&model[..model.floor_char_boundary(NAME_LIMIT)]));
        }
    }

    /// Writes the row, if it has not been written.
    fn close(&mut self, outcome: Outcome, code: Code) {
        let Some(permit) = self.permit.take() else { return };
        if let Some(recording) = self.recording.take() {
            recording.finish(code as i32);
        }
        let latency = self.caller.received.elapsed();
        let (tokens, token_source) = self.meter.tokens(self.provider.is_some() && !self.is_kept, outcome);
        let used = u64::from(tokens.prompt) + u64::from(tokens.completion);
        self.limits.iter_mut().for_each(|hold| hold.settle(used));
        // What holds places frees them.
        self.limits.clear();
        self.in_flight = None;
        let price_version = self.reservation.price_version();
        let cost_nanos = self.reservation.settle(TokenCount {
            prompt: tokens.prompt,
            cached: tokens.cached,
            completion: tokens.completion,
            reasoning: tokens.reasoning,
        });
        if let Some(attempt) = self.attempt.take() {
            let counted = token_source != TokenSource::None;
            attempt.ended(&telemetry::Ending {
                outcome,
                error: self.error.or_else(|| error_of(outcome)),
                model_used: self.model_used.as_deref(),
                tokens: counted.then_some((tokens.prompt, tokens.completion)),
                first_token: self.first_token.map(|first| (self.caller.received, first)),
            });
        }
        self.telemetry.spent(self.caller.principal.team_id, cost_nanos);
        tracing::debug!(request_id = %self.id, model = %self.model_asked, %outcome, ?latency, "call ended");
        permit.record(UsageRow {
            id: self.id.into_bytes(),
            started_at_micros: unix_micros(self.caller.received_at),
            latency_micros: micros(latency),
            first_token_micros: self.first_token.map(|first| micros(first.duration_since(self.caller.received))),
            protocol: self.caller.protocol,
            operation: self.operation,
            streamed: self.streamed,
            principal: actor(&self.caller.principal),
            key_id: key_id(&self.caller.principal),
            user_id: self.caller.principal.user_id,
            team_id: self.caller.principal.team_id,
            model_asked: Arc::clone(&self.model_asked),
            model_used: self.model_used.take(),
            provider: self.provider.clone(),
            outcome,
            grpc_code: code as i32,
            prompt_tokens: tokens.prompt,
            completion_tokens: tokens.completion,
            cached_tokens: tokens.cached,
            reasoning_tokens: tokens.reasoning,
            token_source,
            cost_nanos,
            price_version,
            attempts: std::mem::take(&mut self.attempts),
        });
    }
}

/// What became of an answer that nobody closed.
fn error_of(outcome: Outcome) -> Option<ErrorType> {
    match outcome {
        Outcome::Cancelled => Some(ErrorType::Cancelled),
        Outcome::Deadline => Some(ErrorType::Deadline),
        _ => None,
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// The caller's name; nobody has one where nobody has to say who they are.
fn actor(principal: &Principal) -> Option<Arc<str>> {
    (principal.identity != Identity::Open).then(|| Arc::clone(&principal.actor))
}

/// The key the caller came with.
fn key_id(principal: &Principal) -> Option<Uuid> {
    match principal.identity {
        Identity::Key { id, .. } => Some(id),
        _ => None,
    }
}

impl Drop for Ledger {
    /// Nobody closed the account: the call was dropped, because its caller went away or the deadline took it.
    fn drop(&mut self) {
        if self.caller.deadline_passed() {
            self.close(Outcome::Deadline, Code::DeadlineExceeded);
        } else {
            self.close(Outcome::Cancelled, Code::Cancelled);
        }
    }
}
