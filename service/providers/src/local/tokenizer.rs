//! Text to tokens, and tokens to bytes, from the vocabulary inside a GGUF file.
//!
//! Splitting text before the merges is not described in the file, only named (`tokenizer.ggml.pre`). A wrong split
//! gives valid but different tokens, and a model that is quietly worse; hence a list of names known to be right, and a
//! refusal for any other. Special tokens are looked for in rendered prompts only outside what users wrote: see
//! [`Tokenizer::protect`].

use std::borrow::Cow;

use tokenizers::{
    Tokenizer as Pipeline,
    models::bpe::BPE,
    normalizers::unicode::NFC,
    pre_tokenizers::{
        PreTokenizerWrapper, byte_level::ByteLevel, digits::Digits, sequence::Sequence, split::Split,
        split::SplitPattern,
    },
    tokenizer::SplitDelimiterBehavior,
};

use super::{
    error::{GenerateError, LoadError},
    gguf::GgufFile,
};

const TOKENIZER_MODELS: &[&str] = &["gpt2"];
const PRE_TOKENIZERS: &[&str] = &["smollm", "gpt-2", "qwen2", "llama-bpe", "llama3"];

/// The published split patterns of Qwen2 and Llama 3; they differ in how many digits make one piece.
const QWEN2_SPLIT: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const LLAMA3_SPLIT: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Token kinds, from llama.cpp's `llama_token_type`.
const CONTROL: usize = 3;
const USER_DEFINED: usize = 4;

/// Names under which models keep further tokens that end a turn, besides `eos_token_id`.
const TURN_ENDS: &[&str] = &["<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>"];

/// A noncharacter, so no text can need it: breaks up what looks like a special token in a user's text.
const BREAKER: char = '\u{FDD0}';

/// The vocabulary and the rules to apply it.
pub(crate) struct Tokenizer {
    pipeline: Pipeline,
    /// What each token stands for, one after the other, with `ends[id]` the end of token `id`.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    control: Vec<bool>,
    /// Tokens that are recognised by their name in a rendered prompt, longest name first.
    special: Vec<(String, u32)>,
    end_of_generation: Vec<u32>,
    beginning: Option<u32>,
    end: u32,
    add_beginning: bool,
}

