//! A model that turns texts into vectors: BERT with its outputs averaged and made length 1, as `sentence-transformers` does.
//!
//! Source: Reimers and Gurevych, "Sentence-BERT", 2019; <https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2>.

use std::fs;
use std::io;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use tokenizers::Tokenizer;

use super::bert::{Bert, Shape, Tensors};
use super::error::LoadError;

/// How many texts go through the model at once.
const BATCH: usize = 16;

/// How many tokens a text may have if the model's folder does not say.
const USUAL_LIMIT: usize = 512;

/// A model that is ready.
pub struct Embedder {
    bert: Bert,
    tokenizer: Tokenizer,
    name: String,
    limit: usize,
    dimensions: usize,
}

/// Texts as vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// A vector of length 1 for each text.
    pub vectors: Vec<Vec<f32>>,
    /// How many tokens the texts have together.
    pub tokens: usize,
}

/// Why texts could not be turned into vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// A text is longer than the model reads.
    #[error("the text has {tokens} tokens, but the model reads {limit} at most")]
    TooLong {
        /// Its place among the texts.
        index: usize,
        /// Its tokens.
        tokens: usize,
        /// The most that the model reads.
        limit: usize,
    },
    /// The model failed.
    #[error("the model failed: {0}")]
    Internal(String),
}

#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: usize,
}

impl Embedder {
    /// Reads a model from its folder: `config.json`, `tokenizer.json` and `model.safetensors`. Blocks for a moment.
    ///
    /// # Errors
    /// Files that cannot be read, or are no such model.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        let path = |name: &str| folder.join(name);
        let shape: Shape = json(&path("config.json"))?;
        if shape.hidden_act != "gelu" {
            return Err(malformed(&path("config.json"), format!("hidden_act is {}, not gelu", shape.hidden_act)));
        }
        let weights = path("model.safetensors");
        let tensors = candle_core::safetensors::load(&weights, &Device::Cpu);
        let tensors = tensors.map_err(|error| malformed(&weights, error.to_string()))?;
        let bert = Bert::new(Tensors(tensors), &shape).map_err(|error| malformed(&weights, error.to_string()))?;
        let words = path("tokenizer.json");
        let mut tokenizer =
            Tokenizer::from_bytes(read(&words)?).map_err(|error| malformed(&words, error.to_string()))?;
        // What is too long is refused; cutting it in silence would make vectors of something else.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| malformed(&words, error.to_string()))?;
        let own = path("sentence_bert_config.json");
        let own = if own.is_file() { Some(json::<SentenceConfig>(&own)?.max_seq_length) } else { None };
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
        let limit = own.unwrap_or(USUAL_LIMIT).min(shape.max_position_embeddings);
        Ok(Self { bert, tokenizer, name, limit, dimensions: shape.hidden_size })
    }

    /// The model's name: that of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many numbers a vector has.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// How many tokens a text may have.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Turns texts into vectors. Keeps the processor busy: not for the runtime's threads.
    ///
    /// # Errors
    /// A text that is too long.
    pub fn embed(&self, texts: &[&str]) -> Result<Embedded, EmbedError> {
        let internal = |error: String| EmbedError::Internal(error);
        let encoded = self.tokenizer.encode_batch(texts.to_vec(), true).map_err(|error| internal(error.to_string()))?;
        let ids: Vec<&[u32]> = encoded.iter().map(|encoding| encoding.get_ids()).collect();
        if let Some(index) = ids.iter().position(|ids| ids.len() > self.limit) {
            return Err(EmbedError::TooLong { index, tokens: ids[index].len(), limit: self.limit });
        }
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in ids.chunks(BATCH) {
            vectors.extend(self.forward(batch).map_err(|error| internal(error.to_string()))?);
        }
        Ok(Embedded { vectors, tokens: ids.iter().map(|ids| ids.len()).sum() })
    }

    fn forward(&self, batch: &[&[u32]]) -> candle_core::Result<Vec<Vec<f32>>> {
        let length = batch.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let padded = |ids: &&[u32], value: &dyn Fn(u32) -> u32| -> Vec<u32> {
            ids.iter().map(|id| value(*id)).chain(std::iter::repeat_n(0, length - ids.len())).collect()
        };
        let rows = |value: &dyn Fn(u32) -> u32| {
            let all: Vec<u32> = batch.iter().flat_map(|ids| padded(ids, value)).collect();
            Tensor::from_vec(all, (batch.len(), length), &Device::Cpu)
        };
        let (ids, mask) = (rows(&|id| id)?, rows(&|_| 1)?);
        let hidden = self.bert.forward(&ids, &mask)?;
        let weights = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
        let sums = hidden.broadcast_mul(&weights)?.sum(1)?;
        // The average's length does not matter: it is made 1.
        let lengths = sums.sqr()?.sum_keepdim(1)?.sqrt()?;
        sums.broadcast_div(&lengths)?.to_vec2()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    fs::read(path).map_err(|source: io::Error| LoadError::Read { path: path.to_owned(), source })
}

fn json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, LoadError> {
    serde_json::from_slice(&read(path)?).map_err(|error| malformed(path, error.to_string()))
}

fn malformed(path: &Path, message: String) -> LoadError {
    LoadError::Malformed { path: path.to_owned(), message }
}
