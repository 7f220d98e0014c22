//! A streamed answer behind guardrails.
//!
//! What is said is held back only while a rule may still have something to do with it: a mark that is being spelled out, or
//! the end of the text, as far as a rule looks ahead. Whoever judges whole texts does so at the end; what they refuse ends
//! the stream with an error.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use sabir_proto::v1::chat_completion_chunk::{Choice, Delta};
use sabir_proto::v1::{ChatCompletionChunk, FinishReason};
use tonic::Status;

use super::judge::{Judge, Told, Verdict};
use super::rail::{Action, What};
use super::{Book, Watch};
use crate::chat::{Caller, Chat, Relay};
use crate::error::blocked;
use crate::redact::{Finding, Redactor};

/// How far a rule looks ahead, in bytes: what it finds may go on so far beyond what has been said.
const AHEAD: usize = 64;

/// The longest text that is kept for those who judge it whole, in bytes.
const LONGEST: usize = 1 << 20;

/// The chunks of an answer.
pub(crate) struct Guarded {
    chunks: Relay,
    watch: Option<Box<Watching>>,
}

/// What is looked at.
struct Watching {
    book: Book,
    rules: Vec<Rule>,
    judges: Vec<(Arc<str>, Judge)>,
    /// What is held back, by choice and place.
    held: BTreeMap<(u32, Place), String>,
    /// What was said, by choice, if somebody judges it.
    said: BTreeMap<u32, String>,
    size: usize,
    /// The last chunk, from which one can be made that holds what is left.
    last: ChatCompletionChunk,
    chat: Chat,
    caller: Caller,
    verdict: Option<Judging>,
    ended: bool,
}

/// The judges at work.
type Judging = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// A rule about words.
struct Rule {
    name: Arc<str>,
    finder: Arc<Redactor>,
    action: Action,
}

/// Where in an answer a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Content,
    Refusal,
    Reasoning,
    /// The arguments of the call with this index.
    Call(u32),
}

impl Guarded {
    /// An answer that nobody looks at.
    pub(super) fn free(chunks: Relay) -> Self {
        Self { chunks, watch: None }
    }

    /// An answer that is looked at as this says.
    pub(super) fn new(chunks: Relay, watch: Watch, chat: Chat, caller: Caller) -> Self {
        let (mut rules, mut judges) = (Vec::new(), Vec::new());
        for rail in watch.rails {
            match rail.what {
                // A header cannot be added to a stream that has begun.
                What::Words { action: Action::Annotate, .. } => {}
                What::Words { finder, action, .. } => rules.push(Rule { name: rail.name, finder, action }),
                What::Judge(judge) => judges.push((rail.name, judge)),
            }
        }
        if rules.is_empty() && judges.is_empty() && watch.book.is_empty() {
            return Self::free(chunks);
        }
        let watching = Watching {
            book: watch.book,
            rules,
            judges,
            held: BTreeMap::new(),
            said: BTreeMap::new(),
            size: 0,
            last: ChatCompletionChunk::default(),
            chat,
            caller,
            verdict: None,
            ended: false,
        };
        Self { chunks, watch: Some(Box::new(watching)) }
    }
}

impl Stream for Guarded {
    type Item = Result<ChatCompletionChunk, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(watch) = &mut this.watch else { return Pin::new(&mut this.chunks).poll_next(context) };
        loop {
            if let Some(verdict) = &mut watch.verdict {
                let verdict = ready!(verdict.as_mut().poll(context));
                this.watch = None;
                return Poll::Ready(verdict.err().map(Err));
            }
            if watch.ended {
                this.watch = None;
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut this.chunks).poll_next(context)) {
                Some(Ok(mut chunk)) => match watch.chunk(&mut chunk) {
                    Ok(()) if is_worth_telling(&chunk) => return Poll::Ready(Some(Ok(chunk))),
                    Ok(()) => {}
                    Err(status) => {
                        watch.ended = true;
                        return Poll::Ready(Some(Err(status)));
                    }
                },
                Some(Err(status)) => {
                    this.watch = None;
                    return Poll::Ready(Some(Err(status)));
                }
                None => match watch.end() {
                    Ok(None) => {}
                    Ok(Some(chunk)) => return Poll::Ready(Some(Ok(chunk))),
                    Err(status) => {
                        watch.ended = true;
                        return Poll::Ready(Some(Err(status)));
                    }
                },
            }
        }
    }
}

/// Whether a chunk says anything after what is held back was taken out of it.
fn is_worth_telling(chunk: &ChatCompletionChunk) -> bool {
    let says = |choice: &Choice| {
        choice.finish_reason() != FinishReason::Unspecified
            || choice.logprobs.is_some()
            || choice.delta.as_ref().is_some_and(|delta| *delta != Delta::default())
    };
    chunk.usage.is_some() || chunk.choices.is_empty() || chunk.choices.iter().any(says)
}

