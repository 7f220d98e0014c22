//! What is counted of attempts at models. The series of a model are found by its name once for each attempt; there are
//! never more of them than the configuration allows, whatever callers ask for.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use sabir_store::Operation;

use super::catalogue;
use super::error_type::ErrorType;
use super::family::Family;
use super::histogram::Histogram;

/// What stands for models that nobody has configured and no provider lists.
const UNKNOWN: &str = "unknown";

/// What stands for models beyond the number that is told apart.
const OTHER: &str = "other";

/// The series of one operation of one model.
#[derive(Debug)]
pub(crate) struct ModelSeries {
    pub(super) operation: Operation,
    pub(super) provider: &'static str,
    pub(super) provider_name: Arc<str>,
    pub(super) model: Box<str>,
    /// By how they ended: well, then by [`ErrorType`].
    durations: Box<[OnceLock<Box<Histogram>>]>,
    pub(super) input: Histogram,
    pub(super) output: Histogram,
    pub(super) first_token: Histogram,
    pub(super) per_token: Histogram,
    outcomes: Arc<Outcomes>,
}

/// How many attempts at one provider ended how: well, then by [`ErrorType`].
type Outcomes = Vec<AtomicU64>;

/// All series of models.
#[derive(Debug)]
pub(crate) struct Models {
    /// How many models are told apart, for each operation.
    limit: usize,
    chat: RwLock<Book>,
    embed: RwLock<Book>,
    outcomes: RwLock<HashMap<Arc<str>, Arc<Outcomes>>>,
}

#[derive(Debug, Default)]
struct Book {
    /// By `provider/model`.
    known: HashMap<Box<str>, Arc<ModelSeries>>,
    /// By provider.
    unknown: HashMap<Arc<str>, Arc<ModelSeries>>,
    /// By provider.
    other: HashMap<Arc<str>, Arc<ModelSeries>>,
}

/// A model, as those who count need to know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// What is asked of it.
    pub(crate) operation: Operation,
    /// The provider's name in the configuration.
    pub(crate) provider: &'a Arc<str>,
    /// The name at the provider.
    pub(crate) model: &'a str,
    /// `provider/model`.
    pub(crate) full_name: &'a str,
}

impl Models {
    /// Nothing counted yet; at most so many models are told apart.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, chat: RwLock::default(), embed: RwLock::default(), outcomes: RwLock::default() }
    }

    /// The series of a model. A model that was never counted before is asked for with `is_known`: names that callers make
    /// up share a series.
    pub(crate) fn of(&self, asked: Asked<'_>, is_known: impl FnOnce() -> bool) -> Arc<ModelSeries> {
        let book = self.book(asked.operation);
        if let Some(series) = found(book, |book| book.known.get(asked.full_name)) {
            return series;
        }
        if !is_known() {
            return self.shared(asked, UNKNOWN, |book| &mut book.unknown);
        }
        {
            let mut book = book.write().unwrap_or_else(PoisonError::into_inner);
            if book.known.len() < self.limit {
                let entry = book.known.entry(asked.full_name.into());
                return Arc::clone(entry.or_insert_with(|| self.series(asked, asked.model)));
            }
        }
        self.shared(asked, OTHER, |book| &mut book.other)
    }

    /// The series that several models of a provider share.
    fn shared(
        &self,
        asked: Asked<'_>,
        name: &str,
        map: impl Fn(&mut Book) -> &mut HashMap<Arc<str>, Arc<ModelSeries>>,
    ) -> Arc<ModelSeries> {
        let mut book = self.book(asked.operation).write().unwrap_or_else(PoisonError::into_inner);
        let entry = map(&mut book).entry(Arc::clone(asked.provider));
        Arc::clone(entry.or_insert_with(|| self.series(asked, name)))
    }

    fn series(&self, asked: Asked<'_>, model: &str) -> Arc<ModelSeries> {
        Arc::new(ModelSeries {
            operation: asked.operation,
            provider: well_known(asked.provider).unwrap_or_default(),
            provider_name: Arc::clone(asked.provider),
            model: model.into(),
            durations: (0..=ErrorType::ALL.len()).map(|_| OnceLock::new()).collect(),
            input: Histogram::new(&catalogue::TOKEN_USAGE),
            output: Histogram::new(&catalogue::TOKEN_USAGE),
            first_token: Histogram::new(&catalogue::TIME_TO_FIRST_TOKEN),
            per_token: Histogram::new(&catalogue::TIME_PER_OUTPUT_TOKEN),
            outcomes: entry_of(&self.outcomes, asked.provider, || {
                Arc::new((0..=ErrorType::ALL.len()).map(|_| AtomicU64::new(0)).collect())
            }),
        })
    }

    fn book(&self, operation: Operation) -> &RwLock<Book> {
        match operation {
            Operation::Chat => &self.chat,
            Operation::Embed => &self.embed,
        }
    }

    /// What was counted.
    pub(crate) fn read(&self) -> Vec<Family> {
        let mut durations = Family::new(&catalogue::OPERATION_DURATION);
        let mut tokens = Family::new(&catalogue::TOKEN_USAGE);
        let mut first_token = Family::new(&catalogue::TIME_TO_FIRST_TOKEN);
        let mut per_token = Family::new(&catalogue::TIME_PER_OUTPUT_TOKEN);
        for book in [&self.chat, &self.embed] {
            let book = book.read().unwrap_or_else(PoisonError::into_inner);
            let known = book.known.values();
            for series in known.chain(book.unknown.values()).chain(book.other.values()) {
                let (operation, provider, model) = (series.operation(), series.provider(), &*series.model);
                for (ended, duration) in series.durations.iter().enumerate() {
                    if let Some(duration) = duration.get() {
                        let error = ErrorType::ALL.get(ended.wrapping_sub(1)).map_or("", |error| error.word());
                        durations.histogram(&[operation, provider, model, error], duration);
                    }
                }
                tokens.histogram(&["input", operation, provider, model], &series.input);
                tokens.histogram(&["output", operation, provider, model], &series.output);
                first_token.histogram(&[operation, provider, model], &series.first_token);
                per_token.histogram(&[operation, provider, model], &series.per_token);
            }
        }
        let mut attempts = Family::new(&catalogue::ATTEMPTS);
        for (provider, outcomes) in self.outcomes.read().unwrap_or_else(PoisonError::into_inner).iter() {
            for (ended, count) in outcomes.iter().enumerate() {
                let outcome = ErrorType::ALL.get(ended.wrapping_sub(1)).map_or("ok", |error| error.word());
                match count.load(Ordering::Relaxed) {
                    0 => {}
                    count => attempts.count(&[provider, outcome], count),
                }
            }
        }
        vec![durations, tokens, first_token, per_token, attempts]
    }
}

