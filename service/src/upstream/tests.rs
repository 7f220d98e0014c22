//! From names to targets, and what the list of models holds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};
use sabir_providers::{
    ChatCall, ChatFuture, ChunkStream, EmbedCall, ModelInfo, Reply, UpstreamError, UpstreamErrorKind,
};

use super::*;

/// An upstream that only lists models: these, or none because it is dead.
struct Lister {
    models: Option<Vec<&'static str>>,
    asked: AtomicUsize,
}

impl Lister {
    fn of(models: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { models: Some(models.to_vec()), asked: AtomicUsize::new(0) })
    }
}

fn dead<T: Send + 'static>() -> ChatFuture<T> {
    Box::pin(std::future::ready(Err(UpstreamError::new(UpstreamErrorKind::Unavailable, "refused"))))
}

impl Upstream for Lister {
    fn chat(&self, _: ChatCall) -> ChatFuture<Reply<ChatCompletion>> {
        dead()
    }

    fn stream_chat(&self, _: ChatCall) -> ChatFuture<Reply<ChunkStream>> {
        dead()
    }

    fn embed(&self, _: EmbedCall) -> ChatFuture<Reply<CreateEmbeddingResponse>> {
        Box::pin(std::future::pending())
    }

    fn models(&self) -> ChatFuture<Vec<ModelInfo>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let Some(models) = &self.models else { return Box::pin(std::future::pending()) };
        let info = |id: &&str| ModelInfo { id: (*id).to_owned(), ..Default::default() };
        let models = models.iter().map(info).collect();
        Box::pin(std::future::ready(Ok(models)))
    }
}

/// The routes of a configuration in which `smart` is this.
pub(crate) fn routes(smart: &str) -> RoutesConfig {
    let file = format!(
        "[local]\nenabled = false\n[providers.script]\nvendor = \"openai\"\nbase_url = \"http://h\"\n[routes.smart]\n{smart}\n"
    );
    crate::Config::from_parts(Some(&file), []).unwrap().upstream.routes
}

/// A target that nobody answers for.
pub(crate) fn target(model: &str) -> Target {
    Provider::open("p", Lister::of(&[]), "").target(model)
}

fn alias(full: &str) -> ModelName {
    let (provider, model) = full.split_once('/').unwrap_or(("", full));
    ModelName { provider: provider.to_owned(), model: model.to_owned() }
}

fn registry() -> Registry {
    let providers = vec![
        Provider::closed("local", Lister::of(&["tiny"]), "a file"),
        Provider::open("openai", Lister::of(&["gpt-4o-mini", "meta/llama"]), "a variable"),
    ];
    let aliases = [("fast".to_owned(), alias("openai/gpt-4o-mini")), ("gone".to_owned(), alias("azure/x"))].into();
    Registry::new(providers, aliases, Some("openai"))
}

fn resolved(registry: &Registry, name: &str) -> Result<String, UnknownModel> {
    registry.resolve(name).map(|target| target.full_name)
}

#[tokio::test]
async fn names_lead_to_their_provider() {
    let registry = registry();
    registry.list().await;
    for (name, full) in [
        ("openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("openai/not-listed", "openai/not-listed"),
        ("openai/ft:gpt/custom", "openai/ft:gpt/custom"),
        ("gpt-5", "openai/gpt-5"),
        ("fast", "openai/gpt-4o-mini"),
        ("meta/llama", "openai/meta/llama"),
        ("local/tiny", "local/tiny"),
    ] {
        assert_eq!(resolved(&registry, name).as_deref(), Ok(full), "{name}");
    }
}

#[tokio::test]
async fn names_that_lead_nowhere_are_unknown_and_near_ones_are_offered() {
    let registry = registry();
    registry.list().await;
    for name in ["opnai/gpt-4o-mini", "meta/other", "local/huge", "/x", "openai/", ""] {
        assert!(resolved(&registry, name).is_err(), "{name}");
    }
    let Err(error) = registry.resolve("opnai/gpt-4o-mini") else { unreachable!("there is no such provider") };
    assert_eq!(error.near, ["openai/gpt-4o-mini"]);
    assert!(error.to_string().contains("did you mean \"openai/gpt-4o-mini\"?"));
}

#[tokio::test]
async fn without_a_default_provider_bare_names_are_unknown() {
    let registry = Registry::new(vec![Provider::open("openai", Lister::of(&[]), "")], BTreeMap::new(), None);
    assert!(registry.resolve("gpt-4o").is_err());
}

#[tokio::test]
async fn the_list_has_aliases_and_every_providers_models() {
    let list = registry().list().await;
    let ids: Vec<&str> = list.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(ids, ["fast", "local/tiny", "openai/gpt-4o-mini", "openai/meta/llama"]);
    assert_eq!(list[0].description.as_deref(), Some("Another name for openai/gpt-4o-mini."));
    assert!(list.iter().all(|model| model.object == "model" && !model.owned_by.is_empty()));
}

#[tokio::test]
async fn a_dead_provider_holds_the_list_up_for_a_moment_and_then_no_more() {
    let silent = Arc::new(Lister { models: None, asked: AtomicUsize::new(0) });
    let providers = vec![
        Provider::open("dead", Arc::clone(&silent) as Arc<dyn Upstream>, ""),
        Provider::open("alive", Lister::of(&["m"]), ""),
    ];
    let registry = Registry::new(providers, BTreeMap::new(), None);
    let before = Instant::now();
    assert_eq!(registry.list().await.len(), 1);
    assert!(before.elapsed() < Duration::from_secs(5));

    let before = Instant::now();
    assert_eq!(registry.list().await.len(), 1);
    assert!(before.elapsed() < Duration::from_millis(400), "the moment is over");
    assert_eq!(silent.asked.load(Ordering::Relaxed), 1, "one fetch at a time");
}

#[tokio::test]
async fn one_model_is_found_under_the_name_it_was_asked_for() {
    let registry = registry();
    for name in ["fast", "gpt-4o-mini", "openai/gpt-4o-mini", "local/tiny"] {
        assert_eq!(registry.get(name).await.map(|model| model.id).as_deref(), Ok(name));
    }
    for name in ["openai/not-listed", "local/huge", "nobody/x"] {
        assert!(registry.get(name).await.is_err(), "{name}");
    }
}
