//! A small language model inside the process: works with no key, no network and no GPU.
//!
//! Demo grade, and says so: with the model that comes with the quickstart, answers are fluent and often wrong. What it
//! proves is everything around the model: streaming, cancellation, limits, structured output, usage.
//!
//! [`Engine`] is the model by itself; [`LocalModel`] translates proto messages to it and back. A request takes this
//! path: `request.rs` (proto to [`Request`]), `engine.rs` (refuse or queue), `worker.rs` (one thread), `generation.rs`
//! (prefill, sample, stop), `response.rs` or `stream.rs` (events to proto).
//!
//! # Threads
//! The model's arithmetic runs on candle's own pool, which belongs to the whole process. Its size is read once, from
//! `CANDLE_NUM_THREADS`, else `RAYON_NUM_THREADS`, else the number of physical cores; there is no other way to set it.
//! The threads spin while they wait for each other, so one core less than there are is the better choice on a machine
//! that does other work too. Set the variable where the process is launched.
//!
//! # Models
//! Any GGUF file of architecture `llama`, `qwen2` or `qwen3` with a byte-level BPE vocabulary of a known kind and a
//! chat template. Others are refused by name. Q8_0 and Q4_K_M files run best.
//!
//! For vectors, [`Embedder`] reads the folder of a model in BERT's form (`config.json`, `tokenizer.json`,
//! `model.safetensors`), such as all-MiniLM-L6-v2. [`LocalModels`] puts both behind one name.

// The adapter: proto messages in and out.
mod models;
mod request;
mod response;
mod stream;
mod upstream;

// The engine.
mod engine;
mod error;
mod generation;
mod worker;

// Text in, text out.
mod constraint;
mod detokenizer;
mod sampler;
mod stop;
mod template;
mod tokenizer;

// Numbers.
mod attention;
mod bert;
mod embedder;
mod gguf;
mod linear;
mod model;
mod random;
mod rotary;
mod transformer;

pub mod fixture;

pub use constraint::Format;
pub use embedder::{EmbedError, Embedded, Embedder};
pub use engine::{Engine, Facts, Generation, LocalOptions, Request};
pub use error::{GenerateError, LoadError};
pub use generation::{Event, FinishReason};
pub use models::LocalModels;
pub use sampler::Sampling;
pub use template::Message;
pub use upstream::LocalModel;
