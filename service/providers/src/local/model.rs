//! A GGUF file as a model that can run: which architectures are accepted, and where their weights are.
//!
//! Anything in the file that this engine would compute wrongly (another architecture, experts, scaled positions) is
//! refused by name: a model that loads and then talks nonsense is worse than one that does not load.

use std::sync::Arc;

use candle_core::Tensor;

use super::{
    attention::AttentionShape,
    error::LoadError,
    gguf::{GgufFile, vector_tensor},
    linear::{Linear, Projection},
    rotary::{Pairing, RotaryTable},
    transformer::{Layer, Transformer},
};

const ARCHITECTURES: &[&str] = &["llama", "qwen2", "qwen3"];

/// Positions that are ever used, whatever the model could do: memory and time grow with them, and the models this
/// engine is for have little to say about longer texts.
pub(crate) const MAX_CONTEXT: usize = 4096;

/// Numbers from the header.
struct Header {
    /// `llama`, `qwen2` or `qwen3`: the prefix of the metadata keys.
    architecture: String,
    layers: usize,
    hidden: usize,
    feed_forward: usize,
    shape: AttentionShape,
    epsilon: f32,
    rotary_base: f32,
    context: usize,
}

/// Reads all weights. Returns the model and the number of positions it can use.
pub(crate) fn load(file: &mut GgufFile) -> Result<(Transformer, usize), LoadError> {
    let header = Header::read(file)?;
    let failed = |file: &GgufFile, error: candle_core::Error| file.malformed(error.to_string());
    let AttentionShape { heads, key_value_heads, head_dim } = header.shape;
    let (query_width, key_width) = (heads * head_dim, key_value_heads * head_dim);

    let rows = file.rows("token_embd.weight")?;
    let embedding = file.matrix("token_embd.weight", rows, header.hidden)?;
    let output = match file.has_tensor("output.weight") {
        true => Some(file.matrix("output.weight", rows, header.hidden)?),
        false => None,
    };
    let build = || -> candle_core::Result<_> {
        Ok(match output {
            Some(output) => (Arc::new(Linear::whole(&embedding)?), Arc::new(Linear::tiled(&output)?)),
            // Without an output matrix of its own, the model shares the embedding's.
            None => {
                let shared = Arc::new(Linear::tiled(&embedding)?);
                (Arc::clone(&shared), shared)
            }
        })
    };
    let (embedding, head) = build().map_err(|error| failed(file, error))?;
    let norm = read_norm(file, "output_norm.weight", header.hidden)?;

    let mut layers = Vec::with_capacity(header.layers);
    for index in 0..header.layers {
        let name = |part: &str| format!("blk.{index}.{part}");
        let queries_keys_values = vec![
            file.matrix(&name("attn_q.weight"), query_width, header.hidden)?,
            file.matrix(&name("attn_k.weight"), key_width, header.hidden)?,
            file.matrix(&name("attn_v.weight"), key_width, header.hidden)?,
        ];
        let bias = if file.has_tensor(&name("attn_q.bias")) {
            let mut bias = file.vector(&name("attn_q.bias"), query_width)?;
            bias.extend(file.vector(&name("attn_k.bias"), key_width)?);
            bias.extend(file.vector(&name("attn_v.bias"), key_width)?);
            Some(vector_tensor(bias).map_err(|error| failed(file, error))?)
        } else {
            None
        };
        let gate_and_up = vec![
            file.matrix(&name("ffn_gate.weight"), header.feed_forward, header.hidden)?,
            file.matrix(&name("ffn_up.weight"), header.feed_forward, header.hidden)?,
        ];
        let attention_output = file.matrix(&name("attn_output.weight"), header.hidden, query_width)?;
        let feed_forward_output = file.matrix(&name("ffn_down.weight"), header.hidden, header.feed_forward)?;
        let (query_norm, key_norm) = if header.architecture == "qwen3" {
            (
                Some(file.vector(&name("attn_q_norm.weight"), head_dim)?),
                Some(file.vector(&name("attn_k_norm.weight"), head_dim)?),
            )
        } else {
            (None, None)
        };
        let attention_norm = read_norm(file, &name("attn_norm.weight"), header.hidden)?;
        let feed_forward_norm = read_norm(file, &name("ffn_norm.weight"), header.hidden)?;
        let build = || -> candle_core::Result<Layer> {
            Ok(Layer {
                attention_norm,
                // Measured: of all products, this one loses most by coarser rounding and gains least in speed.
                attention_input: Projection::new(queries_keys_values, bias, Linear::whole)?,
                query_norm,
                key_norm,
                attention_output: Linear::tiled(&attention_output)?,
                feed_forward_norm,
                feed_forward_input: Projection::new(gate_and_up, None, Linear::tiled)?,
                feed_forward_output: Linear::tiled(&feed_forward_output)?,
            })
        };
        layers.push(build().map_err(|error| failed(file, error))?);
    }
    let factors =
        if file.has_tensor("rope_freqs.weight") { file.vector("rope_freqs.weight", head_dim / 2)? } else { Vec::new() };
    let pairing = if header.architecture == "llama" { Pairing::Neighbours } else { Pairing::Halves };
    let rotary = RotaryTable::new(pairing, head_dim, header.rotary_base, header.context, &factors);
    let Header { shape, epsilon, context, .. } = header;
    Ok((Transformer { embedding, layers, norm, head, rotary, shape, epsilon }, context))
}