impl Watching {
    /// Looks at what a chunk says, and leaves in it what may be said now.
    ///
    /// # Errors
    /// What a rule refuses.
    fn chunk(&mut self, chunk: &mut ChatCompletionChunk) -> Result<(), Status> {
        if self.last.id.is_empty() {
            self.last = ChatCompletionChunk { choices: Vec::new(), usage: None, ..chunk.clone() };
        }
        for choice in &mut chunk.choices {
            let (index, is_over) = (choice.index, choice.finish_reason() != FinishReason::Unspecified);
            let delta = choice.delta.get_or_insert_default();
            self.text(index, Place::Reasoning, &mut delta.reasoning_content, is_over)?;
            self.text(index, Place::Content, &mut delta.content, is_over)?;
            self.text(index, Place::Refusal, &mut delta.refusal, is_over)?;
            for detail in &mut delta.reasoning_details {
                // Sealed thoughts are not held back: they would be told twice, and come with the text beside them.
                if let Some(text) = &mut detail.text {
                    *text = self.book.restore(text, false).into_owned();
                }
            }
            for call in &mut delta.tool_calls {
                let place = Place::Call(call.index.unwrap_or(0));
                if let Some(function) = &mut call.function {
                    self.text(index, place, &mut function.arguments, false)?;
                }
                if let Some(custom) = &mut call.custom {
                    self.text(index, place, &mut custom.input, false)?;
                }
            }
            if is_over {
                self.flush_calls(index, delta)?;
            }
        }
        Ok(())
    }

    /// Holds back of a text what is not settled, and gives back what was held before if it is now.
    fn text(&mut self, index: u32, place: Place, text: &mut Option<String>, is_over: bool) -> Result<(), Status> {
        let key = (index, place);
        if text.is_none() && !(is_over && self.held.contains_key(&key)) {
            return Ok(());
        }
        let mut whole = self.held.remove(&key).unwrap_or_default();
        whole.push_str(text.as_deref().unwrap_or_default());
        let (said, held) = self.settle(whole, place, is_over)?;
        if place == Place::Content && !self.judges.is_empty() {
            self.size += said.len();
            if self.size <= LONGEST {
                self.said.entry(index).or_default().push_str(&said);
            }
        }
        if !held.is_empty() {
            self.held.insert(key, held);
        }
        let begins = text.as_deref() == Some("");
        *text = Some(said).filter(|said| begins || !said.is_empty());
        Ok(())
    }

    /// What may be said of a text, with the rules applied and the marks undone; and what is held back.
    fn settle(&self, mut whole: String, place: Place, is_over: bool) -> Result<(String, String), Status> {
        let mut cut = whole.len();
        if !is_over {
            cut = self.book.settled(&whole);
            if !self.rules.is_empty() {
                cut = cut.min(whole.floor_char_boundary(whole.len().saturating_sub(AHEAD)));
            }
        }
        for rule in &self.rules {
            let found = rule.finder.find(&whole);
            if rule.action == Action::Block && !found.is_empty() {
                return Err(blocked(&rule.name, "it holds what must not be said here"));
            }
            // What goes on beyond the cut is not settled.
            let crossing = found.iter().find(|found| found.range.start < cut && found.range.end > cut);
            cut = crossing.map_or(cut, |found| found.range.start);
        }
        let held = whole.split_off(cut);
        for rule in &self.rules {
            if rule.finder.find(&whole).iter().any(|Finding { range, .. }| !range.is_empty()) {
                whole = rule.finder.redact(&whole, whole.len());
            }
        }
        let said = self.book.restore(&whole, matches!(place, Place::Call(_))).into_owned();
        Ok((said, held))
    }

    /// What is held of the calls of a choice that is over, as pieces of them.
    fn flush_calls(&mut self, index: u32, delta: &mut Delta) -> Result<(), Status> {
        let places: Vec<u32> = self
            .held
            .keys()
            .filter_map(|(choice, place)| match place {
                Place::Call(call) if *choice == index => Some(*call),
                _ => None,
            })
            .collect();
        for call in places {
            let mut arguments = None;
            self.text(index, Place::Call(call), &mut arguments, true)?;
            let present = delta.tool_calls.iter_mut().find(|piece| piece.index == Some(call));
            match present.and_then(|piece| piece.function.as_mut()) {
                Some(function) => {
                    let more = arguments.unwrap_or_default();
                    function.arguments.get_or_insert_default().push_str(&more);
                }
                None => {
                    let mut piece = sabir_proto::v1::chat_completion_chunk::ToolCallDelta {
                        index: Some(call),
                        ..Default::default()
                    };
                    piece.function.get_or_insert_default().arguments = arguments;
                    delta.tool_calls.push(piece);
                }
            }
        }
        Ok(())
    }

    /// What is left when the chunks have ended, if nobody said that a choice was over; then the judges are asked.
    fn end(&mut self) -> Result<Option<ChatCompletionChunk>, Status> {
        if let Some(&(index, _)) = self.held.keys().next() {
            let mut delta = Delta::default();
            self.text(index, Place::Reasoning, &mut delta.reasoning_content, true)?;
            self.text(index, Place::Content, &mut delta.content, true)?;
            self.text(index, Place::Refusal, &mut delta.refusal, true)?;
            self.flush_calls(index, &mut delta)?;
            let choice = Choice { index, delta: Some(delta), ..Choice::default() };
            return Ok(Some(ChatCompletionChunk { choices: vec![choice], ..self.last.clone() }));
        }
        if self.judges.is_empty() {
            self.ended = true;
            return Ok(None);
        }
        if self.size > LONGEST {
            return Err(blocked(
                "output",
                &format!("the answer is longer than the {LONGEST} bytes that can be judged"),
            ));
        }
        let told: Vec<Told> =
            std::mem::take(&mut self.said).into_values().map(|text| Told { role: "assistant", text }).collect();
        let (judges, chat, caller) = (std::mem::take(&mut self.judges), self.chat.clone(), self.caller.clone());
        self.verdict = Some(Box::pin(async move {
            for (name, judge) in judges {
                if let Verdict::Block(why) = judge.judge(&chat, &caller, "output", &told).await {
                    return Err(blocked(&name, &why));
                }
            }
            Ok(())
        }));
        Ok(None)
    }
}
