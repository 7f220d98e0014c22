//! Fuzzing on a stable compiler: inputs are mutated, and those that lead to a new kind of outcome are kept to be mutated
//! further.
//!
//! Each target is an ignored test that runs for `FUZZ_SECONDS` (10 by default), says how many executions it made, and shows
//! the input that broke a claim:
//!
//! ```text
//! FUZZ_SECONDS=600 cargo test -p transcode --lib --config 'profile.dev.package.transcode.opt-level=2' \
//!     -- --ignored --nocapture --exact fuzz::converter::nothing_breaks_the_converter
//! ```

mod binder;
mod converter;
mod matcher;
mod mutate;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant, SystemTime};

use self::mutate::Random;

/// How many inputs are kept at most.
const CORPUS: usize = 20_000;

/// How long an input may become.
const LONGEST: usize = 4096;

/// Runs `execute` on `seeds` and what they become, until the time is over. What it gives is the kind of outcome.
fn run(name: &str, seeds: Vec<Vec<u8>>, pieces: &[Vec<u8>], mut execute: impl FnMut(&[u8]) -> u64) {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let seed = std::env::var("FUZZ_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos() as u64));
    println!("{name}: {seconds} s, FUZZ_SEED={seed}");
    let (mut random, mut kinds, mut executions) = (Random::new(seed), HashSet::new(), 0u64);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut once = |input: &[u8]| {
        let culprit = Culprit(input);
        let kind = execute(culprit.0);
        executions += 1;
        kinds.insert(kind)
    };
    let mut corpus = seeds;
    for input in &corpus {
        once(input);
    }
    while Instant::now() < end {
        for _ in 0..64 {
            let input = random.mutate(&corpus, pieces, LONGEST);
            if once(&input) && corpus.len() < CORPUS {
                corpus.push(input);
            }
        }
    }
    println!("{name}: {executions} executions, {} kinds of outcome, {} inputs kept", kinds.len(), corpus.len());
    assert!(executions > 1000, "hardly anything was run");
}

/// Shows the input if the test panics.
struct Culprit<'i>(&'i [u8]);

impl Drop for Culprit<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the input: b\"{}\"", self.0.escape_ascii());
        }
    }
}

/// The kind of an outcome: whether it was good, and the words of the error without what is quoted in it.
fn kind(target: &str, error: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    target.hash(&mut hasher);
    error.is_some().hash(&mut hasher);
    let words = error.unwrap_or_default().split(['"', '`']).step_by(2);
    words.flat_map(str::chars).filter(|character| character.is_alphabetic()).take(80).for_each(|character| {
        character.hash(&mut hasher);
    });
    hasher.finish()
}
