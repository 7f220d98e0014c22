//! Claims over kept answers.

use std::collections::HashMap;
use std::sync::Mutex;

use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{CompletionUsage, FunctionCall, ReasoningDetail, ResponseMessage, Role, ToolCall};
use sabir_store::{KeptAnswer, StoreFuture};

use super::*;

/// A store that keeps what it is given.
#[derive(Debug, Default)]
struct Answers(Mutex<HashMap<[u8; 32], KeptAnswer>>);

impl AnswerStore for Answers {
    fn put_answer<'a>(&'a self, answer: &'a KeptAnswer) -> StoreFuture<'a, ()> {
        self.0.lock().unwrap().insert(answer.key, answer.clone());
        Box::pin(async { Ok(()) })
    }

    fn get_answer<'a>(&'a self, key: &'a [u8; 32], _: i64) -> StoreFuture<'a, Option<KeptAnswer>> {
        let found = self.0.lock().unwrap().get(key).cloned();
        Box::pin(async { Ok(found) })
    }

    fn remove_expired_answers(&self, _: i64, _: u32) -> StoreFuture<'_, u64> {
        Box::pin(async { Ok(0) })
    }
}

fn cache() -> Cache {
    over(&Arc::default(), Duration::from_secs(60))
}

fn over(store: &Arc<Answers>, ttl: Duration) -> Cache {
    let config = Config {
        enabled: true,
        ttl,
        memory: 1 << 20,
        longest: 4096,
        scope: Scope::Everyone,
        shared: true,
        embedding_model: None,
    };
    Cache::new(&config, Arc::clone(store) as _, None).unwrap()
}

fn asked(key: Key) -> Asked {
    Asked { key, near: None }
}

fn answer() -> ChatCompletion {
    let call = |id: &str, arguments: &str| ToolCall {
        id: id.to_owned(),
        call: Some(Call::Function(FunctionCall {
            name: "look".to_owned(),
            arguments: arguments.to_owned(),
            ..Default::default()
        })),
        ..ToolCall::default()
    };
    let thought = ReasoningDetail {
        r#type: "reasoning.text".to_owned(),
        text: Some("Hm.".to_owned()),
        signature: Some("sealed".to_owned()),
        index: Some(0),
        ..ReasoningDetail::default()
    };
    let message = ResponseMessage {
        role: Role::Assistant.into(),
        content: Some("Grüße".to_owned()),
        reasoning_content: Some("Hm.".to_owned()),
        reasoning_details: vec![thought],
        tool_calls: vec![call("a", r#"{"x":1}"#), call("b", "{}")],
        ..ResponseMessage::default()
    };
    let choice = |index| Choice {
        index,
        message: Some(message.clone()),
        finish_reason: FinishReason::ToolCalls.into(),
        additional_members: [("stop_sequence".to_owned(), "\"END\"".to_owned())].into(),
        ..Choice::default()
    };
    ChatCompletion {
        id: "chatcmpl-1".to_owned(),
        object: "chat.completion".to_owned(),
        created: 7,
        model: "m".to_owned(),
        choices: vec![choice(0), choice(1)],
        usage: Some(CompletionUsage { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3, ..Default::default() }),
        system_fingerprint: Some("fp".to_owned()),
        ..ChatCompletion::default()
    }
}

/// The right to keep the answer to a question that nobody else asks.
async fn lead(cache: &Cache, key: Key) -> Lead {
    match cache.look_up(asked(key), Control::default()).await {
        Found::Missing(mut lead) => {
            lead.given_by("a/m".to_owned());
            lead
        }
        Found::Kept(entry, _) => panic!("it is there: {entry:?}"),
    }
}

async fn kept(cache: &Cache, key: Key) -> Option<ChatCompletion> {
    match cache.look_up(asked(key), Control::default()).await {
        Found::Kept(entry, _) => Some(entry.answer.clone()),
        Found::Missing(_) => None,
    }
}

#[tokio::test]
async fn what_is_streamed_and_kept_is_what_was_said() {
    let (cache, key) = (cache(), Key::default());
    let mut recorder = Recorder::new(lead(&cache, key).await);
    replay(&answer()).iter().for_each(|chunk| recorder.chunk(chunk));
    recorder.finish();
    assert_eq!(kept(&cache, key).await, Some(answer()));
}

#[tokio::test]
async fn what_is_too_long_or_broken_off_or_filtered_is_not_kept() {
    let (cache, key) = (cache(), Key::default());
    let mut long = answer();
    long.choices[0].message.as_mut().unwrap().content = Some("x".repeat(5000));
    lead(&cache, key).await.keep(&long);
    assert_eq!(kept(&cache, key).await, None);
    let mut recorder = Recorder::new(lead(&cache, key).await);
    replay(&long).iter().for_each(|chunk| recorder.chunk(chunk));
    recorder.finish();
    assert_eq!(kept(&cache, key).await, None);
    let mut recorder = Recorder::new(lead(&cache, key).await);
    recorder.chunk(&replay(&answer())[0]);
    drop(recorder);
    assert_eq!(kept(&cache, key).await, None);
    let mut filtered = answer();
    filtered.choices[1].set_finish_reason(FinishReason::ContentFilter);
    lead(&cache, key).await.keep(&filtered);
    assert_eq!(kept(&cache, key).await, None);
}

#[tokio::test]
async fn another_server_with_the_same_store_finds_the_answer_but_no_older_than_it_may_be() {
    let store = Arc::<Answers>::default();
    let key = Key::default();
    lead(&over(&store, Duration::from_secs(60)), key).await.keep(&answer());
    while store.0.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(kept(&over(&store, Duration::from_secs(60)), key).await, Some(answer()));
    for kept in store.0.lock().unwrap().values_mut() {
        kept.at_micros -= 59_500_000;
    }
    let other = over(&store, Duration::from_secs(60));
    assert_eq!(kept(&other, key).await, Some(answer()));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(kept(&other, key).await, None);
}
