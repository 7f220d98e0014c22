//! Rotary position embedding: turns pairs of numbers in a head by an angle that grows with the position.
//!
//! Pairing differs by architecture. Llama pairs neighbours (0,1), (2,3); qwen pairs halves (0, n/2), (1, n/2+1). GGUF
//! files keep each family's own order, so the wrong choice runs, and talks nonsense.

/// Which numbers of a head belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// (2i, 2i+1)
    Neighbours,
    /// (i, i + n/2)
    Halves,
}

/// Sines and cosines for every position the engine allows.
pub(crate) struct RotaryTable {
    pairing: Pairing,
    head_dim: usize,
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl RotaryTable {
    /// `factors` divide the frequencies (Llama 3's long-context tensor `rope_freqs.weight`); empty means all one.
    pub(crate) fn new(pairing: Pairing, head_dim: usize, base: f32, positions: usize, factors: &[f32]) -> Self {
        let half = head_dim / 2;
        let frequency = |pair: usize| {
            let factor = factors.get(pair).copied().unwrap_or(1.0);
            base.powf(-((2 * pair) as f32) / head_dim as f32) / factor
        };
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        let angles = (0..positions).flat_map(|position| frequencies.iter().map(move |f| position as f32 * f));
        let (cosines, sines) = angles.map(|angle| (angle.cos(), angle.sin())).unzip();
        Self { pairing, head_dim, cosines, sines }
    }

    /// Rotates every head in `heads` to `position`, which must be below the table's length.
    pub(crate) fn rotate(&self, heads: &mut [f32], position: usize) {
        let half = self.head_dim / 2;
        let cosines = &self.cosines[position * half..(position + 1) * half];
        let sines = &self.sines[position * half..(position + 1) * half];
        for head in heads.chunks_exact_mut(self.head_dim) {
            for (pair, (cosine, sine)) in cosines.iter().zip(sines).enumerate() {
                let (first, second) = match self.pairing {
                    Pairing::Neighbours => (2 * pair, 2 * pair + 1),
                    Pairing::Halves => (pair, pair + half),
                };
                let (x, y) = (head[first], head[second]);
                head[first] = x * cosine - y * sine;
                head[second] = x * sine + y * cosine;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_zero_changes_nothing() {
        for pairing in [Pairing::Neighbours, Pairing::Halves] {
            let mut head = [1.0, 2.0, 3.0, 4.0];
            RotaryTable::new(pairing, 4, 10_000.0, 1, &[]).rotate(&mut head, 0);
            assert_eq!(head, [1.0, 2.0, 3.0, 4.0]);
        }
    }

    #[test]
    fn the_two_pairings_turn_different_numbers() {
        // At position 1 the first pair turns by one radian; the second pair's frequency is 1/100.
        let turn = |pairing, pair: (usize, usize)| {
            let mut head = [0.0; 4];
            head[pair.0] = 1.0;
            RotaryTable::new(pairing, 4, 10_000.0, 2, &[]).rotate(&mut head, 1);
            (head[pair.0], head[pair.1])
        };
        for (pairing, pair) in [(Pairing::Neighbours, (0, 1)), (Pairing::Halves, (0, 2))] {
            let (x, y) = turn(pairing, pair);
            assert!((x - 1f32.cos()).abs() < 1e-6 && (y - 1f32.sin()).abs() < 1e-6, "{pairing:?}: {x} {y}");
        }
    }

    #[test]
    fn factors_slow_a_frequency_down() {
        let mut head = [1.0, 0.0];
        RotaryTable::new(Pairing::Neighbours, 2, 10_000.0, 9, &[8.0]).rotate(&mut head, 8);
        assert!((head[0] - 1f32.cos()).abs() < 1e-5);
    }
}
