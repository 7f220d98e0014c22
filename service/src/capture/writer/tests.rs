//! Claims about the request log, on a store that can be held up.

use std::sync::Mutex as Lock;

use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::{ChatCompletion, ChatMessage, ResponseMessage, Role};
use sabir_store::{CaptureFilter, Page, StoreError, StoreErrorKind, StoreFuture};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::*;

/// Keeps captures in memory; each insertion takes a permit first, and fails when there are none to come.
#[derive(Debug)]
struct Memory {
    kept: Lock<Vec<Capture>>,
    removed: Lock<Vec<i64>>,
    permits: Semaphore,
}

impl Memory {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self { kept: Lock::default(), removed: Lock::default(), permits: Semaphore::new(permits) })
    }
}

impl CaptureStore for Memory {
    fn insert_captures<'a>(&'a self, captures: &'a [Capture]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let away = |_| StoreError::new(StoreErrorKind::Unavailable, "away");
            self.permits.acquire().await.map_err(away)?.forget();
            self.kept.lock().unwrap().extend_from_slice(captures);
            Ok(())
        })
    }

    fn list_captures<'a>(&'a self, _: &'a CaptureFilter, _: Page) -> StoreFuture<'a, Vec<Capture>> {
        Box::pin(async { Ok(self.kept.lock().unwrap().clone()) })
    }

    fn remove_captures(&self, before_micros: i64, _: u32) -> StoreFuture<'_, u64> {
        self.removed.lock().unwrap().push(before_micros);
        Box::pin(async { Ok(0) })
    }
}

fn config(max_bytes: usize, sample: f64) -> Config {
    let redactor = Arc::new(Redactor::new(&["email".to_owned()]).unwrap());
    Config { enabled: true, sample, max_bytes, retention: Duration::from_secs(3600), redactor }
}

fn said(text: &str) -> CreateChatCompletionRequest {
    let content = Some(Content::Text(text.to_owned()));
    let message = ChatMessage { role: Role::User.into(), content, ..Default::default() };
    CreateChatCompletionRequest { messages: vec![message], ..Default::default() }
}

fn answered(text: &str) -> ChatCompletion {
    let message = Some(ResponseMessage { content: Some(text.to_owned()), ..Default::default() });
    ChatCompletion { choices: vec![Choice { message, ..Default::default() }], ..Default::default() }
}

fn begin(log: &CaptureLog, request: &CreateChatCompletionRequest) -> Option<Box<Recording>> {
    let id = Uuid::now_v7();
    let subject = || Subject { id, at_micros: 1, actor: "anyone".to_owned(), team_id: None, model: "m".into() };
    log.begin(id, subject, request)
}

#[tokio::test]
async fn what_is_kept_is_redacted_and_cut() {
    let store = Memory::new(10);
    let log = CaptureLog::start(Arc::clone(&store) as _, &config(24, 1.0));
    let mut recording = begin(&log, &said("I am bob@mail.example and sk-sabir-0123456789, and more")).unwrap();
    recording.completion(&answered("Hello"));
    recording.finish(0);
    log.close().await;
    let kept = store.kept.lock().unwrap().pop().unwrap();
    assert_eq!(kept.request, r#"[{"at":0,"role":"user","text":"I am [email] an"}]"#);
    assert_eq!(kept.response, r#"[{"at":0,"role":"assistant","text":"Hello"}]"#);
    assert!(kept.cut && log.dropped() == 0);
}

#[tokio::test]
async fn captures_are_dropped_and_counted_and_calls_do_not_wait() {
    let store = Memory::new(0);
    // The smallest queue there is.
    let log = CaptureLog::start(Arc::clone(&store) as _, &config(1 << 20, 1.0));
    let begun = std::time::Instant::now();
    for _ in 0..1000 {
        begin(&log, &said("x")).unwrap().finish(0);
        tokio::task::yield_now().await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(log.dropped() >= 900, "{}", log.dropped());
    store.permits.add_permits(1000);
    log.close().await;
    let kept = store.kept.lock().unwrap().len() as u64;
    assert_eq!(kept + log.dropped(), 1000);
}

#[tokio::test]
async fn what_cannot_be_written_is_counted() {
    let store = Memory::new(0);
    store.permits.close();
    let log = CaptureLog::start(Arc::clone(&store) as _, &config(64, 1.0));
    for _ in 0..3 {
        begin(&log, &said("x")).unwrap().finish(0);
    }
    log.close().await;
    assert_eq!(log.dropped(), 3);
}

#[tokio::test]
async fn a_part_of_the_calls_is_captured() {
    let store = Memory::new(10);
    let counted = |sample: f64| {
        let log = CaptureLog::start(Arc::clone(&store) as _, &config(64, sample));
        (0..2000).filter(|_| begin(&log, &said("x")).is_some()).count()
    };
    assert_eq!((counted(0.0), counted(1.0)), (0, 2000));
    assert!((350..650).contains(&counted(0.25)));
    let off = Config { enabled: false, ..config(64, 1.0) };
    assert!(begin(&CaptureLog::start(Arc::clone(&store) as _, &off), &said("x")).is_none());
}

#[tokio::test(start_paused = true)]
async fn old_captures_are_removed_though_nothing_is_captured() {
    let store = Memory::new(0);
    let _log = CaptureLog::start(Arc::clone(&store) as _, &Config { enabled: false, ..config(64, 1.0) });
    tokio::time::sleep(2 * CLEANING).await;
    let removed = store.removed.lock().unwrap().clone();
    assert!(removed.len() >= 2, "{removed:?}");
    let age = unix_micros(SystemTime::now()) - removed[0];
    assert!((3_600_000_000..3_700_000_000).contains(&age), "{age}");
}
