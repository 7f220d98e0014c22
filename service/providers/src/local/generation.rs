//! One answer, from the prompt's tokens to the last event.
//!
//! Runs on the worker's thread and blocks it. Between layers of the forward pass it looks whether anybody still wants
//! the answer; nothing else stops it early.

use std::time::Instant;

use tokio::sync::mpsc;

use super::{
    constraint::Constraint,
    detokenizer::Detokenizer,
    error::GenerateError,
    sampler::{Sampler, Sampling},
    stop::StopStrings,
    tokenizer::Tokenizer,
    transformer::{Forward, Session, Transformer},
};

/// Prompt tokens that are fed in one pass. Longer passes take memory and gain no speed.
const PREFILL_CHUNK: usize = 128;

/// What a generation tells its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Further text; never empty, never half a character.
    Text(String),
    /// The end. Nothing follows.
    Done {
        /// Why it ended.
        reason: FinishReason,
        /// Tokens of the rendered prompt.
        prompt_tokens: u32,
        /// Tokens of the answer, without the one that ends it.
        completion_tokens: u32,
    },
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its turn, a stop string was met, or the grammar was complete.
    Stop,
    /// `max_tokens` were made, or the context was full.
    Length,
}

/// Everything one generation needs, made at admission.
pub(crate) struct Job {
    pub(crate) prompt: Vec<u32>,
    pub(crate) sampling: Sampling,
    pub(crate) constraint: Option<Constraint>,
    pub(crate) stop: Vec<String>,
    /// Tokens to make at most; the prompt and these fit the context.
    pub(crate) max_tokens: usize,
    pub(crate) deadline: Option<Instant>,
    /// Has room for every event of this job, so that a caller who reads slowly does not hold up the others.
    pub(crate) events: mpsc::Sender<Result<Event, GenerateError>>,
}

/// Why a generation broke off.
enum Break {
    /// Nobody listens any more.
    Cancelled,
    Failed(GenerateError),
}

impl Job {
    /// True if running it would be in vain.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.events.is_closed()
    }

    /// True if its time is over.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Runs it to the end and reports the outcome.
    pub(crate) fn run(mut self, transformer: &Transformer, tokenizer: &Tokenizer) {
        match self.generate(transformer, tokenizer) {
            Ok(done) => self.report(Ok(done)),
            Err(Break::Cancelled) => tracing::debug!("local generation cancelled"),
            Err(Break::Failed(error)) => self.report(Err(error)),
        }
    }

    /// Sends without waiting. The channel has room for all events; if it is closed, nobody is left to tell.
    pub(crate) fn report(&self, event: Result<Event, GenerateError>) {
        let _ = self.events.try_send(event);
    }

    fn generate(&mut self, transformer: &Transformer, tokenizer: &Tokenizer) -> Result<Event, Break> {
        let mut session = transformer.session(self.prompt.len() + self.max_tokens);
        let mut sampler = Sampler::new(self.sampling.clone());
        let mut text = TextStream::new(std::mem::take(&mut self.stop));
        let mut constraint = self.constraint.take();
        let mut made = 0;

        let mut logits = self.prefill(transformer, &mut session)?;
        let reason = 'answer: loop {
            if let Some(constraint) = &mut constraint {
                constraint.restrict(&mut logits)?;
            }
            let Some(chosen) = sampler.choose(&mut logits) else {
                return Err(Break::Failed(GenerateError::Internal("no token is allowed to follow".to_owned())));
            };
            let forced = match &mut constraint {
                Some(constraint) => constraint.accept(chosen)?,
                None => Vec::new(),
            };
            let mut step = Vec::with_capacity(1 + forced.len());
            let mut shown = String::new();
            let mut ended = None;
            for token in std::iter::once(chosen).chain(forced) {
                if tokenizer.ends_generation(token) {
                    ended = Some(FinishReason::Stop);
                    break;
                }
                sampler.accept(token);
                step.push(token);
                made += 1;
                let bytes = if tokenizer.is_control(token) { &[] } else { tokenizer.bytes(token) };
                if text.push(bytes, &mut shown) {
                    self.show(shown);
                    break 'answer FinishReason::Stop;
                }
                if made == self.max_tokens {
                    ended = Some(FinishReason::Length);
                    break;
                }
            }
            let complete = constraint.as_ref().is_some_and(Constraint::is_complete);
            if complete && ended != Some(FinishReason::Length) {
                ended = Some(FinishReason::Stop);
            }
            if let Some(reason) = ended {
                // A document that is complete with its last allowed token is complete.
                let reason = if complete { FinishReason::Stop } else { reason };
                text.finish(&mut shown);
                self.show(shown);
                break reason;
            }
            self.show(shown);
            logits = self.feed(transformer, &mut session, &step, true)?;
        };
        Ok(Event::Done { reason, prompt_tokens: self.prompt.len() as u32, completion_tokens: made as u32 })
    }

    fn prefill(&self, transformer: &Transformer, session: &mut Session) -> Result<Vec<f32>, Break> {
        let mut logits = Vec::new();
        for chunk in self.prompt.chunks(PREFILL_CHUNK) {
            let last = session.position() + chunk.len() == self.prompt.len();
            logits = self.feed(transformer, session, chunk, last)?;
        }
        Ok(logits)
    }

    fn feed(
        &self,
        transformer: &Transformer,
        session: &mut Session,
        tokens: &[u32],
        want_logits: bool,
    ) -> Result<Vec<f32>, Break> {
        let proceed = || !self.is_abandoned() && !self.is_late();
        match transformer.forward(session, tokens, want_logits, &proceed) {
            Ok(Forward::Logits(logits)) => Ok(logits),
            Ok(Forward::Interrupted) if self.is_abandoned() => Err(Break::Cancelled),
            Ok(Forward::Interrupted) => Err(Break::Failed(GenerateError::DeadlineExceeded)),
            Err(error) => Err(Break::Failed(error.into())),
        }
    }

    fn show(&self, text: String) {
        if !text.is_empty() {
            self.report(Ok(Event::Text(text)));
        }
    }
}

/// Bytes in, text that may be shown out.
struct TextStream {
    detokenizer: Detokenizer,
    stop: StopStrings,
}

impl TextStream {
    fn new(stop: Vec<String>) -> Self {
        Self { detokenizer: Detokenizer::default(), stop: StopStrings::new(stop) }
    }

    /// Returns true if a stop string was met.
    fn push(&mut self, bytes: &[u8], shown: &mut String) -> bool {
        let mut piece = String::new();
        self.detokenizer.push(bytes, &mut piece);
        let (text, stopped) = self.stop.push(&piece);
        shown.push_str(&text);
        stopped
    }

    fn finish(&mut self, shown: &mut String) {
        let mut piece = String::new();
        self.detokenizer.finish(&mut piece);
        let (text, stopped) = self.stop.push(&piece);
        shown.push_str(&text);
        if !stopped {
            shown.push_str(&self.stop.finish());
        }
    }
}

impl From<GenerateError> for Break {
    fn from(error: GenerateError) -> Self {
        Self::Failed(error)
    }
}
