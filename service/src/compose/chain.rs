//! Questions that build on each other: each is asked as soon as all it needs is there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use sabir_proto::v1::chain_event::Event;
use sabir_proto::v1::chain_request::Step;
use sabir_proto::v1::{ChainEvent, ChainRequest, ChainSummary, StepResult, step_result};
use tonic::Status;

use super::template::{self, Name};
use super::total::Total;
use super::{Answered, Question, cancelled, error, invalid, millis, text};
use crate::chat::Caller;
use crate::structured::Structured;

/// The events of a call. Dropping it cancels every step that is under way.
pub(crate) type ChainEvents = Pin<Box<dyn Stream<Item = Result<ChainEvent, Status>> + Send>>;

/// Asks the questions of a request in the order in which they build on each other.
///
/// # Errors
/// Steps that name what is not there, or wait for each other, before anybody is asked.
pub(crate) fn chain(structured: Structured, caller: Caller, request: ChainRequest) -> Result<ChainEvents, Status> {
    let ChainRequest { steps, inputs } = request;
    let needs = needs(&steps, &inputs)?;
    let waiting = steps.into_iter().zip(needs).map(|(step, needs)| Waiting { step, needs }).collect();
    let call = Call {
        structured,
        caller,
        inputs,
        began: Instant::now(),
        waiting,
        running: FuturesUnordered::new(),
        answers: BTreeMap::new(),
        told: VecDeque::new(),
        total: Total::default(),
        summary: ChainSummary::default(),
        over: false,
    };
    Ok(Box::pin(stream::unfold(call, |mut call| async move { call.next().await.map(|event| (event, call)) })))
}

/// What each step needs: the steps that it names, and those that it comes after.
fn needs(steps: &[Step], inputs: &BTreeMap<String, String>) -> Result<Vec<BTreeSet<String>>, Status> {
    let mut all = Vec::with_capacity(steps.len());
    let known = |id: &str| steps.iter().any(|step| step.id == id);
    for (index, step) in steps.iter().enumerate() {
        if steps[..index].iter().any(|other| other.id == step.id) {
            return Err(invalid(format!("steps[{index}].id"), "is the name of another step"));
        }
        let mut needs: BTreeSet<String> = BTreeSet::new();
        for (place, id) in step.after.iter().enumerate() {
            if !known(id) {
                return Err(invalid(format!("steps[{index}].after[{place}]"), format!("there is no step \"{id}\"")));
            }
            needs.insert(id.clone());
        }
        for name in step.request.as_ref().map(template::names).unwrap_or_default() {
            let missing = match name {
                Name::Step(id, _) if known(id) => {
                    needs.insert(id.to_owned());
                    continue;
                }
                Name::Step(id, _) => format!("there is no step \"{id}\""),
                Name::Input(name) if inputs.contains_key(name) => continue,
                Name::Input(name) => format!("there is no input \"{name}\""),
            };
            return Err(invalid(format!("steps[{index}].request.messages"), missing));
        }
        all.push(needs);
    }
    // Take away, again and again, what needs nothing that is left.
    let mut left: Vec<usize> = (0..steps.len()).collect();
    loop {
        let ids: Vec<&str> = left.iter().map(|index| steps[*index].id.as_str()).collect();
        let (free, bound): (Vec<usize>, Vec<usize>) =
            left.iter().partition(|index| all[**index].iter().all(|need| !ids.contains(&need.as_str())));
        match (free.is_empty(), bound.first()) {
            (_, None) => return Ok(all),
            (true, Some(first)) => {
                let message = format!("these steps wait for each other: {}", ids.join(", "));
                return Err(invalid(format!("steps[{first}]"), message));
            }
            (false, Some(_)) => left = bound,
        }
    }
}

/// A step that has not begun.
struct Waiting {
    step: Step,
    needs: BTreeSet<String>,
}

/// A call that is under way.
struct Call {
    structured: Structured,
    caller: Caller,
    inputs: BTreeMap<String, String>,
    began: Instant,
    waiting: Vec<Waiting>,
    running: FuturesUnordered<BoxFuture<'static, Answered>>,
    /// The texts of the answers; `None` for a step that has failed.
    answers: BTreeMap<String, Option<String>>,
    told: VecDeque<ChainEvent>,
    total: Total,
    summary: ChainSummary,
    over: bool,
}

