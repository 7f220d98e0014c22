//! A document that is told field by field, and at its end as a whole.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use sabir_proto::v1::extract_event::Event;
use sabir_proto::v1::{
    ChatCompletionChunk, CompletionUsage, ExtractEvent, ExtractResponse, ExtractedField, FinishReason,
};
use tonic::Status;

use crate::error::unstructured;
use crate::structured::{Answering, Checked, Fields, Schema};

/// How long a document may be, in bytes.
const LONGEST: usize = 4 << 20;

/// The events. The last one is the document, if there is one.
pub(crate) struct Events {
    chunks: Answering,
    schema: Arc<Schema>,
    fields: Fields,
    ready: VecDeque<ExtractEvent>,
    text: String,
    model: String,
    usage: Option<CompletionUsage>,
    reason: FinishReason,
    ended: bool,
}

impl Events {
    pub(super) fn new(chunks: Answering, schema: Arc<Schema>) -> Self {
        Self {
            chunks,
            schema,
            fields: Fields::default(),
            ready: VecDeque::new(),
            text: String::new(),
            model: String::new(),
            usage: None,
            reason: FinishReason::Unspecified,
            ended: false,
        }
    }

    fn chunk(&mut self, chunk: ChatCompletionChunk) -> Result<(), Status> {
        if self.model.is_empty() {
            self.model = chunk.model;
        }
        self.usage = chunk.usage.or(self.usage.take());
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            if choice.finish_reason() != FinishReason::Unspecified {
                self.reason = choice.finish_reason();
            }
            let Some(text) = choice.delta.and_then(|delta| delta.content) else { continue };
            if self.text.len() + text.len() > LONGEST {
                return Err(unstructured(&format!("the document is longer than {LONGEST} bytes")));
            }
            self.text.push_str(&text);
            let fields = self.fields.push(&text).into_iter();
            self.ready.extend(
                fields.map(|(path, value)| ExtractEvent { event: Some(Event::Field(ExtractedField { path, value })) }),
            );
        }
        Ok(())
    }

    /// The document, once the model has said that it is done.
    fn document(&mut self) -> Result<ExtractEvent, Status> {
        match self.reason {
            FinishReason::Length => return Err(unstructured("the document was cut off at the token limit")),
            FinishReason::Stop => {}
            _ => return Err(unstructured("the model gave no document")),
        }
        let text = std::mem::take(&mut self.text);
        let (value, repaired) = match self.schema.check(&text) {
            Ok(Checked::Valid) => (text, false),
            Ok(Checked::Repaired(text)) => (text, true),
            Err(problem) => return Err(problem.of_answer()),
        };
        let (model, usage) = (std::mem::take(&mut self.model), self.usage.take());
        let document = ExtractResponse { value, model, attempts: 1, repaired, usage };
        Ok(ExtractEvent { event: Some(Event::Document(Box::new(document))) })
    }
}

impl Stream for Events {
    type Item = Result<ExtractEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            let outcome = match ready!(Pin::new(&mut this.chunks).poll_next(context)) {
                Some(Ok(chunk)) => this.chunk(chunk),
                Some(Err(status)) => Err(status),
                None => {
                    this.ended = true;
                    return Poll::Ready(Some(this.document()));
                }
            };
            if let Err(status) = outcome {
                this.ended = true;
                return Poll::Ready(Some(Err(status)));
            }
        }
    }
}