impl ModelSeries {
    /// How long attempts took that ended like this.
    pub(super) fn duration(&self, error: Option<ErrorType>) -> Option<&Histogram> {
        let duration = self.durations.get(ended(error))?;
        Some(duration.get_or_init(|| Box::new(Histogram::new(&catalogue::OPERATION_DURATION))))
    }

    /// Counts an attempt that ended like this.
    pub(super) fn count(&self, error: Option<ErrorType>) {
        if let Some(count) = self.outcomes.get(ended(error)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The operation, as the conventions call it.
    pub(super) fn operation(&self) -> &'static str {
        match self.operation {
            Operation::Chat => "chat",
            Operation::Embed => "embeddings",
        }
    }

    /// The provider, as the conventions call it, or by its name in the configuration.
    pub(super) fn provider(&self) -> &str {
        if self.provider.is_empty() { &self.provider_name } else { self.provider }
    }
}

/// The place of an ending: the first is for those that went well.
fn ended(error: Option<ErrorType>) -> usize {
    error.map_or(0, |error| error as usize + 1)
}

/// What the conventions call a provider that has the usual name of its vendor.
/// Source: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/>.
fn well_known(provider: &str) -> Option<&'static str> {
    Some(match provider {
        "anthropic" => "anthropic",
        "azure" => "azure.ai.openai",
        "bedrock" => "aws.bedrock",
        "cohere" => "cohere",
        "deepseek" => "deepseek",
        "gemini" => "gcp.gemini",
        "groq" => "groq",
        "mistral" => "mistral_ai",
        "openai" => "openai",
        "perplexity" => "perplexity",
        "vertex" => "gcp.vertex_ai",
        "xai" => "x_ai",
        _ => return None,
    })
}

fn found(book: &RwLock<Book>, look: impl FnOnce(&Book) -> Option<&Arc<ModelSeries>>) -> Option<Arc<ModelSeries>> {
    look(&book.read().unwrap_or_else(PoisonError::into_inner)).cloned()
}

/// The value under a key, made if it is not there.
pub(super) fn entry_of<K, Q, V>(map: &RwLock<HashMap<K, V>>, key: &Q, make: impl FnOnce() -> V) -> V
where
    K: Borrow<Q> + Eq + Hash,
    Q: ToOwned<Owned = K> + Eq + Hash + ?Sized,
    V: Clone,
{
    if let Some(found) = map.read().unwrap_or_else(PoisonError::into_inner).get(key) {
        return found.clone();
    }
    let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
    map.entry(key.to_owned()).or_insert_with(make).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(provider: &'a Arc<str>, full_name: &'a str) -> Asked<'a> {
        let model = full_name.split_once('/').unwrap().1;
        Asked { operation: Operation::Chat, provider, model, full_name }
    }

    #[test]
    fn names_that_nobody_knows_share_a_series() {
        let (models, provider) = (Models::new(10), Arc::from("box"));
        let known = models.of(asked(&provider, "box/known"), || true);
        assert_eq!((&*known.model, known.provider()), ("known", "box"));
        for made_up in 0..5000 {
            let series = models.of(asked(&provider, &format!("box/{made_up}")), || false);
            assert_eq!(&*series.model, UNKNOWN);
        }
        assert!(Arc::ptr_eq(&known, &models.of(asked(&provider, "box/known"), || unreachable!())));
    }

    #[test]
    fn models_beyond_the_limit_share_a_series() {
        let (models, provider) = (Models::new(2), Arc::from("openai"));
        let names = ["openai/a", "openai/b", "openai/c", "openai/d"];
        let found = names.map(|name| models.of(asked(&provider, name), || true).model.to_string());
        assert_eq!(found, ["a", "b", OTHER, OTHER]);
    }

    #[test]
    fn attempts_are_counted_by_provider_and_ending() {
        let (models, provider) = (Models::new(2), Arc::from("gemini"));
        let series = models.of(asked(&provider, "gemini/a"), || true);
        for ending in [None, None, Some(ErrorType::Timeout)] {
            series.count(ending);
            series.duration(ending).unwrap().record(1.0, None);
        }
        let families = models.read();
        let labels =
            |family: &Family| -> Vec<Vec<String>> { family.points.iter().map(|point| point.labels.clone()).collect() };
        assert_eq!(labels(&families[4]), [["gemini", "ok"], ["gemini", "timeout"]]);
        assert_eq!(labels(&families[0]), [["chat", "gcp.gemini", "a", ""], ["chat", "gcp.gemini", "a", "timeout"]]);
    }
}
