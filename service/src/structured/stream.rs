//! Streamed answers: what passes is remembered, and at the end checked. What was said cannot be taken back: a stream that
//! does not follow its schema ends with an error, so that nobody takes it for a good one.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use sabir_proto::v1::{ChatCompletionChunk, FinishReason};
use tonic::Status;

use super::schema::Schema;
use crate::guard::Guarded;

/// How much of an answer is remembered, in bytes. A longer one is not checked but refused.
const LONGEST: usize = 4 << 20;

/// The chunks of an answer.
pub(crate) struct Answering {
    chunks: Guarded,
    check: Option<Box<Check>>,
}

/// What has been said so far, by choice, and whether the choice was finished by the model.
struct Check {
    schema: Arc<Schema>,
    said: BTreeMap<u32, (String, bool)>,
    size: usize,
}

impl Answering {
    pub(super) fn new(chunks: Guarded, schema: Option<Arc<Schema>>) -> Self {
        let check = schema.map(|schema| Box::new(Check { schema, said: BTreeMap::new(), size: 0 }));
        Self { chunks, check }
    }
}

impl Check {
    fn note(&mut self, chunk: &ChatCompletionChunk) {
        for choice in &chunk.choices {
            let (said, finished) = self.said.entry(choice.index).or_default();
            if let Some(text) = choice.delta.as_ref().and_then(|delta| delta.content.as_ref()) {
                self.size += text.len();
                if self.size <= LONGEST {
                    said.push_str(text);
                }
            }
            *finished |= choice.finish_reason() == FinishReason::Stop;
        }
    }

    fn verdict(&self) -> Result<(), Status> {
        if self.size > LONGEST {
            return Err(super::Problem::whole(format!("the answer is longer than {LONGEST} bytes")).of_answer());
        }
        let mut finished = self.said.values().filter(|(said, finished)| *finished && !said.is_empty());
        finished.try_for_each(|(said, _)| self.schema.check(said).map(drop).map_err(|problem| problem.of_answer()))
    }
}

impl Stream for Answering {
    type Item = Result<ChatCompletionChunk, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let item = ready!(Pin::new(&mut this.chunks).poll_next(context));
        match &item {
            Some(Ok(chunk)) => {
                if let Some(check) = &mut this.check {
                    check.note(chunk);
                }
            }
            Some(Err(_)) => this.check = None,
            None => {
                if let Some(Err(status)) = this.check.take().map(|check| check.verdict()) {
                    return Poll::Ready(Some(Err(status)));
                }
            }
        }
        Poll::Ready(item)
    }
}
