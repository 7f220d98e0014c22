//! Guardrails: what questions hold before a model is asked, and answers before a caller hears them, is looked at, taken
//! out, refused or noted.
//!
//! It stands in front of the chat and uses it as any caller does. Streams are held back only as far as a rule has to see
//! ahead.

mod book;
mod config;
mod grpc;
mod judge;
mod rail;
mod stream;
mod texts;
mod webhook;

use std::sync::Arc;

use sabir_proto::v1::{ChatCompletion, CreateChatCompletionRequest, CreateEmbeddingRequest, CreateEmbeddingResponse};
use tonic::Status;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

use self::book::Book;
pub use self::config::Config;
use self::judge::Verdict;
use self::rail::{Action, Rail, What};
pub(crate) use self::stream::Guarded;
use crate::chat::{Answer, Caller, Chat};
use crate::error::blocked;
use crate::redact::Redactor;
use crate::telemetry::event;

/// The header that names the guardrails that have something to say about a call.
pub(crate) const GUARDRAILS: &str = "sabir-guardrails";

/// Chat calls behind guardrails. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    chat: Chat,
    rails: Arc<[Rail]>,
}

/// What is known of a call between its question and its answer.
#[derive(Debug, Default)]
struct Watch {
    /// The guardrails that look at the answer.
    rails: Vec<Rail>,
    /// What was taken out of the question.
    book: Book,
    /// The names of the guardrails that had something to say.
    notes: Vec<Arc<str>>,
}

impl Guard {
    /// Has these calls made, behind these guardrails.
    pub(crate) fn new(chat: Chat, config: Config) -> Self {
        Self { chat, rails: config.rails.into() }
    }

    /// The calls without guardrails.
    pub(crate) fn chat(&self) -> &Chat {
        &self.chat
    }

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// As [`Chat::complete`]; what a guardrail refuses.
    pub(crate) async fn complete(
        &self,
        caller: Caller,
        mut request: Box<CreateChatCompletionRequest>,
    ) -> Result<Answer<ChatCompletion>, Status> {
        let Some(mut watch) = self.before(&caller, &mut request).await? else {
            return self.chat.complete(caller, request).await;
        };
        let asked = caller.clone();
        let mut answer = self.chat.complete(caller, request).await?;
        self.after(&asked, &mut watch, &mut answer.body).await?;
        note(&mut answer.headers, &watch.notes);
        Ok(answer)
    }

    /// Asks for a streamed answer.
    ///
    /// # Errors
    /// As [`Chat::stream`]; what a guardrail refuses. What it refuses of the answer ends the stream with an error.
    pub(crate) async fn stream(
        &self,
        caller: Caller,
        mut request: Box<CreateChatCompletionRequest>,
    ) -> Result<Answer<Guarded>, Status> {
        let Some(watch) = self.before(&caller, &mut request).await? else {
            let Answer { headers, body } = self.chat.stream(caller, request).await?;
            return Ok(Answer { headers, body: Guarded::free(body) });
        };
        let asked = caller.clone();
        let Answer { mut headers, body } = self.chat.stream(caller, request).await?;
        note(&mut headers, &watch.notes);
        Ok(Answer { headers, body: Guarded::new(body, watch, self.chat.clone(), asked) })
    }

    /// Asks for the vectors of texts. What is taken out of them stays out: nothing could be put back into a vector.
    ///
    /// # Errors
    /// As [`Chat::embed`]; what a guardrail refuses.
    pub(crate) async fn embed(
        &self,
        caller: Caller,
        mut request: Box<CreateEmbeddingRequest>,
    ) -> Result<Answer<CreateEmbeddingResponse>, Status> {
        let mut watch = Watch::default();
        let rails: Vec<&Rail> = self.rails.iter().filter(|rail| rail.on_input && rail.is_for(&request.model)).collect();
        for rail in rails {
            let verdict = match &rail.what {
                What::Words { finder, action, .. } => {
                    let mut found = false;
                    texts::of_input(&mut request, &mut |text| found |= watch.look(finder, *action, false, text));
                    if found { rail.verdict(*action) } else { Verdict::Pass }
                }
                What::Judge(judge) => judge.judge(&self.chat, &caller, "input", &texts::told_of_input(&request)).await,
            };
            watch.heed(rail, verdict)?;
        }
        let mut answer = self.chat.embed(caller, request).await?;
        note(&mut answer.headers, &watch.notes);
        Ok(answer)
    }

