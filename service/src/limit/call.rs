//! The limits that hold for one call, looked up once: everybody who has to do with the call takes of them here, and what
//! the caller is told at the end is gathered here.

use std::sync::{Mutex, PoisonError};

use sabir_store::Subject;

use super::hold::Hold;
use super::limiter::{Asked, Limiter, Ruled, Want};
use super::refusal::Refusal;
use super::standing::Standing;

/// The limits of one call. The limit layer puts them into the request's extensions.
#[derive(Debug)]
pub(crate) struct CallLimits {
    limiter: Limiter,
    /// Its caller's.
    accounts: Vec<Ruled>,
    /// Whether models have limits of their own.
    models: bool,
    standing: Mutex<Standing>,
}

impl CallLimits {
    pub(super) fn new(limiter: Limiter, accounts: Vec<Ruled>, models: bool) -> Self {
        Self { limiter, accounts, models, standing: Mutex::default() }
    }

    /// Whether any model has a limit.
    pub(crate) fn limit_models(&self) -> bool {
        self.models
    }

    /// Takes of the caller's limits, if that can be said at once.
    ///
    /// # Errors
    /// Nothing is taken, and the database has to be asked first: go on with [`CallLimits::wait`].
    pub(super) fn take_now(&self, want: Want) -> Result<Result<Hold, Refusal>, Asked> {
        let taken = self.limiter.take_now(&self.accounts, want)?;
        self.note(&taken);
        Ok(taken)
    }

    /// Takes of the caller's limits when the database has answered.
    ///
    /// # Errors
    /// As with [`CallLimits::take`].
    pub(super) async fn wait(&self, want: Want, asked: Asked) -> Result<Hold, Refusal> {
        let taken = self.limiter.wait(&self.accounts, want, asked).await;
        self.note(&taken);
        taken
    }

    /// Takes of the caller's limits.
    ///
    /// # Errors
    /// The first limit that does not let the call pass; nothing is taken then.
    pub(crate) async fn take(&self, want: Want) -> Result<Hold, Refusal> {
        self.take_of(&self.accounts, want).await
    }

    /// Takes of the limits of a model of these names.
    ///
    /// # Errors
    /// As with [`CallLimits::take`].
    pub(crate) async fn take_of_model(&self, names: &[Subject], want: Want) -> Result<Hold, Refusal> {
        self.take_of(&self.limiter.accounts_of(names), want).await
    }

    async fn take_of(&self, accounts: &[Ruled], want: Want) -> Result<Hold, Refusal> {
        let taken = match self.limiter.take_now(accounts, want) {
            Ok(taken) => taken,
            Err(asked) => self.limiter.wait(accounts, want, asked).await,
        };
        self.note(&taken);
        taken
    }

    /// Where the caller stands with all that was asked for so far.
    pub(super) fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, taken: &Result<Hold, Refusal>) {
        let told = match taken {
            Ok(hold) => hold.standing,
            Err(refusal) => refusal.standing,
        };
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        *standing = standing.and(told);
    }
}
