//! Which limit holds for whom: the one that is set for a subject itself, else the default for its kind. Kept in memory and
//! replaced as a whole when a limit changes anywhere.

use std::collections::HashMap;
use std::sync::Arc;

use sabir_store::{Limit, LimitStore, Page, StoreError, Subject};

use super::gcra::Pace;

/// How many limits are read at once.
const PAGE: u32 = 1_000;

/// What holds for one subject, ready to be applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Requests per minute.
    pub(crate) requests: Option<Pace>,
    /// Tokens per minute.
    pub(crate) tokens: Option<Pace>,
    /// Calls at once.
    pub(crate) concurrent: Option<u32>,
}

impl From<&Limit> for Rule {
    fn from(limit: &Limit) -> Self {
        Self {
            requests: limit.requests_per_minute.map(|rate| Pace::per_minute(rate, limit.request_burst)),
            tokens: limit.tokens_per_minute.map(|rate| Pace::per_minute(rate, limit.token_burst)),
            concurrent: limit.concurrent_requests,
        }
    }
}

/// What holds for subjects that no limit is set for. They are each counted for themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    pub(crate) everyone: Option<Rule>,
    pub(crate) each_team: Option<Rule>,
    pub(crate) each_user: Option<Rule>,
    pub(crate) each_key: Option<Rule>,
    pub(crate) each_external: Option<Rule>,
    pub(crate) each_model: Option<Rule>,
}

/// Every rule.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    set: HashMap<Subject, Rule>,
    defaults: Defaults,
    models: bool,
}

impl Rules {
    pub(crate) fn new(limits: impl IntoIterator<Item = Limit>, defaults: Defaults) -> Self {
        let set: HashMap<Subject, Rule> =
            limits.into_iter().map(|limit| (limit.subject.clone(), Rule::from(&limit))).collect();
        let models = defaults.each_model.is_some() || set.keys().any(|subject| matches!(subject, Subject::Model(_)));
        Self { set, defaults, models }
    }

    /// Reads all limits.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn load(store: &dyn LimitStore, defaults: Defaults) -> Result<Arc<Self>, StoreError> {
        let mut limits = Vec::new();
        let mut page = Page { after: None, limit: PAGE };
        loop {
            let some = store.list_limits(None, page).await?;
            let Some(last) = some.last() else { break };
            page.after = Some(last.id);
            let full = some.len() == PAGE as usize;
            limits.extend(some);
            if !full {
                break;
            }
        }
        Ok(Arc::new(Self::new(limits, defaults)))
    }

    /// The same limits, with these for those who have none of their own.
    pub(super) fn with_defaults(&self, defaults: Defaults) -> Self {
        let models =
            defaults.each_model.is_some() || self.set.keys().any(|subject| matches!(subject, Subject::Model(_)));
        Self { set: self.set.clone(), defaults, models }
    }

    /// What holds for those who have no limit of their own.
    pub(super) fn defaults(&self) -> Defaults {
        self.defaults
    }

    /// What holds for a subject.
    pub(crate) fn of(&self, subject: &Subject) -> Option<Rule> {
        let default = match subject {
            Subject::Everyone => &self.defaults.everyone,
            Subject::Team(_) => &self.defaults.each_team,
            Subject::User(_) => &self.defaults.each_user,
            Subject::Key(_) => &self.defaults.each_key,
            Subject::External(_) => &self.defaults.each_external,
            Subject::Model(_) => &self.defaults.each_model,
        };
        self.set.get(subject).or(default.as_ref()).copied()
    }

    /// Whether any model is limited in anything.
    pub(crate) fn limit_models(&self) -> bool {
        self.models
    }

    /// Whether nobody is limited in anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.defaults == Defaults::default()
    }
}
