//! The decision: which accounts a call counts on, and whether each lets it pass.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sabir_store::Subject;
use tokio::time::Instant;

use super::account::{Account, Attempt};
use super::accounts::Accounts;
use super::bucket::Mode;
use super::call::CallLimits;
use super::hold::{Hold, Part};
use super::leaser::{Leaser, Presence};
use super::refusal::{Cause, Refusal};
use super::rules::{Defaults, Rule, Rules};
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

/// An account with the rule that holds for it.
#[derive(Debug)]
pub(super) struct Ruled {
    account: Arc<Account>,
    rule: Rule,
}

/// Which of the accounts has asked for the database's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked(usize);

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

    /// The limits that hold for a call of these subjects; `None` if nothing about it is limited.
    pub(super) fn call(&self, subjects: &[Subject]) -> Option<CallLimits> {
        let models = self.rules().limit_models();
        let accounts = self.accounts_of(subjects);
        (models || !accounts.is_empty()).then(|| CallLimits::new(self.clone(), accounts, models))
    }

    /// The accounts of those of the subjects that are limited in anything.
    pub(super) fn accounts_of(&self, subjects: &[Subject]) -> Vec<Ruled> {
        let rules = self.rules();
        let limited = |subject: &Subject| {
            let rule = rules.of(subject)?;
            Some(Ruled { account: self.0.accounts.get(subject, || self.now()), rule })
        };
        subjects.iter().filter_map(limited).collect()
    }

    /// Takes from each account that is limited in something wanted, if that can be said at once.
    ///
    /// # Errors
    /// Nothing is taken, and the database has to be asked first: go on with [`Limiter::wait`].
    pub(super) fn take_now(&self, accounts: &[Ruled], want: Want) -> Result<Result<Hold, Refusal>, Asked> {
        let mut hold = Hold::empty(self.clone(), accounts.len());
        let (now, presence) = (self.now(), self.presence());
        let mode = if self.0.leaser.is_some() && presence == Presence::There { Mode::Leased } else { Mode::Alone };
        for (number, ruled) in accounts.iter().enumerate().filter(|(_, ruled)| concerns(&ruled.rule, want)) {
            let open = presence != Presence::Closed;
            match open.then(|| self.attempt(ruled, want, now, mode, &mut hold)).flatten() {
                Some(Ok(())) => {}
                Some(Err(refusal)) => {
                    hold.undo();
                    return Ok(Err(refusal));
                }
                None => {
                    hold.undo();
                    return Err(Asked(number));
                }
            }
        }
        Ok(Ok(hold))
    }

    /// Takes from each account that is limited in something wanted, one of which has `asked` already.
    ///
    /// # Errors
    /// The first limit that does not let the call pass; nothing is taken then.
    pub(super) async fn wait(&self, accounts: &[Ruled], want: Want, asked: Asked) -> Result<Hold, Refusal> {
        let mut hold = Hold::empty(self.clone(), accounts.len());
        for (number, ruled) in accounts.iter().enumerate().filter(|(_, ruled)| concerns(&ruled.rule, want)) {
            if let Err(refusal) = self.take(ruled, want, asked == Asked(number), &mut hold).await {
                hold.undo();
                return Err(refusal);
            }
        }
        Ok(hold)
    }

    /// Takes from one account. Waits only where the database has to be asked. Whoever has `asked` does not ask twice: what
    /// is asked for is what the database is asked for.
    async fn take(&self, ruled: &Ruled, want: Want, mut asked: bool, hold: &mut Hold) -> Result<(), Refusal> {
        let account = &ruled.account;
        let mut deadline = None;
        let mut alone = self.0.leaser.is_none();
        loop {
            let presence = self.presence();
            let mode = if presence == Presence::There && !alone { Mode::Leased } else { Mode::Alone };
            // Enabled before the attempt, so that an answer between the attempt and the wait is not missed.
            let mut answered = std::pin::pin!(account.answered.notified());
            answered.as_mut().enable();
            if !std::mem::take(&mut asked)
                && presence != Presence::Closed
                && let Some(taken) = self.attempt(ruled, want, self.now(), mode, hold)
            {
                return taken;
            }
            self.wake(account);
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.0.patience);
            if presence != Presence::Closed && tokio::time::timeout_at(deadline, answered).await.is_ok() {
                continue;
            }
            // For a call that has waited, a database that is slow is one that is away.
            alone = presence != Presence::Closed && self.may_be_open();
            if !alone {
                let retry_after = Some(Duration::from_secs(1));
                return Err(Refusal { cause: Cause::Away, retry_after, standing: hold.standing });
            }
        }
    }

    /// Takes from one account; `None` if the database has to be asked first.
    fn attempt(&self, ruled: &Ruled, want: Want, now: u64, mode: Mode, hold: &mut Hold) -> Option<Result<(), Refusal>> {
        let Ruled { account, rule } = ruled;
        let attempt = account.state().attempt(*rule, now, want, mode);
        match attempt {
            Attempt::Taken { tokens, place, standing, low } => {
                if low {
                    self.wake(account);
                }
                let part = Part { account: Arc::clone(account), requests: want.requests, tokens, place };
                hold.add(part, named(standing, &account.subject));
                Some(Ok(()))
            }
            Attempt::Refused { measure, limit, wait, standing } => {
                let subject = account.subject.clone();
                let cause = match wait {
                    Some(_) => Cause::Exceeded { subject, measure, limit },
                    None => Cause::TooLarge { subject, measure, limit, tokens: want.least_tokens },
                };
                let standing = hold.standing.and(named(standing, &account.subject));
                Some(Err(Refusal { cause, retry_after: wait, standing }))
            }
            Attempt::Ask => None,
        }
    }

    /// Whether there is any limit at all.
    pub(crate) fn limits_anybody(&self) -> bool {
        !self.rules().is_empty()
    }

    /// What holds now.
    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, these limits hold; for those who have none of their own, what held before.
    pub(super) fn replace(&self, rules: &Rules) {
        let mut current = self.0.rules.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(rules.with_defaults(current.defaults()));
    }

    /// From now on, this holds for those who have no limit of their own.
    pub(crate) fn set_defaults(&self, defaults: Defaults) {
        let mut current = self.0.rules.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(current.with_defaults(defaults));
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
