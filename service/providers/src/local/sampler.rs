//! Chooses the next token from the scores of all.
//!
//! Deterministic for a given seed. Works on the scores in place and sorts only tokens that can be in the nucleus.

use std::collections::HashMap;

use super::random::Random;

/// Tokens of the answer that the repetition penalty looks back on.
const REPETITION_WINDOW: usize = 64;

/// How to choose.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 always takes the best token; 1 follows the model's own odds; above that it gets wilder.
    pub temperature: f32,
    /// Only the most likely tokens that together have this share of the odds are drawn from.
    pub top_p: f32,
    /// Same seed and request, same answer. `None` draws a seed.
    pub seed: Option<u64>,
    /// Subtracted from a token's score for every time it is in the answer.
    pub frequency_penalty: f32,
    /// Subtracted once from a token's score if it is in the answer.
    pub presence_penalty: f32,
    /// Divides the score of tokens among the last 64 of the answer; 1 is off.
    pub repetition_penalty: f32,
    /// Added to the scores of these tokens.
    pub logit_bias: Vec<(u32, f32)>,
}

impl Default for Sampling {
    /// What suits a very small model: close to its best guess, and unwilling to go round in circles.
    fn default() -> Self {
        Self {
            temperature: 0.2,
            top_p: 0.9,
            seed: None,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            repetition_penalty: 1.1,
            logit_bias: Vec::new(),
        }
    }
}

/// The state of one answer's sampling.
pub(crate) struct Sampler {
    sampling: Sampling,
    random: Random,
    recent: Vec<u32>,
    counts: HashMap<u32, u32>,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling) -> Self {
        let random = sampling.seed.map_or_else(Random::unseeded, Random::seeded);
        Self { sampling, random, recent: Vec::new(), counts: HashMap::new() }
    }

    /// Chooses among the tokens whose score is not minus infinity. Changes the scores.
    pub(crate) fn choose(&mut self, logits: &mut [f32]) -> Option<u32> {
        self.penalise(logits);
        if self.sampling.temperature <= 0.0 {
            return best(logits);
        }
        let (best, highest) = (best(logits)?, logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let inverse = self.sampling.temperature.recip();
        let mut total = 0.0f64;
        for logit in logits.iter_mut() {
            *logit = ((*logit - highest) * inverse).exp();
            total += f64::from(*logit);
        }
        let weights = logits;
        let drawn = if self.sampling.top_p < 1.0 {
            self.draw_from_nucleus(weights, total)
        } else {
            let target = self.random.unit() * total;
            draw(weights.iter().copied().zip(0..), target)
        };
        Some(drawn.unwrap_or(best))
    }

    /// Remembers a token of the answer.
    pub(crate) fn accept(&mut self, token: u32) {
        if self.recent.len() == REPETITION_WINDOW {
            self.recent.remove(0);
        }
        self.recent.push(token);
        *self.counts.entry(token).or_default() += 1;
    }

    fn penalise(&self, logits: &mut [f32]) {
        let Sampling { frequency_penalty, presence_penalty, repetition_penalty, logit_bias, .. } = &self.sampling;
        for (index, token) in self.recent.iter().enumerate() {
            let seen = self.recent[..index].contains(token);
            if let Some(logit) = logits.get_mut(*token as usize).filter(|_| !seen) {
                *logit = if *logit > 0.0 { *logit / repetition_penalty } else { *logit * repetition_penalty };
            }
        }
        if *frequency_penalty != 0.0 || *presence_penalty != 0.0 {
            for (token, count) in &self.counts {
                if let Some(logit) = logits.get_mut(*token as usize) {
                    *logit -= frequency_penalty * *count as f32 + presence_penalty;
                }
            }
        }
        for (token, bias) in logit_bias {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit += bias;
            }
        }
    }

    fn draw_from_nucleus(&mut self, weights: &[f32], total: f64) -> Option<u32> {
        let share = f64::from(self.sampling.top_p.max(f32::EPSILON));
        // A token below this cannot be in the nucleus: even all tokens that light together are outside of it.
        let negligible = (total * (1.0 - share) / weights.len() as f64) as f32;
        let mut candidates: Vec<(f32, u32)> =
            weights.iter().copied().zip(0..).filter(|(weight, _)| *weight > 0.0 && *weight >= negligible).collect();
        candidates.sort_unstable_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
        let mut covered = 0.0;
        let nucleus = candidates.iter().position(|(weight, _)| {
            covered += f64::from(*weight);
            covered >= share * total
        });
        candidates.truncate(nucleus.map_or(candidates.len(), |last| last + 1));
        let target = self.random.unit() * candidates.iter().map(|(weight, _)| f64::from(*weight)).sum::<f64>();
        draw(candidates.into_iter(), target)
    }
}

