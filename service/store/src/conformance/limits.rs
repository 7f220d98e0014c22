//! What every database claims about limits, and about what replicas lease of them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::sample_audit;
use crate::{
    AuditFilter, AuditStore, ChangeStore, Limit, LimitStore, Meter, Page, Places, Rate, StoreErrorKind, Subject,
};

const ALL: Page = Page { after: None, limit: 1_000 };

/// One cell in a second.
const SECOND: i64 = 1_000_000_000;

/// Checks every claim, each on an empty store of its own.
pub async fn limit_store<Store, Fresh, Ready>(fresh: Fresh)
where
    Store: LimitStore + AuditStore + ChangeStore + 'static,
    Fresh: Fn() -> Ready,
    Ready: Future<Output = Store>,
{
    limits_come_back_as_they_were_written(&fresh().await).await;
    a_subject_has_one_limit(&fresh().await).await;
    limits_come_in_pages(&fresh().await).await;
    every_change_is_audited_and_moves_the_generation(&fresh().await).await;
    a_burst_is_leased_exactly(&fresh().await).await;
    less_than_the_least_is_nothing(&fresh().await).await;
    cells_come_back_with_time_and_by_hand(&fresh().await).await;
    what_was_used_already_is_charged_beyond_the_limit(&fresh().await).await;
    many_who_lease_never_get_more_than_the_rate_allows(Arc::new(fresh().await)).await;
    places_are_shared(&fresh().await).await;
    places_of_a_replica_that_died_come_back(&fresh().await).await;
    many_who_lease_places_never_get_more_than_there_are(Arc::new(fresh().await)).await;
}

/// A limit of this subject.
pub fn sample_limit(subject: Subject) -> Limit {
    Limit {
        id: Uuid::now_v7(),
        subject,
        requests_per_minute: Some(60),
        request_burst: None,
        tokens_per_minute: Some(1_000_000_000),
        token_burst: Some(1),
        concurrent_requests: None,
        created_at_micros: 1_790_000_000_000_001,
    }
}

fn rate(account: &str, emission_nanos: i64, burst: i64) -> Rate<'_> {
    Rate { account, meter: Meter::Requests, emission_nanos, burst }
}

async fn limits_come_back_as_they_were_written(store: &dyn LimitStore) {
    assert_eq!(store.list_limits(None, ALL).await.unwrap(), []);
    assert_eq!(store.limit(Uuid::now_v7()).await.unwrap(), None);
    let id = Uuid::now_v7();
    let subjects = [
        Subject::Everyone,
        Subject::Team(id),
        Subject::User(id),
        Subject::Key(id),
        Subject::external("https://issuer", "'; DROP TABLE rate_limit; -- é🦀"),
        Subject::Model("openai/gpt-4o".to_owned()),
    ];
    for subject in subjects {
        let mut limit = sample_limit(subject);
        store.create_limit(&limit, &sample_audit("limit")).await.unwrap();
        assert_eq!(store.limit(limit.id).await.unwrap().as_ref(), Some(&limit));
        assert_eq!(store.list_limits(Some(&limit.subject), ALL).await.unwrap(), [limit.clone()]);
        (limit.requests_per_minute, limit.request_burst) = (None, Some(7));
        (limit.tokens_per_minute, limit.token_burst, limit.concurrent_requests) = (None, None, Some(3));
        assert!(store.update_limit(&limit, &sample_audit("limit")).await.unwrap());
        assert_eq!(store.limit(limit.id).await.unwrap().as_ref(), Some(&limit));
    }
    assert_eq!(store.list_limits(None, ALL).await.unwrap().len(), 6);
}

async fn a_subject_has_one_limit(store: &dyn LimitStore) {
    let first = sample_limit(Subject::Everyone);
    store.create_limit(&first, &sample_audit("limit")).await.unwrap();
    let error = store.create_limit(&sample_limit(Subject::Everyone), &sample_audit("limit")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Taken);
    assert!(store.delete_limit(first.id, &sample_audit("limit")).await.unwrap());
    assert!(!store.delete_limit(first.id, &sample_audit("limit")).await.unwrap());
    assert!(!store.update_limit(&first, &sample_audit("limit")).await.unwrap());
    store.create_limit(&sample_limit(Subject::Everyone), &sample_audit("limit")).await.unwrap();
}

