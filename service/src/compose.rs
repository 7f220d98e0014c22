//! Many questions as one call: asked at the same time, told as they are answered.
//!
//! It asks as any caller does, through the chat, so that every question has its own usage row, limits and budget. Whoever
//! drops the stream cancels every question that is under way. No task is spawned: the stream itself drives what is under
//! way, as far as its reader wants to know.

mod chain;
mod expand;
mod fan_out;
mod judge;
mod rules;
mod template;
mod total;
mod vote;

use std::time::{Duration, Instant};

use sabir_proto::v1::{BranchError, ChatCompletion, CreateChatCompletionRequest};
use tonic::Status;
use transcode::code_name;

pub(crate) use self::chain::{ChainEvents, chain};
pub(crate) use self::fan_out::{FanOutEvents, fan_out};
pub(crate) use self::rules::Rules;
use crate::chat::{Caller, Failure, Violation};
use crate::structured::{Care, Structured};

/// How many questions a call may have.
const MOST: usize = 100;

/// What is asked in one question, and by when it must be answered.
struct Question {
    id: String,
    request: Box<CreateChatCompletionRequest>,
    timeout: Option<Duration>,
}

/// A question that is over.
struct Answered {
    id: String,
    model: String,
    latency: Duration,
    outcome: Result<ChatCompletion, Status>,
}

impl Question {
    /// Asks, for this caller.
    async fn ask(self, structured: Structured, caller: Caller, care: Care) -> Answered {
        let Self { id, request, timeout } = self;
        let began = Instant::now();
        let own = timeout.map(|timeout| began + timeout);
        let deadline = match (caller.deadline, own) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let model = request.model.clone();
        let caller = Caller { received: began, deadline, care, ..caller };
        let outcome = structured.complete(caller, request).await.map(|answer| answer.body);
        Answered { id, model, latency: began.elapsed(), outcome }
    }
}

/// The text of an answer's first choice.
fn text(completion: &ChatCompletion) -> Option<&str> {
    completion.choices.first()?.message.as_ref()?.content.as_deref()
}

fn error(status: &Status) -> BranchError {
    BranchError { code: code_name(status.code()).to_owned(), message: status.message().to_owned() }
}

fn cancelled(why: &str) -> BranchError {
    error(&Status::cancelled(why))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn invalid(field: impl Into<String>, message: impl Into<String>) -> Status {
    (&Failure::Invalid(vec![Violation { field: field.into(), message: message.into() }])).into()
}