impl Call {
    async fn next(&mut self) -> Option<Result<ChainEvent, Status>> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            // Steps that are left out may make others be left out.
            while self.begin_what_can_begin() {}
            match self.running.next().await {
                Some(answered) => self.note(answered),
                None if self.told.is_empty() => {
                    self.over = true;
                    self.finish();
                }
                None => {}
            }
        }
    }

    /// Begins the steps that have all they need, and leaves out those that will never have it. Says whether there was one.
    fn begin_what_can_begin(&mut self) -> bool {
        let answers = &self.answers;
        let (ready, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|waiting: &Waiting| {
            let failed = waiting.needs.iter().any(|need| answers.get(need) == Some(&None));
            failed || waiting.needs.iter().all(|need| answers.contains_key(need))
        });
        self.waiting = waiting;
        let ready: Vec<Waiting> = ready;
        let any = !ready.is_empty();
        for Waiting { step, needs } in ready {
            if let Some(failed) = needs.iter().find(|need| self.answers.get(*need) == Some(&None)) {
                self.summary.skipped += 1;
                let why = cancelled(&format!("it needs the step \"{failed}\", which has failed"));
                self.tell(step.id, Duration::ZERO, None, step_result::Outcome::Error(why));
            } else if let Err(why) = self.begin(&step) {
                self.summary.failed += 1;
                let status = Status::failed_precondition(why);
                self.tell(step.id, Duration::ZERO, None, step_result::Outcome::Error(error(&status)));
            }
        }
        any
    }

    fn begin(&mut self, step: &Step) -> Result<(), String> {
        let mut request = Box::new(step.request.clone().unwrap_or_default());
        let (inputs, answers) = (&self.inputs, &self.answers);
        template::fill_in(&mut request, |name| match name {
            Name::Input(name) => Ok(inputs.get(*name).cloned().unwrap_or_default()),
            Name::Step(id, pointer) => {
                let answer = answers.get(*id).and_then(Option::as_deref).unwrap_or_default();
                match pointer {
                    None => Ok(answer.to_owned()),
                    Some(pointer) => {
                        template::at_pointer(answer, pointer).map_err(|why| format!("the step \"{id}\": {why}"))
                    }
                }
            }
        })?;
        let timeout = step.timeout_ms.map(|millis| Duration::from_millis(u64::from(millis.unsigned_abs())));
        let question = Question { id: step.id.clone(), request, timeout };
        let care = self.caller.care;
        self.running.push(Box::pin(question.ask(self.structured.clone(), self.caller.clone(), care)));
        Ok(())
    }

    fn note(&mut self, answered: Answered) {
        let Answered { id, model: _, latency, outcome } = answered;
        match outcome {
            Ok(completion) => {
                self.summary.answered += 1;
                self.total.add(&completion);
                let said = text(&completion).map(str::to_owned);
                self.tell(id, latency, Some(said.unwrap_or_default()), step_result::Outcome::Completion(completion));
            }
            Err(status) => {
                self.summary.failed += 1;
                self.tell(id, latency, None, step_result::Outcome::Error(error(&status)));
            }
        }
    }

    fn tell(&mut self, id: String, latency: Duration, text: Option<String>, outcome: step_result::Outcome) {
        self.answers.insert(id.clone(), text.clone());
        let step = StepResult { id, latency_ms: millis(latency), text, outcome: Some(outcome) };
        self.told.push_back(ChainEvent { event: Some(Event::Step(step)) });
    }

    fn finish(&mut self) {
        let mut summary = std::mem::take(&mut self.summary);
        summary.latency_ms = millis(self.began.elapsed());
        summary.usage = std::mem::take(&mut self.total).sum();
        self.told.push_back(ChainEvent { event: Some(Event::Summary(summary)) });
    }
}

#[cfg(test)]
mod tests {
    use sabir_proto::v1::chat_message::Content;
    use sabir_proto::v1::{ChatMessage, CreateChatCompletionRequest};

    use super::*;

    fn step(id: &str, text: &str, after: &[&str]) -> Step {
        let message = ChatMessage { content: Some(Content::Text(text.to_owned())), ..ChatMessage::default() };
        Step {
            id: id.to_owned(),
            request: Some(CreateChatCompletionRequest { messages: vec![message], ..Default::default() }),
            after: after.iter().map(|id| (*id).to_owned()).collect(),
            timeout_ms: None,
        }
    }

    #[test]
    fn a_step_needs_what_it_names_and_what_it_comes_after() {
        let steps =
            [step("c", "{{steps.a}} {{inputs.x}}", &["b"]), step("a", "", &[]), step("b", "{{steps.a#/y}}", &[])];
        let needs = needs(&steps, &[("x".to_owned(), String::new())].into()).unwrap();
        let needs: Vec<Vec<&str>> = needs.iter().map(|needs| needs.iter().map(String::as_str).collect()).collect();
        assert_eq!(needs, [vec!["a", "b"], vec![], vec!["a"]]);
    }

    #[test]
    fn what_cannot_be_asked_is_refused_by_name() {
        for (steps, part) in [
            (vec![step("a", "", &[]), step("a", "", &[])], "steps[1].id"),
            (vec![step("a", "", &["b"])], "steps[0].after[0]"),
            (vec![step("a", "{{steps.b}}", &[])], "there is no step \"b\""),
            (vec![step("a", "{{inputs.b}}", &[])], "there is no input \"b\""),
            (vec![step("a", "{{steps.a}}", &[])], "wait for each other: a"),
            (
                vec![step("x", "", &[]), step("a", "{{steps.b}}", &[]), step("b", "", &["a"])],
                "steps[1]: these steps wait for each other: a, b",
            ),
        ] {
            let status = needs(&steps, &BTreeMap::new()).unwrap_err();
            assert!(status.message().contains(part), "{status:?}");
        }
    }
}