impl Tokenizer {
    /// Takes the vocabulary out of the file.
    pub(crate) fn from_gguf(file: &mut GgufFile) -> Result<Self, LoadError> {
        let model = file.text("tokenizer.ggml.model").unwrap_or_default();
        if !TOKENIZER_MODELS.contains(&model) {
            return Err(file.unsupported("tokenizer.ggml.model", model, TOKENIZER_MODELS));
        }
        let pre = file.text("tokenizer.ggml.pre").unwrap_or_default().to_owned();
        let Some(pre_tokenizer) = pre_tokenizer(&pre) else {
            return Err(file.unsupported("tokenizer.ggml.pre", pre, PRE_TOKENIZERS));
        };
        let names = file.take_texts("tokenizer.ggml.tokens")?;
        let merges = file.take_texts("tokenizer.ggml.merges")?;
        let kinds = file.integers("tokenizer.ggml.token_type");
        let kind = |id: usize| kinds.get(id).copied().unwrap_or(1);

        let split = |merge: &String| merge.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()));
        let Some(merges) = merges.iter().map(split).collect::<Option<Vec<_>>>() else {
            return Err(file.malformed("`tokenizer.ggml.merges` holds an entry that is not two tokens"));
        };
        // Control tokens stay out of the merge vocabulary: no text of a user can turn into one.
        let words = names.iter().zip(0..).filter(|(_, id)| kind(*id as usize) != CONTROL);
        let words = words.map(|(name, id)| (name.clone(), id)).collect::<tokenizers::models::bpe::Vocab>();
        let bpe = BPE::builder()
            .vocab_and_merges(words, merges)
            .ignore_merges(matches!(pre.as_str(), "llama-bpe" | "llama3"))
            // The cache is kept per thread, and prompts are read on a pool of many threads.
            .cache_capacity(0)
            .build()
            .map_err(|error| file.malformed(format!("the vocabulary does not fit together: {error}")))?;
        let mut pipeline = Pipeline::new(bpe);
        pipeline.with_pre_tokenizer(Some(pre_tokenizer));
        if pre == "qwen2" {
            pipeline
                .with_normalizer(Some(NFC))
                .map_err(|error| file.malformed(format!("the vocabulary cannot be normalised: {error}")))?;
        }

        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(names.len()));
        for (id, name) in names.iter().enumerate() {
            match kind(id) {
                CONTROL | USER_DEFINED => bytes.extend_from_slice(name.as_bytes()),
                _ => bytes.extend(name.chars().flat_map(original_bytes)),
            }
            ends.push(bytes.len());
        }
        let id_of = |key: &str| file.integer(key).filter(|id| *id < names.len()).map(|id| id as u32);
        let Some(end) = id_of("tokenizer.ggml.eos_token_id") else {
            return Err(file.malformed("`tokenizer.ggml.eos_token_id` is missing or not in the vocabulary"));
        };
        let mut end_of_generation = vec![end];
        end_of_generation.extend(id_of("tokenizer.ggml.eot_token_id"));
        let mut special = Vec::new();
        for (name, id) in names.iter().zip(0..) {
            let kind = kind(id as usize);
            if matches!(kind, CONTROL | USER_DEFINED) && !name.is_empty() {
                special.push((name.clone(), id));
            }
            if kind == CONTROL && TURN_ENDS.contains(&name.as_str()) {
                end_of_generation.push(id);
            }
        }
        special.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Ok(Self {
            pipeline,
            bytes,
            ends,
            control: (0..names.len()).map(|id| kind(id) == CONTROL).collect(),
            special,
            end_of_generation,
            beginning: id_of("tokenizer.ggml.bos_token_id"),
            end,
            add_beginning: file.flag("tokenizer.ggml.add_bos_token").unwrap_or(false),
        })
    }

    /// Tokens in the vocabulary.
    pub(crate) fn size(&self) -> usize {
        self.ends.len()
    }

    /// The bytes a token stands for; for a control token, its name.
    pub(crate) fn bytes(&self, token: u32) -> &[u8] {
        let Some(end) = self.ends.get(token as usize) else { return &[] };
        let start = (token as usize).checked_sub(1).map_or(0, |previous| self.ends[previous]);
        &self.bytes[start..*end]
    }

    /// True if the token steers the model and is no part of its text.
    pub(crate) fn is_control(&self, token: u32) -> bool {
        self.control.get(token as usize).copied().unwrap_or(true)
    }

    /// True if the model ends its turn with this token.
    pub(crate) fn ends_generation(&self, token: u32) -> bool {
        self.end_of_generation.contains(&token)
    }

    /// The token that ends a text.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }

    /// Names of the beginning and end tokens, as chat templates want them.
    pub(crate) fn boundary_names(&self) -> (String, String) {
        let name = |token| String::from_utf8_lossy(self.bytes(token)).into_owned();
        (self.beginning.map(name).unwrap_or_default(), name(self.end))
    }

    /// The most bytes that one token stands for; so a text of `n` bytes has at least `n` divided by this many tokens.
    pub(crate) fn longest(&self) -> usize {
        (0..self.size() as u32).map(|token| self.bytes(token).len()).max().unwrap_or(1).max(1)
    }

    /// The tokens of plain text; names of special tokens in it are only letters.
    pub(crate) fn encode_text(&self, text: &str) -> Result<Vec<u32>, GenerateError> {
        let encoding = self.pipeline.encode_fast(text, false);
        let encoding = encoding.map_err(|error| GenerateError::Internal(format!("cannot tokenise: {error}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The tokens of a rendered chat template, in which users' texts have been through [`Self::protect`].
    pub(crate) fn encode_prompt(&self, prompt: &str) -> Result<Vec<u32>, GenerateError> {
        let mut tokens = Vec::new();
        let mut plain_start = 0;
        let mut position = 0;
        while position < prompt.len() {
            let rest = &prompt.as_bytes()[position..];
            let found = self.special.iter().find(|(name, _)| rest.starts_with(name.as_bytes()));
            let Some((name, id)) = found else {
                position += 1;
                continue;
            };
            self.encode_plain_into(&prompt[plain_start..position], &mut tokens)?;
            tokens.push(*id);
            position += name.len();
            plain_start = position;
        }
        self.encode_plain_into(&prompt[plain_start..], &mut tokens)?;
        if let Some(beginning) =
            self.beginning.filter(|beginning| self.add_beginning && tokens.first() != Some(beginning))
        {
            tokens.insert(0, beginning);
        }
        Ok(tokens)
    }

    /// Breaks up the names of control tokens in a user's text, so that nobody can end their turn and speak as another
    /// role. [`Self::encode_prompt`] removes the breakers again: the model reads the text as it was written.
    pub(crate) fn protect<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let names = self.special.iter().filter(|(_, id)| self.is_control(*id)).map(|(name, _)| name);
        let mut protected = Cow::Borrowed(text);
        if protected.contains(BREAKER) {
            protected = Cow::Owned(protected.replace(BREAKER, "\u{FFFD}"));
        }
        for name in names {
            if protected.contains(name.as_str()) {
                let mut characters = name.chars();
                let first = characters.next().unwrap_or_default();
                let broken = format!("{first}{BREAKER}{}", characters.as_str());
                protected = Cow::Owned(protected.replace(name.as_str(), &broken));
            }
        }
        protected
    }

    fn encode_plain_into(&self, text: &str, tokens: &mut Vec<u32>) -> Result<(), GenerateError> {
        if text.is_empty() {
            return Ok(());
        }
        let text = if text.contains(BREAKER) { Cow::Owned(text.replace(BREAKER, "")) } else { Cow::Borrowed(text) };
        tokens.extend(self.encode_text(&text)?);
        Ok(())
    }
}

/// How text is cut before the merges, for each accepted name.
fn pre_tokenizer(name: &str) -> Option<PreTokenizerWrapper> {
    let split = |pattern: &str| {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).ok()?;
        Some(Sequence::new(vec![split.into(), ByteLevel::new(false, false, false).into()]).into())
    };
    match name {
        // No prefix space: with one, the first token and the token after every special token change.
        "gpt-2" => Some(ByteLevel::new(false, true, true).into()),
        "smollm" => {
            Some(Sequence::new(vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()]).into())
        }
        "qwen2" => split(QWEN2_SPLIT),
        "llama-bpe" | "llama3" => split(LLAMA3_SPLIT),
        _ => None,
    }
}

/// Undoes GPT-2's spelling of bytes as printable characters. A character outside that alphabet stands for itself.
fn original_bytes(character: char) -> impl Iterator<Item = u8> {
    let code = u32::from(character);
    let byte = match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => Some(code as u8),
        // The unprintable bytes 0..=32, 127..=160 and 173 follow one another from U+0100 on.
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    };
    let mut buffer = [0; 4];
    let length = match byte {
        Some(byte) => {
            buffer[0] = byte;
            1
        }
        None => character.encode_utf8(&mut buffer).len(),
    };
    buffer.into_iter().take(length)
}

/// GPT-2's spelling of a byte: the other direction, for writing a vocabulary.
pub(crate) fn printable(byte: u8) -> char {
    let code = u32::from(byte);
    let spelled = match byte {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0..=0x20 => code + 0x100,
        0x7f..=0xa0 => code - 0x7f + 0x121,
        0xad => 0x143,
    };
    char::from_u32(spelled).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests;