async fn limits_come_in_pages(store: &dyn LimitStore) {
    let mut written = Vec::new();
    for number in 0..5_u128 {
        let limit = sample_limit(Subject::Key(Uuid::from_u128(number)));
        store.create_limit(&limit, &sample_audit("limit")).await.unwrap();
        written.insert(0, limit);
    }
    let first = store.list_limits(None, Page { after: None, limit: 3 }).await.unwrap();
    let rest = store.list_limits(None, Page { after: Some(first[2].id), limit: 3 }).await.unwrap();
    assert_eq!((&written[..3], &written[3..]), (&first[..], &rest[..]));
}

async fn every_change_is_audited_and_moves_the_generation<Store>(store: &Store)
where
    Store: LimitStore + AuditStore + ChangeStore,
{
    let limit = sample_limit(Subject::Everyone);
    let mut last = store.generations().await.unwrap();
    let mut moved = async || {
        let now = store.generations().await.unwrap();
        let moved = now.limits != last.limits;
        assert_eq!((now.identity, now.budgets), (last.identity, last.budgets));
        last = now;
        moved
    };
    store.create_limit(&limit, &sample_audit("limit")).await.unwrap();
    assert!(moved().await);
    store.update_limit(&limit, &sample_audit("limit")).await.unwrap();
    assert!(moved().await);
    store.delete_limit(limit.id, &sample_audit("limit")).await.unwrap();
    assert!(moved().await);
    store.delete_limit(limit.id, &sample_audit("limit")).await.unwrap();
    store.lease_cells(rate("everyone", SECOND, 10), 1, 1).await.unwrap();
    assert!(!moved().await, "what changes nothing is not told");
    assert_eq!(store.list_audit(&AuditFilter::default(), ALL).await.unwrap().len(), 3);
}

async fn a_burst_is_leased_exactly(store: &dyn LimitStore) {
    let slow = rate("key a", 600 * SECOND, 10);
    let lease = store.lease_cells(slow, 1, 4).await.unwrap();
    assert_eq!(lease.cells, 4);
    assert!(lease.backlog_nanos > 2_399 * SECOND && lease.backlog_nanos <= 2_400 * SECOND, "{lease:?}");
    assert_eq!(store.lease_cells(slow, 1, 100).await.unwrap().cells, 6);
    assert_eq!(store.lease_cells(slow, 1, 1).await.unwrap().cells, 0);
    // Other accounts, and other meters of the same account, are counted apart.
    assert_eq!(store.lease_cells(rate("key b", SECOND, 10), 1, 100).await.unwrap().cells, 10);
    let tokens = Rate { meter: Meter::Tokens, ..slow };
    assert_eq!(store.lease_cells(tokens, 1, 100).await.unwrap().cells, 10);
}

async fn less_than_the_least_is_nothing(store: &dyn LimitStore) {
    let slow = rate("key a", 600 * SECOND, 10);
    assert_eq!(store.lease_cells(slow, 11, 20).await.unwrap().cells, 0);
    assert_eq!(store.lease_cells(slow, 7, 7).await.unwrap().cells, 7);
    assert_eq!(store.lease_cells(slow, 4, 7).await.unwrap().cells, 0);
    assert_eq!(store.lease_cells(slow, 3, 7).await.unwrap().cells, 3);
}

async fn cells_come_back_with_time_and_by_hand(store: &dyn LimitStore) {
    let slow = rate("key a", 600 * SECOND, 10);
    store.lease_cells(slow, 10, 10).await.unwrap();
    store.adjust_cells(slow, -3).await.unwrap();
    assert_eq!(store.lease_cells(slow, 1, 10).await.unwrap().cells, 3);
    store.adjust_cells(slow, -1_000).await.unwrap();
    assert_eq!(store.lease_cells(slow, 1, 1_000).await.unwrap().cells, 10, "never more than the burst");

    let fast = rate("key b", SECOND / 10, 5);
    assert_eq!(store.lease_cells(fast, 5, 5).await.unwrap().cells, 5);
    tokio::time::sleep(Duration::from_millis(250)).await;
    let cells = store.lease_cells(fast, 1, 5).await.unwrap().cells;
    assert!((2..=5).contains(&cells), "{cells}");
}

