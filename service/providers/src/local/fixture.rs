//! A model for tests: a hundred kilobytes of random weights in a complete GGUF file.
//!
//! It goes through every line that a real model goes through, tokenizer, template, rewriting of Q4_1 weights, grammar
//! and all, at some thousands of tokens a second. It speaks noise. Written byte by byte from the GGUF specification
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>), so that the reader is not tested by its own writer.

use super::{random::Random, tokenizer::printable};

/// The token that ends the fixture's turns, `<|im_end|>`. A `logit_bias` of -100 on it makes an answer as long as
/// `max_tokens` allows. (SmolLM2's has the same number.)
pub const END_OF_TURN: u32 = 2;

/// Positions of the fixture's context.
pub const CONTEXT_LENGTH: usize = 2048;

const LAYERS: u32 = 2;
const HIDDEN: u32 = 64;
const FEED_FORWARD: u32 = 128;
const HEADS: u32 = 4;
const KEY_VALUE_HEADS: u32 = 2;

const CONTROL_TOKENS: [&str; 3] = ["<|padding|>", "<|im_start|>", "<|im_end|>"];
const MERGES: [(&str, &str); 3] = [("t", "h"), ("i", "n"), ("e", "r")];
const CHAT_TEMPLATE: &str = "{% for message in messages %}\
    {{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// The bytes of a GGUF file with a tiny model of architecture `llama`. The same seed gives the same bytes, everywhere.
///
/// Write them to a file named, say, `tiny.gguf`, point `SABIR_LOCAL__MODEL` at it, and a server starts within
/// milliseconds with a model called `tiny`.
pub fn tiny_gguf(seed: u64) -> Vec<u8> {
    gguf(seed, &[])
}

/// As [`tiny_gguf`], with some string values of the metadata replaced.
pub(crate) fn gguf(seed: u64, replaced: &[(&str, &str)]) -> Vec<u8> {
    let mut random = Random::seeded(seed);
    let mut metadata = Metadata::default();
    let text = |metadata: &mut Metadata, key: &str, value: &str| {
        let value = replaced.iter().find(|(name, _)| *name == key).map_or(value, |(_, value)| value);
        metadata.text(key, value);
    };
    text(&mut metadata, "general.architecture", "llama");
    text(&mut metadata, "general.name", "Tiny random model");
    text(&mut metadata, "tokenizer.ggml.model", "gpt2");
    text(&mut metadata, "tokenizer.ggml.pre", "smollm");
    text(&mut metadata, "tokenizer.chat_template", CHAT_TEMPLATE);
    metadata.number("llama.block_count", LAYERS);
    metadata.number("llama.context_length", CONTEXT_LENGTH as u32);
    metadata.number("llama.embedding_length", HIDDEN);
    metadata.number("llama.feed_forward_length", FEED_FORWARD);
    metadata.number("llama.attention.head_count", HEADS);
    metadata.number("llama.attention.head_count_kv", KEY_VALUE_HEADS);
    metadata.float("llama.attention.layer_norm_rms_epsilon", 1e-5);
    metadata.number("tokenizer.ggml.bos_token_id", 1);
    metadata.number("tokenizer.ggml.eos_token_id", END_OF_TURN);

    let mut tokens: Vec<String> = CONTROL_TOKENS.iter().map(|name| (*name).to_owned()).collect();
    tokens.extend((0..=u8::MAX).map(|byte| printable(byte).to_string()));
    tokens.extend(MERGES.iter().map(|(left, right)| format!("{left}{right}")));
    let kinds: Vec<u32> = (0..tokens.len()).map(|token| if token < CONTROL_TOKENS.len() { 3 } else { 1 }).collect();
    let merges: Vec<String> = MERGES.iter().map(|(left, right)| format!("{left} {right}")).collect();
    metadata.texts("tokenizer.ggml.tokens", &tokens);
    metadata.numbers("tokenizer.ggml.token_type", &kinds);
    metadata.texts("tokenizer.ggml.merges", &merges);

    let mut tensors = Tensors::default();
    let key_width = HIDDEN / HEADS * KEY_VALUE_HEADS;
    tensors.q8_0("token_embd.weight", tokens.len() as u32, HIDDEN, &mut random);
    tensors.ones("output_norm.weight", HIDDEN);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        tensors.ones(&name("attn_norm"), HIDDEN);
        tensors.q4_1(&name("attn_q"), HIDDEN, HIDDEN, &mut random);
        tensors.q4_1(&name("attn_k"), key_width, HIDDEN, &mut random);
        tensors.q4_1(&name("attn_v"), key_width, HIDDEN, &mut random);
        tensors.q4_1(&name("attn_output"), HIDDEN, HIDDEN, &mut random);
        tensors.ones(&name("ffn_norm"), HIDDEN);
        tensors.q4_1(&name("ffn_gate"), FEED_FORWARD, HIDDEN, &mut random);
        tensors.q4_1(&name("ffn_up"), FEED_FORWARD, HIDDEN, &mut random);
        tensors.q4_1(&name("ffn_down"), HIDDEN, FEED_FORWARD, &mut random);
    }

    let mut file = b"GGUF".to_vec();
    file.extend(3u32.to_le_bytes());
    file.extend(tensors.count.to_le_bytes());
    file.extend(metadata.count.to_le_bytes());
    file.extend(metadata.bytes);
    file.extend(tensors.directory);
    pad(&mut file);
    file.extend(tensors.data);
    file
}

