//! The local model as a whole: open a file, ask for answers.
//!
//! Everything that can be known to be wrong with a request is found here, before the queue: the caller hears of it at
//! once, and the model's time is not spent on it. Knows neither proto messages nor the upstream trait.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tokio::sync::mpsc;

use super::{
    constraint::{ConstraintFactory, Format},
    error::{GenerateError, LoadError},
    generation::{Event, Job},
    gguf::GgufFile,
    model,
    sampler::Sampling,
    template::{ChatTemplate, Message},
    tokenizer::Tokenizer,
    worker::Worker,
};

/// Which model to open, and how.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// The GGUF file.
    pub path: PathBuf,
    /// The model's name; by default made from the file's name (`SmolLM2-135M-Instruct.Q4_1.gguf` is
    /// `smollm2-135m-instruct`).
    pub name: Option<String>,
    /// Requests that may wait while one runs.
    pub queue: usize,
    /// Tokens of an answer when the request sets no limit. Small models like to go on and on.
    pub default_max_tokens: usize,
}

impl LocalOptions {
    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), name: None, queue: 16, default_max_tokens: 512 }
    }
}

/// What there is to know of an open model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The model's id.
    pub name: String,
    /// `general.name` of the file: what its makers call it.
    pub title: String,
    /// `general.architecture` of the file.
    pub architecture: String,
    /// Positions for prompt and answer together.
    pub context_length: usize,
    /// Bytes of the file.
    pub file_size: u64,
    /// Weights.
    pub parameters: u64,
    /// How most weights are stored in the file (`Q4_1`).
    pub quantisation: String,
    /// A hash of the weights and the chat template; not a cryptographic one.
    pub fingerprint: u64,
}

/// A request for an answer.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Tokens to make at most, besides what the context allows; [`LocalOptions::default_max_tokens`] if unset.
    pub max_tokens: Option<usize>,
    /// How to choose among tokens.
    pub sampling: Sampling,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// What the answer must be.
    pub format: Format,
    /// When the answer is of no use any more.
    pub deadline: Option<Instant>,
}

/// A model in this process. Dropping it ends its thread after the current answer.
pub struct Engine {
    facts: Facts,
    default_max_tokens: usize,
    tokenizer: Arc<Tokenizer>,
    template: ChatTemplate,
    constraints: ConstraintFactory,
    longest_token: usize,
    worker: Worker,
}

/// An answer in the making. Dropping it stops the model.
#[derive(Debug)]
pub struct Generation {
    events: mpsc::Receiver<Result<Event, GenerateError>>,
    deadline: Option<Instant>,
}

impl Engine {
    /// Reads the model and starts its thread. Blocks for about a second, so call it where blocking is allowed.
    ///
    /// # Errors
    /// If the file cannot be read, is not GGUF, or is a model that this engine would run wrongly.
    pub fn open(options: LocalOptions) -> Result<Self, LoadError> {
        let mut file = GgufFile::open(&options.path)?;
        let (transformer, context_length) = model::load(&mut file)?;
        // candle lays weights out for its kernels when they are first used. That is now, so that the first request is
        // not slower than others, and memory does not grow later.
        let warm_up = transformer.forward(&mut transformer.session(1), &[0], true, &|| true);
        warm_up.map_err(|error| file.malformed(error.to_string()))?;
        let tokenizer = Arc::new(Tokenizer::from_gguf(&mut file)?);
        let template = ChatTemplate::from_gguf(&file, &tokenizer)?;
        if let Some(source) = file.text("tokenizer.chat_template").map(str::to_owned) {
            file.fingerprint_text(&source);
        }
        let facts = Facts {
            name: options.name.unwrap_or_else(|| name_from_path(&options.path)),
            title: file.text("general.name").unwrap_or_default().to_owned(),
            architecture: file.text("general.architecture").unwrap_or_default().to_owned(),
            context_length,
            file_size: file.size(),
            parameters: file.parameters(),
            quantisation: file.quantisation(),
            fingerprint: file.fingerprint(),
        };
        let constraints = ConstraintFactory::new(Arc::clone(&tokenizer), &file)?;
        // The header holds the whole vocabulary once more.
        drop(file);
        Ok(Self {
            facts,
            default_max_tokens: options.default_max_tokens.max(1),
            longest_token: tokenizer.longest(),
            template,
            constraints,
            worker: Worker::start(transformer, Arc::clone(&tokenizer), options.queue)?,
            tokenizer,
        })
    }

