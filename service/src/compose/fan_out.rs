//! Questions that do not depend on each other.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Instant;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::fan_out_event::Event;
use sabir_proto::v1::fan_out_request::{Judge, Mode};
use sabir_proto::v1::{
    BranchResult, CreateChatCompletionRequest, FanOutEvent, FanOutRequest, FanOutSummary, FinishReason, branch_result,
};
use tonic::Status;

use super::judge::{Candidate, judge};
use super::total::Total;
use super::vote::Votes;
use super::{Answered, Question, Rules, cancelled, error, expand, invalid, millis, text};
use crate::chat::Caller;
use crate::structured::{Care, Structured};

/// The events of a call. Dropping it cancels every question that is under way.
pub(crate) type FanOutEvents = Pin<Box<dyn Stream<Item = Result<FanOutEvent, Status>> + Send>>;

/// Asks all questions of a request at the same time.
///
/// # Errors
/// A request that makes no sense, before anybody is asked.
pub(crate) fn fan_out(
    structured: Structured,
    caller: Caller,
    rules: &Rules,
    mut request: FanOutRequest,
) -> Result<FanOutEvents, Status> {
    let questions = expand::questions(&mut request, rules)?;
    let mode = match request.mode() {
        Mode::Unspecified => Mode::All,
        mode => mode,
    };
    let count = u32::try_from(questions.len()).unwrap_or(u32::MAX);
    let quorum = request.quorum.map_or(count / 2 + 1, i32::unsigned_abs);
    if mode == Mode::Quorum && quorum > count {
        return Err(invalid("quorum", format!("there are only {count} questions")));
    }
    if mode == Mode::Judge && request.judge.is_none() {
        return Err(invalid("judge", "is required in this mode"));
    }
    let asked = questions.first().map(|question| last_words(&question.request)).unwrap_or_default();
    let call = Call {
        structured,
        caller,
        mode,
        quorum,
        judge: request.judge,
        asked,
        at_once: request.max_concurrency.map_or(questions.len(), |most| most.unsigned_abs() as usize),
        began: Instant::now(),
        waiting: questions.into(),
        running: FuturesUnordered::new(),
        under_way: Vec::new(),
        told: VecDeque::new(),
        votes: Votes::default(),
        candidates: Vec::new(),
        total: Total::default(),
        summary: FanOutSummary::default(),
        over: false,
    };
    Ok(Box::pin(stream::unfold(call, |mut call| async move { call.next().await.map(|event| (event, call)) })))
}

/// A call that is under way.
struct Call {
    structured: Structured,
    caller: Caller,
    mode: Mode,
    /// How many equal answers are wanted.
    quorum: u32,
    judge: Option<Judge>,
    /// What was asked, for the judge.
    asked: String,
    at_once: usize,
    began: Instant,
    waiting: VecDeque<Question>,
    running: FuturesUnordered<BoxFuture<'static, Answered>>,
    /// The names and models of the questions that are under way.
    under_way: Vec<(String, String)>,
    told: VecDeque<FanOutEvent>,
    votes: Votes,
    /// The answers so far, for the judge.
    candidates: Vec<Candidate>,
    total: Total,
    summary: FanOutSummary,
    over: bool,
}

