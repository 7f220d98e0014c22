//! Claims about captures.

use std::future::Future;

use uuid::Uuid;

use crate::{Capture, CaptureFilter, CaptureStore, Page};

const ALL: Page = Page { after: None, limit: 1000 };

/// Checks every claim about captures, each on an empty store of its own.
pub async fn capture_store<Store, Fresh, Ready>(fresh: Fresh)
where
    Store: CaptureStore,
    Fresh: Fn() -> Ready,
    Ready: Future<Output = Store>,
{
    captures_come_back_as_they_were_written_and_once(&fresh().await).await;
    the_latest_capture_comes_first_and_pages_meet(&fresh().await).await;
    filters_select_captures(&fresh().await).await;
    the_oldest_captures_are_removed_first(&fresh().await).await;
}

/// A plausible capture; a higher number is a later call.
pub fn sample_capture(number: u32) -> Capture {
    Capture {
        id: Uuid::from_u128(u128::from(number)),
        at_micros: 1_790_000_000_000_000 + i64::from(number),
        actor: format!("key {}", number % 2),
        team_id: number.is_multiple_of(3).then(|| Uuid::from_u128(7)),
        model: "openai/gpt-4o-mini".to_owned(),
        code: 0,
        request: r#"[{"role":"user","text":"Who said \"'; DROP TABLE capture;--\"? [email] ä 🦀"}]"#.to_owned(),
        response: "[]".to_owned(),
        cut: number.is_multiple_of(2),
    }
}

async fn store_some(store: &dyn CaptureStore, count: u32) -> Vec<Capture> {
    let captures: Vec<_> = (1..=count).map(sample_capture).collect();
    store.insert_captures(&captures).await.unwrap();
    captures.into_iter().rev().collect()
}

async fn captures_come_back_as_they_were_written_and_once(store: &dyn CaptureStore) {
    store.insert_captures(&[]).await.unwrap();
    assert_eq!(store.list_captures(&CaptureFilter::default(), ALL).await.unwrap(), []);
    let captures = store_some(store, 4).await;
    store.insert_captures(&captures).await.unwrap();
    assert_eq!(store.list_captures(&CaptureFilter::default(), ALL).await.unwrap(), captures);
}

async fn the_latest_capture_comes_first_and_pages_meet(store: &dyn CaptureStore) {
    let captures = store_some(store, 7).await;
    let mut read = Vec::new();
    loop {
        let page = Page { after: read.last().map(|capture: &Capture| capture.id), limit: 3 };
        let found = store.list_captures(&CaptureFilter::default(), page).await.unwrap();
        if found.is_empty() {
            break;
        }
        read.extend(found);
    }
    assert_eq!(read, captures);
}

async fn filters_select_captures(store: &dyn CaptureStore) {
    let captures = store_some(store, 12).await;
    let team = Uuid::from_u128(7);
    type Fits = fn(&Capture) -> bool;
    let filters: [(CaptureFilter, Fits); 5] = [
        (CaptureFilter { since_micros: Some(1_790_000_000_000_005), ..Default::default() }, |one| {
            one.at_micros >= 1_790_000_000_000_005
        }),
        (CaptureFilter { until_micros: Some(1_790_000_000_000_005), ..Default::default() }, |one| {
            one.at_micros < 1_790_000_000_000_005
        }),
        (CaptureFilter { actor: Some("key 1".to_owned()), ..Default::default() }, |one| one.actor == "key 1"),
        (CaptureFilter { team_id: Some(team), ..Default::default() }, |one| one.team_id.is_some()),
        (CaptureFilter { model: Some("' OR 1=1 --".to_owned()), ..Default::default() }, |_| false),
    ];
    for (filter, selects) in filters {
        let expected: Vec<_> = captures.iter().filter(|one| selects(one)).cloned().collect();
        assert!(expected.len() < captures.len());
        assert_eq!(store.list_captures(&filter, ALL).await.unwrap(), expected, "{filter:?}");
    }
}

async fn the_oldest_captures_are_removed_first(store: &dyn CaptureStore) {
    let captures = store_some(store, 5).await;
    let before = captures[0].at_micros;
    assert_eq!(store.remove_captures(before, 3).await.unwrap(), 3);
    assert_eq!(store.list_captures(&CaptureFilter::default(), ALL).await.unwrap(), captures[..2]);
    assert_eq!(store.remove_captures(before, 3).await.unwrap(), 1);
    assert_eq!(store.remove_captures(before, 3).await.unwrap(), 0);
    assert_eq!(store.list_captures(&CaptureFilter::default(), ALL).await.unwrap(), captures[..1]);
}
