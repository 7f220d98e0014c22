//! Attention over the keys and values of a session.
//!
//! Keys and values lie side by side per position, in one growing buffer: a decode step appends a few hundred numbers
//! and reads the rest where it is, so its cost does not include copying the past.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::{attention::cpu_flash::causal::causal_decode_f32_interleaved, ops};

/// How many heads there are and how wide they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    pub(crate) heads: usize,
    /// Each of these serves `heads / key_value_heads` query heads.
    pub(crate) key_value_heads: usize,
    pub(crate) head_dim: usize,
}

/// Keys and values of one layer: per position and head, `head_dim` numbers of key, then as many of value.
pub(crate) struct KeyValueCache {
    numbers: Vec<f32>,
    positions: usize,
    head_dim: usize,
}

impl KeyValueCache {
    pub(crate) fn with_capacity(shape: &AttentionShape, positions: usize) -> Self {
        let numbers = Vec::with_capacity(positions * shape.key_value_heads * 2 * shape.head_dim);
        Self { numbers, positions: 0, head_dim: shape.head_dim }
    }

    /// Adds one position.
    pub(crate) fn append(&mut self, keys: &[f32], values: &[f32]) {
        for (key, value) in keys.chunks_exact(self.head_dim).zip(values.chunks_exact(self.head_dim)) {
            self.numbers.extend_from_slice(key);
            self.numbers.extend_from_slice(value);
        }
        self.positions += 1;
    }
}

/// Attends from the last positions of the cache (one row of `queries` each) to everything up to themselves.
pub(crate) fn attend(shape: &AttentionShape, queries: Vec<f32>, cache: &KeyValueCache) -> Result<Tensor> {
    let AttentionShape { heads, key_value_heads, head_dim } = *shape;
    let width = heads * head_dim;
    let scale = (head_dim as f32).sqrt().recip();
    if queries.len() == width {
        let (positions, numbers) = (cache.positions, &cache.numbers);
        return causal_decode_f32_interleaved(&queries, numbers, heads, key_value_heads, head_dim, positions, scale)?
            .reshape((1, width));
    }
    let (rows, positions, group) = (queries.len() / width, cache.positions, heads / key_value_heads);
    let cached = Tensor::from_slice(&cache.numbers, (positions, key_value_heads, 2 * head_dim), &Device::Cpu)?;
    let cached = cached.transpose(0, 1)?;
    let keys = cached.narrow(D::Minus1, 0, head_dim)?.contiguous()?;
    let values = cached.narrow(D::Minus1, head_dim, head_dim)?.contiguous()?;
    // Query heads that share a key head become further rows of one product, instead of the keys being repeated.
    let queries = (Tensor::from_vec(queries, (rows, key_value_heads, group, head_dim), &Device::Cpu)?
        * f64::from(scale))?
    .permute((1, 2, 0, 3))?
    .contiguous()?
    .reshape((key_value_heads, group * rows, head_dim))?;
    let scores = queries.matmul(&keys.t()?)?.reshape((key_value_heads, group, rows, positions))?;
    let weights = ops::softmax_last_dim(&scores.broadcast_add(&causal_mask(rows, positions)?)?)?;
    let attended = weights.reshape((key_value_heads, group * rows, positions))?.matmul(&values)?;
    attended
        .reshape((key_value_heads, group, rows, head_dim))?
        .permute((2, 0, 1, 3))?
        .contiguous()?
        .reshape((rows, width))
}

/// Zero where row `r` (position `positions - rows + r`) may look, minus infinity where it may not.
fn causal_mask(rows: usize, positions: usize) -> Result<Tensor> {
    let past = positions - rows;
    let entries = (0..rows).flat_map(|row| {
        (0..positions).map(move |position| if position <= past + row { 0.0 } else { f32::NEG_INFINITY })
    });
    Tensor::from_vec(entries.collect::<Vec<f32>>(), (1, 1, rows, positions), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_attends_exactly_as_its_tokens_one_by_one() {
        let shape = AttentionShape { heads: 4, key_value_heads: 2, head_dim: 8 };
        let number = |index: usize| ((index * 7919 % 101) as f32 - 50.0) / 25.0;
        let row = |start: usize, width: usize| (start..start + width).map(number).collect::<Vec<_>>();
        let (mut one_by_one, mut chunked) =
            (KeyValueCache::with_capacity(&shape, 5), KeyValueCache::with_capacity(&shape, 5));
        let mut expected = Vec::new();
        let mut queries = Vec::new();
        for position in 0..5 {
            let (key, value, query) = (row(position * 16, 16), row(position * 31, 16), row(position * 53, 32));
            one_by_one.append(&key, &value);
            chunked.append(&key, &value);
            let attended = attend(&shape, query.clone(), &one_by_one).unwrap();
            if position >= 2 {
                expected.extend(attended.flatten_all().unwrap().to_vec1::<f32>().unwrap());
                queries.extend(query);
            }
        }
        let actual = attend(&shape, queries, &chunked).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (actual, expected) in actual.iter().zip(&expected) {
            assert!((actual - expected).abs() < 1e-4, "{actual} {expected}");
        }
    }
}