    /// What there is to know of the model.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Tokens in the vocabulary.
    pub fn vocabulary_size(&self) -> usize {
        self.tokenizer.size()
    }

    /// Checks a request and queues it. Takes some milliseconds of computing (the prompt's tokens, the schema's
    /// grammar): call it where blocking is allowed.
    ///
    /// # Errors
    /// If the request is at fault, is too long for the context, or the queue is full.
    pub fn generate(&self, request: Request) -> Result<Generation, GenerateError> {
        if request.messages.is_empty() {
            return Err(GenerateError::invalid("messages", "at least one message is needed"));
        }
        if request.max_tokens == Some(0) {
            return Err(GenerateError::invalid("max_completion_tokens", "at least one token must be allowed"));
        }
        if request.stop.iter().any(String::is_empty) {
            return Err(GenerateError::invalid("stop", "a stop string must not be empty"));
        }
        let prompt = self.encode_prompt(&request.messages)?;
        let room = self.facts.context_length - prompt.len();
        let max_tokens = request.max_tokens.unwrap_or(self.default_max_tokens).min(room);
        let constraint = self.constraints.build(&request.format)?;
        // One event per token, the last text, and the end: a slow reader never makes the model wait.
        let (events, receiver) = mpsc::channel(max_tokens + 2);
        self.worker.submit(Job {
            prompt,
            sampling: request.sampling,
            constraint,
            stop: request.stop,
            max_tokens,
            deadline: request.deadline,
            events,
        })?;
        Ok(Generation { events: receiver, deadline: request.deadline })
    }

    /// The prompt's tokens, if they leave room for an answer.
    fn encode_prompt(&self, messages: &[Message]) -> Result<Vec<u32>, GenerateError> {
        let limit = self.facts.context_length;
        // A text that is too long by any count is refused without being tokenised.
        let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        let at_least = bytes / self.longest_token;
        if at_least >= limit {
            return Err(GenerateError::ContextLength { prompt_tokens: at_least, at_least: true, limit });
        }
        let prompt = self.tokenizer.encode_prompt(&self.template.render(messages, &self.tokenizer)?)?;
        if prompt.is_empty() {
            return Err(GenerateError::invalid("messages", "the conversation is empty"));
        }
        if prompt.len() >= limit {
            return Err(GenerateError::ContextLength { prompt_tokens: prompt.len(), at_least: false, limit });
        }
        Ok(prompt)
    }
}

impl Generation {
    /// The next event. After [`Event::Done`] or an error there is none.
    ///
    /// # Errors
    /// If the generation broke off.
    pub async fn next(&mut self) -> Option<Result<Event, GenerateError>> {
        let Some(deadline) = self.deadline else {
            return self.events.recv().await;
        };
        match tokio::time::timeout_at(deadline.into(), self.events.recv()).await {
            Ok(event) => event,
            // The model may be busy with someone else, and not look at this request's deadline before long.
            Err(_) => {
                self.events.close();
                self.deadline = None;
                Some(Err(GenerateError::DeadlineExceeded))
            }
        }
    }
}

/// `SmolLM2-135M-Instruct.Q4_1.gguf` is `smollm2-135m-instruct`: the file's name without quantisation, as a slug.
fn name_from_path(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let stem = match stem.rfind(['.', '-']) {
        Some(separator) if is_quantisation(&stem[separator + 1..]) => &stem[..separator],
        _ => &stem,
    };
    let mut slug = String::with_capacity(stem.len());
    for character in stem.chars() {
        match character {
            'a'..='z' | '0'..='9' | '.' | '_' => slug.push(character),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "local".to_owned() } else { slug.to_owned() }
}

/// `q4_1`, `q4_k_m`, `iq3_xs`, `f16`, `bf16`, `f32`.
fn is_quantisation(part: &str) -> bool {
    let rest = part.strip_prefix("iq").or_else(|| part.strip_prefix("bf")).or_else(|| part.strip_prefix(['q', 'f']));
    rest.is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