impl Header {
    fn read(file: &GgufFile) -> Result<Self, LoadError> {
        let architecture = file.text("general.architecture").unwrap_or_default().to_owned();
        if !ARCHITECTURES.contains(&architecture.as_str()) {
            return Err(file.unsupported("general.architecture", architecture, ARCHITECTURES));
        }
        let key = |name: &str| format!("{architecture}.{name}");
        let experts = file.integer(&key("expert_count")).unwrap_or(0);
        if experts > 1 {
            return Err(file.unsupported("expert_count", experts.to_string(), &["0", "1"]));
        }
        let scaling = file.text(&key("rope.scaling.type")).unwrap_or("none");
        if scaling != "none" {
            return Err(file.unsupported("rope.scaling.type", scaling, &["none"]));
        }
        let hidden = file.required_integer(&key("embedding_length"))?;
        let heads = file.required_integer(&key("attention.head_count"))?;
        let key_value_heads = file.integer(&key("attention.head_count_kv")).unwrap_or(heads);
        let head_dim = match file.integer(&key("attention.key_length")) {
            Some(length) => length,
            None => hidden.checked_div(heads).unwrap_or(0),
        };
        let fits = heads > 0 && key_value_heads > 0 && heads.is_multiple_of(key_value_heads);
        // The bounds keep products of these numbers, which come from an untrusted header, far from overflow.
        let bounded = [hidden, heads, head_dim].iter().all(|number| (1..=1 << 20).contains(number));
        if !fits || !bounded || !head_dim.is_multiple_of(2) {
            let message = format!("{heads} heads over {key_value_heads} of {head_dim} do not fit {hidden} dimensions");
            return Err(file.malformed(message));
        }
        let rotated = file.integer(&key("rope.dimension_count")).unwrap_or(head_dim);
        if rotated != head_dim {
            return Err(file.malformed(format!(
                "only {rotated} of a head's {head_dim} dimensions are rotated, which is not supported"
            )));
        }
        let context = file.required_integer(&key("context_length"))?.min(MAX_CONTEXT);
        if context < 2 {
            return Err(file.malformed("a context of less than two positions"));
        }
        Ok(Self {
            layers: file.required_integer(&key("block_count"))?,
            hidden,
            feed_forward: file.required_integer(&key("feed_forward_length"))?,
            shape: AttentionShape { heads, key_value_heads, head_dim },
            epsilon: file.float(&key("attention.layer_norm_rms_epsilon")).unwrap_or(1e-5),
            rotary_base: file.float(&key("rope.freq_base")).unwrap_or(10_000.0),
            context,
            architecture,
        })
    }
}

fn read_norm(file: &mut GgufFile, name: &str, length: usize) -> Result<Tensor, LoadError> {
    let weight = file.vector(name, length)?;
    vector_tensor(weight).map_err(|error| file.malformed(format!("tensor `{name}`: {error}")))
}
