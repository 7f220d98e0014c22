//! What a call has taken of its limits. Whatever way the call ends, dropping this frees its places and gives back the
//! tokens that nobody settled.

use std::sync::Arc;

use super::account::Account;
use super::limiter::Limiter;
use super::standing::Standing;

/// What one call holds.
#[derive(Debug)]
pub(crate) struct Hold {
    limiter: Limiter,
    parts: Vec<Part>,
    /// Where the caller stands with it.
    pub(crate) standing: Standing,
}

/// What it holds of one account.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) account: Arc<Account>,
    pub(super) requests: u64,
    pub(super) tokens: u64,
    pub(super) place: bool,
}

impl Hold {
    /// Nothing yet, with room for so many parts.
    pub(super) fn empty(limiter: Limiter, parts: usize) -> Self {
        Self { limiter, parts: Vec::with_capacity(parts), standing: Standing::default() }
    }

    pub(super) fn add(&mut self, part: Part, standing: Standing) {
        self.parts.push(part);
        self.standing = self.standing.and(standing);
    }

    /// Whether something is to be freed at the end.
    pub(crate) fn has_places(&self) -> bool {
        self.parts.iter().any(|part| part.place)
    }

    /// Puts what was really used in the place of what was reserved.
    pub(crate) fn settle(&mut self, tokens: u64) {
        if self.parts.iter().all(|part| part.tokens == 0) {
            return;
        }
        let (now, mode) = (self.limiter.now(), self.limiter.mode());
        for part in self.parts.iter_mut().filter(|part| part.tokens > 0) {
            let reserved = std::mem::take(&mut part.tokens);
            if let Some(bucket) = &mut part.account.state().tokens {
                bucket.settle(now, reserved, tokens, mode);
            }
        }
    }

    /// Gives everything back, the request itself included: the call is not made.
    pub(super) fn undo(mut self) {
        let (now, mode) = (self.limiter.now(), self.limiter.mode());
        for part in &mut self.parts {
            part.account.state().give_back(now, std::mem::take(&mut part.requests), 0, mode);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.settle(0);
        for part in self.parts.iter().filter(|part| part.place) {
            if let Some(slots) = &mut part.account.state().slots {
                slots.free();
            }
        }
    }
}