async fn what_was_used_already_is_charged_beyond_the_limit(store: &dyn LimitStore) {
    let slow = rate("key a", 600 * SECOND, 10);
    let lease = store.adjust_cells(slow, 15).await.unwrap();
    assert!(lease.backlog_nanos > 14 * 600 * SECOND, "{lease:?}");
    assert_eq!(store.lease_cells(slow, 1, 1).await.unwrap().cells, 0);
    store.adjust_cells(slow, -6).await.unwrap();
    assert_eq!(store.lease_cells(slow, 1, 10).await.unwrap().cells, 1);
}

async fn many_who_lease_never_get_more_than_the_rate_allows<Store: LimitStore + 'static>(store: Arc<Store>) {
    const EMISSION: i64 = SECOND / 100;
    const BURST: i64 = 50;
    let began = std::time::Instant::now();
    let tasks: Vec<_> = (1..=16)
        .map(|most| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut got = 0;
                for _ in 0..30 {
                    got += store.lease_cells(rate("everyone", EMISSION, BURST), 1, most).await.unwrap().cells;
                }
                got
            })
        })
        .collect();
    let mut got = 0;
    for task in tasks {
        got += task.await.unwrap();
    }
    let allowed = BURST + i64::try_from(began.elapsed().as_nanos()).unwrap() / EMISSION;
    assert!((BURST..=allowed).contains(&got), "{got} cells, {allowed} allowed");
}

fn places(replica: Uuid, lease: Duration) -> Places<'static> {
    let lease_micros = i64::try_from(lease.as_micros()).unwrap();
    Places { account: "team a", replica, limit: 10, lease_micros }
}

async fn places_are_shared(store: &dyn LimitStore) {
    let minute = Duration::from_secs(60);
    let (one, other) = (places(Uuid::now_v7(), minute), places(Uuid::now_v7(), minute));
    assert_eq!(store.lease_places(one, 7).await.unwrap(), 7);
    assert_eq!(store.lease_places(other, 7).await.unwrap(), 3);
    assert_eq!(store.lease_places(one, 2).await.unwrap(), 2);
    assert_eq!(store.lease_places(other, 7).await.unwrap(), 7);
    assert_eq!(store.lease_places(other, 20).await.unwrap(), 8);
    assert_eq!(store.lease_places(Places { account: "team b", ..one }, 20).await.unwrap(), 10);
    store.release_places(other.replica).await.unwrap();
    assert_eq!(store.lease_places(one, 20).await.unwrap(), 10);
}

async fn places_of_a_replica_that_died_come_back(store: &dyn LimitStore) {
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    let moment = Duration::from_millis(300);
    assert_eq!(store.lease_places(places(one, moment), 10).await.unwrap(), 10);
    assert_eq!(store.lease_places(places(other, moment), 1).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(150)).await;
    store.renew_places(one, 300_000).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(store.lease_places(places(other, moment), 1).await.unwrap(), 0, "a renewed lease holds");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(store.lease_places(places(other, Duration::from_secs(60)), 10).await.unwrap(), 10);
    store.renew_places(one, 60_000_000).await.unwrap();
    assert_eq!(store.lease_places(places(one, moment), 1).await.unwrap(), 0, "what ran out cannot be renewed");
    store.drop_idle_counts().await.unwrap();
    assert_eq!(store.lease_places(places(one, moment), 1).await.unwrap(), 0);
}

async fn many_who_lease_places_never_get_more_than_there_are<Store: LimitStore + 'static>(store: Arc<Store>) {
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let places = places(Uuid::now_v7(), Duration::from_secs(60));
                store.lease_places(places, 1).await.unwrap()
            })
        })
        .collect();
    let mut got = 0;
    for task in tasks {
        got += task.await.unwrap();
    }
    assert_eq!(got, 10);
}
