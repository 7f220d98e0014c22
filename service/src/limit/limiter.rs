//! The decision: which accounts a call counts on, and whether each lets it pass.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sabir_store::Subject;
use tokio::time::Instant;

use super::account::{Account, Attempt};
use super::accounts::Accounts;
use super::bucket::Mode;
use super::hold::{Hold, Part};
use super::leaser::{Leaser, Presence};
use super::refusal::{Cause, Refusal};
use super::rules::{Rule, Rules};
use super::standing::Standing;

/// What a call wants to take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Want {
    /// How many requests it counts for.
    pub(crate) requests: u64,
    /// How many tokens it may need. Where a limit lets fewer pass at once, that many are reserved.
    pub(crate) tokens: u64,
    /// How many tokens it needs at least: its prompt.
    pub(crate) least_tokens: u64,
    /// Whether it takes a place among the calls that are open at once.
    pub(crate) place: bool,
}

/// Holds callers to their limits. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Limiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: RwLock<Arc<Rules>>,
    accounts: Accounts,
    /// There is none where each replica counts for itself.
    leaser: Option<Arc<Leaser>>,
    /// How long a call may wait for the database.
    patience: Duration,
    began: Instant,
}

impl Limiter {
    pub(super) fn new(rules: Arc<Rules>, capacity: usize, leaser: Option<Arc<Leaser>>, patience: Duration) -> Self {
        let (rules, accounts) = (RwLock::new(rules), Accounts::new(capacity));
        Self(Arc::new(Shared { rules, accounts, leaser, patience, began: Instant::now() }))
    }

    /// Limits nobody.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self::new(Arc::default(), 1, None, Duration::ZERO)
    }

    /// Takes from the account of each subject that is limited in something wanted.
    ///
    /// # Errors
    /// The first limit that does not let the call pass; nothing is taken then.
    pub(crate) async fn admit(
        &self,
        subjects: impl IntoIterator<Item = Subject, IntoIter: Send>,
        want: Want,
    ) -> Result<Hold, Refusal> {
        let rules = self.rules();
        let mut hold = Hold::empty(self.clone());
        if rules.is_empty() {
            return Ok(hold);
        }
        let now = self.now();
        for subject in subjects {
            let Some(rule) = rules.of(&subject).filter(|rule| concerns(rule, want)) else { continue };
            let account = self.0.accounts.get(&subject, now);
            if let Err(refusal) = self.take(&account, rule, want, now, &mut hold).await {
                hold.undo();
                return Err(refusal);
            }
        }
        Ok(hold)
    }

    /// Takes from one account. Waits only where the database has to be asked.
    async fn take(
        &self,
        account: &Arc<Account>,
        rule: Rule,
        want: Want,
        mut now: u64,
        hold: &mut Hold,
    ) -> Result<(), Refusal> {
        let mut deadline = None;
        let mut alone = self.0.leaser.is_none();
        loop {
            let presence = self.presence();
            let mode = if presence == Presence::There && !alone { Mode::Leased } else { Mode::Alone };
            // Enabled before the attempt, so that an answer between the attempt and the wait is not missed.
            let mut answered = std::pin::pin!(account.answered.notified());
            answered.as_mut().enable();
            let attempt = if presence == Presence::Closed {
                Attempt::Ask
            } else {
                account.state().attempt(rule, now, want, mode)
            };
            match attempt {
                Attempt::Taken { tokens, place, standing, low } => {
                    if low {
                        self.wake(account);
                    }
                    let part = Part { account: Arc::clone(account), requests: want.requests, tokens, place };
                    hold.add(part, named(standing, &account.subject));
                    return Ok(());
                }
                Attempt::Refused { measure, limit, wait, standing } => {
                    let subject = account.subject.clone();
                    let cause = match wait {
                        Some(_) => Cause::Exceeded { subject, measure, limit },
                        None => Cause::TooLarge { subject, measure, limit, tokens: want.least_tokens },
                    };
                    let standing = hold.standing.and(named(standing, &account.subject));
                    return Err(Refusal { cause, retry_after: wait, standing });
                }
                Attempt::Ask => {
                    self.wake(account);
                    let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.0.patience);
                    let is_answered =
                        presence != Presence::Closed && tokio::time::timeout_at(deadline, answered).await.is_ok();
                    now = self.now();
                    if is_answered {
                        continue;
                    }
                    // For a call that has waited, a database that is slow is one that is away.
                    alone = presence != Presence::Closed && self.may_be_open();
                    if !alone {
                        return Err(Refusal {
                            cause: Cause::Away,
                            retry_after: Some(Duration::from_secs(1)),
                            standing: hold.standing,
                        });
                    }
                }
            }
        }
    }

    /// Whether there is any limit at all.
    pub(crate) fn limits_anybody(&self) -> bool {
        !self.rules().is_empty()
    }

    /// Whether any model has a limit.
    pub(crate) fn limits_models(&self) -> bool {
        self.rules().limit_models()
    }

    /// What holds now.
    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, these hold.
    pub(super) fn replace(&self, rules: Arc<Rules>) {
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    pub(super) fn leaser(&self) -> Option<&Arc<Leaser>> {
        self.0.leaser.as_ref()
    }

    /// Nanoseconds since the limiter began. They begin well above zero, so that the first moment is nobody's last.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(super) fn mode(&self) -> Mode {
        if self.0.leaser.is_some() && self.presence() == Presence::There { Mode::Leased } else { Mode::Alone }
    }

    fn presence(&self) -> Presence {
        self.0.leaser.as_ref().map_or(Presence::There, |leaser| leaser.presence(|| self.now()))
    }

    fn wake(&self, account: &Arc<Account>) {
        if let Some(leaser) = &self.0.leaser {
            leaser.wake(account);
        }
    }

    fn may_be_open(&self) -> bool {
        self.0.leaser.as_ref().is_some_and(|leaser| leaser.may_be_open())
    }
}

/// Whether the rule limits anything that is wanted.
fn concerns(rule: &Rule, want: Want) -> bool {
    (rule.requests.is_some() && want.requests > 0)
        || (rule.tokens.is_some() && want.tokens > 0)
        || (rule.concurrent.is_some() && want.place)
}

/// With the names of whose figures they are.
fn named(mut standing: Standing, subject: &Subject) -> Standing {
    for figure in [&mut standing.requests, &mut standing.tokens].into_iter().flatten() {
        figure.whose = subject.kind();
    }
    standing
}