/// The token with the highest score; the first of equals. None if every token is excluded.
fn best(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (logit, token) in logits.iter().copied().zip(0..) {
        if logit > best.map_or(f32::NEG_INFINITY, |(_, highest)| highest) {
            best = Some((token, logit));
        }
    }
    best.map(|(token, _)| token)
}

/// The token at which the running sum of weights passes `target`.
fn draw(weights: impl Iterator<Item = (f32, u32)>, target: f64) -> Option<u32> {
    let mut sum = 0.0;
    let mut last = None;
    for (weight, token) in weights {
        if weight > 0.0 {
            sum += f64::from(weight);
            last = Some(token);
            if sum > target {
                break;
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Sampling {
        Sampling { temperature: 1.0, top_p: 1.0, seed: Some(7), repetition_penalty: 1.0, ..Sampling::default() }
    }

    fn draws(sampling: Sampling, logits: &[f32], count: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(sampling);
        (0..count).map(|_| sampler.choose(&mut logits.to_vec()).unwrap()).collect()
    }

    #[test]
    fn temperature_zero_takes_the_best_token() {
        assert_eq!(draws(Sampling { temperature: 0.0, ..plain() }, &[0.0, 3.0, 1.0], 5), [1; 5]);
    }

    #[test]
    fn draws_follow_the_odds() {
        let drawn = draws(plain(), &[0.0, 2f32.ln(), f32::NEG_INFINITY], 3000);
        let ones = drawn.iter().filter(|token| **token == 1).count();
        assert!((1850..2150).contains(&ones), "{ones} of 3000, expected 2000");
        assert!(!drawn.contains(&2));
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens_and_another_seed_others() {
        let logits: Vec<f32> = (0..100).map(|index| (index % 7) as f32 / 3.0).collect();
        let with_seed = |seed| draws(Sampling { seed: Some(seed), ..plain() }, &logits, 20);
        assert_eq!(with_seed(1), with_seed(1));
        assert_ne!(with_seed(1), with_seed(2));
        assert_ne!(
            draws(Sampling { seed: None, ..plain() }, &logits, 20),
            draws(Sampling { seed: None, ..plain() }, &logits, 20)
        );
    }

    #[test]
    fn top_p_excludes_the_tail() {
        // Odds 4:2:1:1, so a half is covered by the first token alone and three quarters by the first two.
        let logits = [4f32.ln(), 2f32.ln(), 0.0, 0.0];
        assert!(draws(Sampling { top_p: 0.5, ..plain() }, &logits, 200).iter().all(|token| *token == 0));
        let two = draws(Sampling { top_p: 0.75, ..plain() }, &logits, 200);
        assert!(two.iter().all(|token| *token < 2) && two.contains(&1));
        assert!(draws(Sampling { top_p: 0.0, ..plain() }, &logits, 200).iter().all(|token| *token == 0));
    }

    #[test]
    fn penalties_and_bias_move_scores() {
        let greedy = Sampling { temperature: 0.0, ..plain() };
        let after = |sampling: Sampling| {
            let mut sampler = Sampler::new(sampling);
            sampler.accept(0);
            sampler.accept(0);
            sampler.choose(&mut [2.0, 1.5, 0.0]).unwrap()
        };
        assert_eq!(after(greedy.clone()), 0);
        assert_eq!(after(Sampling { repetition_penalty: 1.5, ..greedy.clone() }), 1);
        assert_eq!(after(Sampling { frequency_penalty: 0.3, ..greedy.clone() }), 1);
        assert_eq!(after(Sampling { presence_penalty: 0.6, ..greedy.clone() }), 1);
        assert_eq!(after(Sampling { logit_bias: vec![(2, 100.0)], ..greedy }), 2);
    }

    #[test]
    fn nothing_is_chosen_when_everything_is_excluded() {
        assert_eq!(Sampler::new(plain()).choose(&mut [f32::NEG_INFINITY; 3]), None);
        assert_eq!(Sampler::new(plain()).choose(&mut []), None);
    }
}
