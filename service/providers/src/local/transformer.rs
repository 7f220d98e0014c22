//! The forward pass of the decoder family that llama, qwen2 and qwen3 belong to.
//!
//! One file for three architectures: they differ in whether queries, keys and values have a bias (qwen2), whether
//! queries and keys are normalised per head (qwen3), and in how rotary positions pair up the numbers of a head. The
//! weights are shared and never change; what a generation remembers lives in its [`Session`]. Knows numbers, no text.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use candle_nn::ops;

use super::{
    attention::{AttentionShape, KeyValueCache, attend},
    linear::{Linear, Projection},
    rotary::RotaryTable,
};

/// All weights of a model.
pub(crate) struct Transformer {
    /// May be the same as `head`.
    pub(crate) embedding: Arc<Linear>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: Tensor,
    pub(crate) head: Arc<Linear>,
    pub(crate) rotary: RotaryTable,
    pub(crate) shape: AttentionShape,
    pub(crate) epsilon: f32,
}

/// The weights of one block.
pub(crate) struct Layer {
    pub(crate) attention_norm: Tensor,
    /// Queries, keys and values in one product.
    pub(crate) attention_input: Projection,
    pub(crate) query_norm: Option<Vec<f32>>,
    pub(crate) key_norm: Option<Vec<f32>>,
    pub(crate) attention_output: Linear,
    pub(crate) feed_forward_norm: Tensor,
    /// Gate and up in one product.
    pub(crate) feed_forward_input: Projection,
    pub(crate) feed_forward_output: Linear,
}

/// The memory of one generation: keys and values of every position so far.
pub(crate) struct Session {
    caches: Vec<KeyValueCache>,
    position: usize,
}

/// What a forward pass came to.
pub(crate) enum Forward {
    /// One score per vocabulary entry for the token after the last one fed; empty if they were not asked for.
    Logits(Vec<f32>),
    /// `proceed` said no; the session is unusable.
    Interrupted,
}

impl Transformer {
    /// A session with room for `positions` before its memory has to grow.
    pub(crate) fn session(&self, positions: usize) -> Session {
        let caches = self.layers.iter().map(|_| KeyValueCache::with_capacity(&self.shape, positions)).collect();
        Session { caches, position: 0 }
    }

    /// Feeds `tokens` after those the session has seen. `proceed` is asked before every layer, so that a caller who
    /// has gone away costs at most one layer of one chunk.
    pub(crate) fn forward(
        &self,
        session: &mut Session,
        tokens: &[u32],
        want_logits: bool,
        proceed: &dyn Fn() -> bool,
    ) -> Result<Forward> {
        let count = tokens.len();
        let mut hidden = self.embedding.rows(&Tensor::new(tokens, &Device::Cpu)?)?;
        for (layer, cache) in self.layers.iter().zip(&mut session.caches) {
            if !proceed() {
                return Ok(Forward::Interrupted);
            }
            let attended = self.attention(layer, cache, session.position, &hidden)?;
            hidden = (hidden + attended)?;
            let normed = ops::rms_norm(&hidden, &layer.feed_forward_norm, self.epsilon)?;
            let gated = ops::swiglu(&layer.feed_forward_input.forward(&normed)?)?;
            hidden = (hidden + layer.feed_forward_output.forward(&gated)?)?;
        }
        session.position += count;
        if !want_logits {
            return Ok(Forward::Logits(Vec::new()));
        }
        let last = hidden.narrow(0, count - 1, 1)?;
        let logits = self.head.forward(&ops::rms_norm(&last, &self.norm, self.epsilon)?)?;
        Ok(Forward::Logits(logits.flatten_all()?.to_vec1()?))
    }

    fn attention(&self, layer: &Layer, cache: &mut KeyValueCache, position: usize, hidden: &Tensor) -> Result<Tensor> {
        let shape = &self.shape;
        let normed = ops::rms_norm(hidden, &layer.attention_norm, self.epsilon)?;
        let projected = layer.attention_input.forward(&normed)?.flatten_all()?.to_vec1::<f32>()?;
        let (query_width, key_width) = (shape.heads * shape.head_dim, shape.key_value_heads * shape.head_dim);
        let row_width = query_width + 2 * key_width;
        let mut queries = Vec::with_capacity(projected.len() / row_width * query_width);
        let mut rotated = vec![0.0; query_width + key_width];
        for (index, row) in projected.chunks_exact(row_width).enumerate() {
            let (queries_and_keys, values) = row.split_at(query_width + key_width);
            rotated.copy_from_slice(queries_and_keys);
            let (query, key) = rotated.split_at_mut(query_width);
            normalise_heads(query, layer.query_norm.as_deref(), self.epsilon);
            normalise_heads(key, layer.key_norm.as_deref(), self.epsilon);
            self.rotary.rotate(&mut rotated, position + index);
            let (query, key) = rotated.split_at(query_width);
            queries.extend_from_slice(query);
            cache.append(key, values);
        }
        layer.attention_output.forward(&attend(shape, queries, cache)?)
    }
}

impl Session {
    /// Positions used so far.
    pub(crate) fn position(&self) -> usize {
        self.position
    }
}

/// Root-mean-square normalisation of each head by itself.
fn normalise_heads(heads: &mut [f32], weight: Option<&[f32]>, epsilon: f32) {
    let Some(weight) = weight else { return };
    for head in heads.chunks_exact_mut(weight.len()) {
        let mean_square = head.iter().map(|value| value * value).sum::<f32>() / weight.len() as f32;
        let scale = (mean_square + epsilon).sqrt().recip();
        for (value, weight) in head.iter_mut().zip(weight) {
            *value *= scale * weight;
        }
    }
}