impl Call {
    async fn next(&mut self) -> Option<Result<FanOutEvent, Status>> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            while self.running.len() < self.at_once
                && let Some(question) = self.waiting.pop_front()
            {
                self.under_way.push((question.id.clone(), question.request.model.clone()));
                let care = if self.mode == Mode::FirstValid { Care::Check } else { self.caller.care };
                self.running.push(Box::pin(question.ask(self.structured.clone(), self.caller.clone(), care)));
            }
            match self.running.next().await {
                Some(answered) => self.note(answered),
                None => {
                    self.over = true;
                    if let Err(status) = self.finish().await {
                        return Some(Err(status));
                    }
                }
            }
        }
    }

    /// Tells of a question that is over, and cancels the others if they are no longer needed.
    fn note(&mut self, answered: Answered) {
        let Answered { id, model, latency, outcome } = answered;
        self.under_way.retain(|(open, _)| *open != id);
        let decided = match &outcome {
            Ok(completion) => {
                self.summary.answered += 1;
                self.total.add(completion);
                let finished = completion.choices.first().is_some_and(|choice| {
                    matches!(choice.finish_reason(), FinishReason::Stop | FinishReason::ToolCalls)
                });
                let said = text(completion).unwrap_or_default();
                match self.mode {
                    Mode::All | Mode::Unspecified => false,
                    Mode::First => true,
                    Mode::FirstValid => finished,
                    Mode::Quorum => self.votes.cast(&id, said) >= self.quorum,
                    Mode::Judge => {
                        self.candidates.push(Candidate { id: id.clone(), text: said.to_owned() });
                        false
                    }
                }
            }
            Err(_) => {
                self.summary.failed += 1;
                false
            }
        };
        if decided {
            self.summary.winner = match self.mode {
                Mode::Quorum => self.votes.leader().map(|(leader, _)| leader.to_owned()),
                _ => Some(id.clone()),
            };
        }
        let outcome = match outcome {
            Ok(completion) => branch_result::Outcome::Completion(completion),
            Err(status) => branch_result::Outcome::Error(error(&status)),
        };
        self.tell(BranchResult { id, model, latency_ms: millis(latency), outcome: Some(outcome) });
        let open = self.under_way.len() + self.waiting.len();
        let votes = self.votes.leader().map_or(0, |(_, votes)| votes as usize);
        let out_of_reach = self.mode == Mode::Quorum && votes + open < self.quorum as usize;
        if decided || out_of_reach {
            self.cancel(if decided { "the others have decided" } else { "there can be no quorum any more" });
        }
    }

    fn tell(&mut self, branch: BranchResult) {
        self.told.push_back(FanOutEvent { event: Some(Event::Branch(branch)) });
    }

    /// Drops every question that is not over, which ends what is under way upstream.
    fn cancel(&mut self, why: &str) {
        self.running.clear();
        let waiting = self.waiting.drain(..).map(|question| (question.id, question.request.model));
        let open: Vec<_> = self.under_way.drain(..).chain(waiting).collect();
        for (id, model) in open {
            self.summary.cancelled += 1;
            let outcome = Some(branch_result::Outcome::Error(cancelled(why)));
            self.tell(BranchResult { id, model, latency_ms: millis(self.began.elapsed()), outcome });
        }
    }

    /// Tells what came of the questions together.
    async fn finish(&mut self) -> Result<(), Status> {
        let mut summary = std::mem::take(&mut self.summary);
        match (self.mode, self.judge.take()) {
            (Mode::Quorum, _) => summary.votes = self.votes.leader().map(|(_, votes)| votes),
            (Mode::Judge, Some(by)) => match &self.candidates[..] {
                [] => {}
                [only] => summary.winner = Some(only.id.clone()),
                candidates => {
                    let (winner, verdict, completion) =
                        judge(&self.structured, &self.caller, by, &self.asked, candidates).await?;
                    self.total.add(&completion);
                    (summary.winner, summary.reason) = (Some(winner), Some(verdict.reason));
                }
            },
            _ => {}
        }
        summary.latency_ms = millis(self.began.elapsed());
        summary.usage = std::mem::take(&mut self.total).sum();
        self.told.push_back(FanOutEvent { event: Some(Event::Summary(summary)) });
        Ok(())
    }
}

/// The text of the last message.
fn last_words(request: &CreateChatCompletionRequest) -> String {
    match request.messages.last().and_then(|message| message.content.as_ref()) {
        Some(Content::Text(text)) => text.clone(),
        Some(Content::Parts(parts)) => {
            let texts = parts.parts.iter().filter_map(|part| match &part.part {
                Some(Part::Text(text)) => Some(text.as_str()),
                _ => None,
            });
            texts.collect()
        }
        None => String::new(),
    }
}
