//! Holds the model's answer to a JSON grammar while it is made.
//!
//! llguidance says, before each token, which tokens keep the answer valid; all others are excluded from sampling.
//! Syntax is therefore never wrong, whatever the model; sense is the model's own affair. Whitespace between JSON tokens
//! is fixed, which more than halves the tokens of a document. A schema comes from a caller and is not trusted: its size
//! is capped, and every phase of compiling and matching it runs on limited fuel.

use std::sync::Arc;

use llguidance::{
    JsonCompileOptions, Matcher, ParserFactory,
    api::{ParserLimits, StopReason, TopLevelGrammar},
    toktrie::{InferenceCapabilities, TokRxInfo, TokTrie, TokenizerEnv},
};
use serde_json::{Value, json};

use super::{
    error::{GenerateError, LoadError},
    gguf::GgufFile,
    tokenizer::Tokenizer,
};

/// The request field a schema comes from.
const SCHEMA_PARAM: &str = "response_format.json_schema.schema";

/// Bytes of a schema's JSON text.
const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// What the answer must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Format {
    /// Anything.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// A JSON document that the schema, given as JSON text, describes. Properties come in the schema's order.
    JsonSchema(String),
}

/// Makes constraints; holds what is common to all of them: the vocabulary as a prefix tree.
pub(crate) struct ConstraintFactory {
    parsers: ParserFactory,
}

/// The state of one answer's grammar.
pub(crate) struct Constraint {
    matcher: Matcher,
}

impl ConstraintFactory {
    pub(crate) fn new(tokenizer: Arc<Tokenizer>, file: &GgufFile) -> Result<Self, LoadError> {
        let word = |token: u32| {
            let bytes = tokenizer.bytes(token);
            if tokenizer.is_control(token) {
                [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes].concat()
            } else {
                bytes.to_vec()
            }
        };
        let words: Vec<Vec<u8>> = (0..tokenizer.size() as u32).map(word).collect();
        let trie = TokTrie::from(&TokRxInfo::new(tokenizer.size() as u32, tokenizer.end()), &words);
        let environment: llguidance::toktrie::TokEnv = Arc::new(Vocabulary { trie, tokenizer });
        // Forced text is fed to the model in one step, as tokens it would have chosen itself.
        let capabilities = InferenceCapabilities { ff_tokens: true, ..InferenceCapabilities::default() };
        let slices = llguidance::earley::SlicedBiasComputer::json_slices();
        let mut parsers = ParserFactory::new(&environment, capabilities, &slices)
            .map_err(|error| file.malformed(format!("the vocabulary does not make a prefix tree: {error}")))?;
        parsers.quiet();
        *parsers.limits_mut() = ParserLimits {
            // At most the library's defaults, which allow a mask some 15 ms; less where memory is at stake: a lexer
            // state takes one or two kilobytes.
            initial_lexer_fuel: 500_000,
            step_lexer_fuel: 200_000,
            step_max_items: 50_000,
            max_items_in_row: 2_000,
            max_lexer_states: 10_000,
            max_grammar_size: 100_000,
            precompute_large_lexemes: false,
            // Errors are shown to callers and must not hold the model's internals.
            verbose_errors: false,
        };
        Ok(Self { parsers })
    }

    /// The constraint for a format; `None` if anything goes.
    pub(crate) fn build(&self, format: &Format) -> Result<Option<Constraint>, GenerateError> {
        let (schema, param) = match format {
            Format::Text => return Ok(None),
            Format::JsonObject => (json!({ "type": "object" }), "response_format"),
            Format::JsonSchema(text) => (parse_schema(text)?, SCHEMA_PARAM),
        };
        let schema = with_fixed_whitespace(schema)?;
        let refused = |reason: &str| {
            let message = format!("the local model cannot hold its answer to this schema: {}", one_line(reason));
            GenerateError::invalid(param, message)
        };
        let parser = self.parsers.create_parser(TopLevelGrammar::from_json_schema(schema));
        let mut matcher = Matcher::new(parser);
        if let Some(reason) = matcher.get_error() {
            return Err(refused(&reason));
        }
        // Schemas that no document satisfies, and most that need too much fuel, fail at the very first token.
        match matcher.compute_mask_or_eos() {
            Err(_) if matcher.stop_reason() == StopReason::NoExtensionBias => Err(refused("no document satisfies it")),
            Err(error) => Err(refused(&error.to_string())),
            Ok(_) => Ok(Some(Constraint { matcher })),
        }
    }
}

impl Constraint {
    /// Excludes every token that would make the answer invalid.
    pub(crate) fn restrict(&mut self, logits: &mut [f32]) -> Result<(), GenerateError> {
        let allowed = self.matcher.compute_mask_or_eos().map_err(|error| broken(&error.to_string()))?;
        // The mask has one bit per token of the vocabulary; a model may score more entries than there are tokens.
        let (known, padding) = logits.split_at_mut(logits.len().min(allowed.len()));
        padding.fill(f32::NEG_INFINITY);
        allowed.iter_unset_entries(|token| {
            if let Some(logit) = known.get_mut(token) {
                *logit = f32::NEG_INFINITY;
            }
        });
        Ok(())
    }

    /// Takes the chosen token and returns those that must follow it, in order.
    pub(crate) fn accept(&mut self, token: u32) -> Result<Vec<u32>, GenerateError> {
        self.matcher.consume_token(token).map_err(|error| broken(&error.to_string()))?;
        if self.matcher.is_stopped() {
            return Ok(Vec::new());
        }
        Ok(self.matcher.consume_ff_tokens())
    }

    /// True once the answer is complete and nothing may follow.
    pub(crate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }
}

/// The vocabulary as llguidance wants it.
struct Vocabulary {
    trie: TokTrie,
    tokenizer: Arc<Tokenizer>,
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| self.tokenizer.encode_text(text).unwrap_or_default())
    }
}

fn parse_schema(text: &str) -> Result<Value, GenerateError> {
    if text.len() > MAX_SCHEMA_BYTES {
        let message = format!("the schema has {} bytes; the local model takes at most {MAX_SCHEMA_BYTES}", text.len());
        return Err(GenerateError::invalid(SCHEMA_PARAM, message));
    }
    serde_json::from_str(text)
        .map_err(|error| GenerateError::invalid(SCHEMA_PARAM, format!("the schema is not valid JSON: {error}")))
}

/// Sets llguidance's options in the schema, over any that the caller's schema may have tried to set.
fn with_fixed_whitespace(mut schema: Value) -> Result<Value, GenerateError> {
    // A schema may also be `true`: anything goes.
    if schema == Value::Bool(true) {
        schema = json!({});
    }
    if !schema.is_object() {
        return Err(GenerateError::invalid(SCHEMA_PARAM, "the schema must be a JSON object"));
    }
    let options = JsonCompileOptions { whitespace_flexible: false, ..JsonCompileOptions::default() };
    options.apply_to(&mut schema);
    Ok(schema)
}

/// A reason in one line of bearable length.
fn one_line(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    words.join(" ").chars().take(300).collect()
}

/// A grammar that compiled but ran out of fuel, or a fault in the engine; the schema is the likelier cause.
fn broken(reason: &str) -> GenerateError {
    let message = format!("the local model cannot follow this schema any further: {}", one_line(reason));
    GenerateError::invalid(SCHEMA_PARAM, message)
}