    /// Looks at a question, and takes out of it what has to be. `None` if no guardrail is for it.
    ///
    /// # Errors
    /// What a guardrail refuses.
    async fn before(
        &self,
        caller: &Caller,
        request: &mut CreateChatCompletionRequest,
    ) -> Result<Option<Watch>, Status> {
        let rails: Vec<&Rail> = self.rails.iter().filter(|rail| rail.is_for(&request.model)).collect();
        if rails.is_empty() {
            return Ok(None);
        }
        let mut watch = Watch::default();
        for rail in rails {
            if rail.on_output {
                watch.rails.push(rail.clone());
            }
            if !rail.on_input {
                continue;
            }
            let verdict = match &rail.what {
                What::Words { finder, action, restores } => {
                    let mut found = false;
                    texts::of_request(request, &mut |text| found |= watch.look(finder, *action, *restores, text));
                    if found { rail.verdict(*action) } else { Verdict::Pass }
                }
                What::Judge(judge) => judge.judge(&self.chat, caller, "input", &texts::told_of_request(request)).await,
            };
            watch.heed(rail, verdict)?;
        }
        Ok(Some(watch))
    }

    /// Looks at a whole answer, takes out of it what has to be, and puts back what the question was without.
    ///
    /// # Errors
    /// What a guardrail refuses.
    async fn after(&self, caller: &Caller, watch: &mut Watch, answer: &mut ChatCompletion) -> Result<(), Status> {
        for rail in std::mem::take(&mut watch.rails) {
            let verdict = match &rail.what {
                What::Words { finder, action, .. } => {
                    let mut found = false;
                    texts::of_answer(answer, &mut |text| {
                        let findings = finder.find(text);
                        found |= !findings.is_empty();
                        if *action == Action::Mask && !findings.is_empty() {
                            *text = finder.redact(text, text.len());
                        }
                    });
                    if found { rail.verdict(*action) } else { Verdict::Pass }
                }
                What::Judge(judge) => judge.judge(&self.chat, caller, "output", &texts::told_of_answer(answer)).await,
            };
            watch.heed(&rail, verdict)?;
        }
        texts::restore(answer, &watch.book);
        Ok(())
    }
}

impl Watch {
    /// Looks at a text of a question and takes out of it what has to be; says whether anything was found.
    fn look(&mut self, finder: &Redactor, action: Action, restores: bool, text: &mut String) -> bool {
        match action {
            Action::Mask => self.book.hide(finder, text, restores),
            Action::Block | Action::Annotate => !finder.find(text).is_empty(),
        }
    }

    /// Does what a guardrail says.
    ///
    /// # Errors
    /// If it says no.
    fn heed(&mut self, rail: &Rail, verdict: Verdict) -> Result<(), Status> {
        match verdict {
            Verdict::Pass => {}
            Verdict::Note if self.notes.contains(&rail.name) => {}
            Verdict::Note => self.notes.push(Arc::clone(&rail.name)),
            Verdict::Block(why) => {
                tracing::info!(event = event::GUARDRAIL_REFUSED, guardrail = %rail.name, "a guardrail refuses a call");
                return Err(blocked(&rail.name, &why));
            }
        }
        Ok(())
    }
}

fn note(headers: &mut MetadataMap, names: &[Arc<str>]) {
    if !names.is_empty()
        && let Ok(names) = AsciiMetadataValue::try_from(names.join(", "))
    {
        headers.insert(GUARDRAILS, names);
    }
}