/// The key-value part of the file.
#[derive(Default)]
struct Metadata {
    count: u64,
    bytes: Vec<u8>,
}

impl Metadata {
    fn key(&mut self, key: &str, kind: u32) {
        self.count += 1;
        append_text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn number(&mut self, key: &str, value: u32) {
        self.key(key, 4);
        self.bytes.extend(value.to_le_bytes());
    }

    fn float(&mut self, key: &str, value: f32) {
        self.key(key, 6);
        self.bytes.extend(value.to_le_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key, 8);
        append_text(&mut self.bytes, value);
    }

    fn array(&mut self, key: &str, kind: u32, length: usize) {
        self.key(key, 9);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((length as u64).to_le_bytes());
    }

    fn numbers(&mut self, key: &str, values: &[u32]) {
        self.array(key, 4, values.len());
        self.bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn texts(&mut self, key: &str, values: &[String]) {
        self.array(key, 8, values.len());
        for value in values {
            append_text(&mut self.bytes, value);
        }
    }
}

/// The tensor part of the file: what there is and where, and the weights.
#[derive(Default)]
struct Tensors {
    count: u64,
    directory: Vec<u8>,
    data: Vec<u8>,
}

impl Tensors {
    /// `kind` is ggml's number of the type. GGUF lists dimensions from the innermost outwards.
    fn entry(&mut self, name: &str, dimensions: &[u32], kind: u32) {
        pad(&mut self.data);
        self.count += 1;
        append_text(&mut self.directory, name);
        self.directory.extend((dimensions.len() as u32).to_le_bytes());
        self.directory.extend(dimensions.iter().flat_map(|dimension| u64::from(*dimension).to_le_bytes()));
        self.directory.extend(kind.to_le_bytes());
        self.directory.extend((self.data.len() as u64).to_le_bytes());
    }

    fn ones(&mut self, name: &str, length: u32) {
        self.entry(name, &[length], 0);
        self.data.extend((0..length).flat_map(|_| 1f32.to_le_bytes()));
    }

    /// Blocks of 32 weights: a 16-bit scale (here 2^-9) and 32 bytes.
    fn q8_0(&mut self, name: &str, rows: u32, columns: u32, random: &mut Random) {
        self.entry(name, &[columns, rows], 8);
        for _ in 0..rows * columns / 32 {
            self.data.extend(0x1800u16.to_le_bytes());
            self.noise(4, random);
        }
    }

    /// Blocks of 32 weights: a 16-bit scale (here 2^-5), a 16-bit minimum (here -7.5 times that) and 32 half bytes.
    fn q4_1(&mut self, name: &str, rows: u32, columns: u32, random: &mut Random) {
        self.entry(name, &[columns, rows], 3);
        for _ in 0..rows * columns / 32 {
            self.data.extend(0x2800u16.to_le_bytes());
            self.data.extend(0xb380u16.to_le_bytes());
            self.noise(2, random);
        }
    }

    fn noise(&mut self, words: usize, random: &mut Random) {
        for _ in 0..words {
            self.data.extend(random.next().to_le_bytes());
        }
    }
}

fn append_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// Fills up to GGUF's default alignment of 32 bytes.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(32), 0);
}
