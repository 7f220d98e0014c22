//! The suite that every database passes. A database crate calls [`usage_store`] and the others from its tests with a way
//! to get an empty store; whatever the claims below say then holds for all of them.
#![expect(clippy::unwrap_used, reason = "tests")]

mod answer;
mod budget;
mod capture;
mod identity;
mod limits;
mod tokens;
mod usage;

use std::{future::Future, sync::Arc};

pub use answer::answer_store;
pub use budget::{budget_store, sample_budget, sample_report};
pub use capture::{capture_store, sample_capture};
pub use identity::{identity_store, sample_audit, sample_key, sample_team, sample_user};
pub use limits::{limit_store, sample_limit};
pub use tokens::token_store;
pub use usage::usage_sum_store;

use crate::{
    BatchConfig, Operation, Outcome, Protocol, TokenSource, UsageAttempt, UsageFilter, UsageRow, UsageStore,
    UsageWriter,
};

/// Checks every claim, each on an empty store of its own.
pub async fn usage_store<Store, Fresh, Ready>(fresh: Fresh)
where
    Store: UsageStore + 'static,
    Fresh: Fn() -> Ready,
    Ready: Future<Output = Store>,
{
    an_empty_store_is_empty(&fresh().await).await;
    rows_come_back_as_they_were_written(&fresh().await).await;
    every_size_of_batch_is_written_whole(&fresh().await).await;
    a_row_given_twice_is_stored_once(&fresh().await).await;
    the_latest_start_comes_first(&fresh().await).await;
    filters_select(&fresh().await).await;
    pages_follow_one_another(&fresh().await).await;
    nothing_is_lost_when_many_tasks_write(Arc::new(fresh().await)).await;
}

/// A plausible row; different numbers give different rows, and a higher number a later start.
pub fn sample_row(number: u64) -> UsageRow {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    UsageRow {
        id,
        started_at_micros: 1_790_000_000_000_000 + number as i64 * 1_000,
        latency_micros: 523_000,
        first_token_micros: Some(120_000),
        protocol: Protocol::Rest,
        operation: Operation::Chat,
        streamed: number % 2 == 1,
        principal: None,
        key_id: Some(uuid::Uuid::from_u128(1)),
        user_id: None,
        team_id: Some(uuid::Uuid::from_u128(2)),
        model_asked: "openai/gpt-4o-mini".into(),
        model_used: Some("gpt-4o-mini-2024-07-18".into()),
        provider: Some("openai".into()),
        outcome: Outcome::Complete,
        grpc_code: 0,
        prompt_tokens: 1_234,
        completion_tokens: 567,
        cached_tokens: 1_024,
        reasoning_tokens: 64,
        token_source: TokenSource::Reported,
        cost_nanos: 525_300,
        price_version: Some(3),
        attempts: match number % 3 {
            0 => Vec::new(),
            count => (1..=u32::try_from(count).unwrap()).map(sample_attempt).collect(),
        },
    }
}

fn sample_attempt(number: u32) -> UsageAttempt {
    UsageAttempt {
        number,
        model: "openai/gpt-\"4o\"".to_owned(),
        outcome: if number == 1 { "rate_limited".into() } else { UsageAttempt::SERVED.into() },
        after_micros: 1_000 * i64::from(number),
        latency_micros: 900,
    }
}

/// Sixteen tasks write 10,000 rows through the batcher; afterwards all of them are there. For stores that are empty.
pub async fn nothing_is_lost_when_many_tasks_write<Store: UsageStore + 'static>(store: Arc<Store>) {
    const TASKS: u64 = 16;
    const ROWS: u64 = 10_000;
    let config = BatchConfig { capacity: 256, ..BatchConfig::default() };
    let writer = UsageWriter::start(store.clone(), config);
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let writer = writer.clone();
            tokio::spawn(async move {
                for number in (task..ROWS).step_by(TASKS as usize) {
                    writer.reserve().await.unwrap().record(sample_row(number));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(writer.close().await, 0);
    assert_eq!(store.count().await.unwrap(), ROWS);
}

async fn all(store: &dyn UsageStore) -> Vec<UsageRow> {
    store.list(&UsageFilter::default(), u32::MAX).await.unwrap()
}

async fn an_empty_store_is_empty(store: &dyn UsageStore) {
    assert_eq!(store.count().await.unwrap(), 0);
    assert_eq!(all(store).await, []);
    store.insert(&[]).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 0);
}

async fn rows_come_back_as_they_were_written(store: &dyn UsageStore) {
    let mut rows = Vec::new();
    let mut add = |change: &dyn Fn(&mut UsageRow)| {
        let mut row = sample_row(rows.len() as u64);
        change(&mut row);
        rows.push(row);
    };
    for &protocol in Protocol::ALL {
        add(&|row| row.protocol = protocol);
    }
    for &operation in Operation::ALL {
        add(&|row| row.operation = operation);
    }
    for &outcome in Outcome::ALL {
        add(&|row| row.outcome = outcome);
    }
    for &source in TokenSource::ALL {
        add(&|row| row.token_source = source);
    }
    for code in 0..=16 {
        add(&|row| row.grpc_code = code);
    }
    add(&|row| {
        row.cost_nanos = i64::MAX / 2;
        row.price_version = None;
    });
    add(&|row| {
        row.first_token_micros = None;
        row.model_used = None;
        row.provider = None;
    });
    add(&|row| {
        row.principal = Some("key 'é' \"日本\" \\ 🦀; --".into());
        row.model_asked = "".into();
    });
    add(&|row| {
        row.latency_micros = i64::MAX;
        row.prompt_tokens = u32::MAX;
        row.completion_tokens = u32::MAX;
        row.cached_tokens = u32::MAX;
        row.reasoning_tokens = u32::MAX;
        row.id = [0xff; 16];
    });
    add(&|row| row.streamed = true);
    add(&|row| row.streamed = false);
    store.insert(&rows).await.unwrap();
    rows.reverse();
    assert_eq!(all(store).await, rows);
}

async fn every_size_of_batch_is_written_whole(store: &dyn UsageStore) {
    let mut written = 0;
    for size in [1, 2, 63, 64, 65, 127, 128, 129, 512, 1_000] {
        let rows: Vec<_> = (written..written + size).map(sample_row).collect();
        store.insert(&rows).await.unwrap();
        written += size;
        assert_eq!(store.count().await.unwrap(), written, "after a batch of {size}");
    }
    let expected: Vec<_> = (0..written).rev().map(sample_row).collect();
    assert_eq!(all(store).await, expected);
}

async fn a_row_given_twice_is_stored_once(store: &dyn UsageStore) {
    let rows: Vec<_> = (0..100).map(sample_row).collect();
    store.insert(&rows[..60]).await.unwrap();
    store.insert(&rows).await.unwrap();
    store.insert(&[rows[0].clone(), rows[0].clone()]).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 100);

    let mut same_time = rows[0].clone();
    same_time.id = [9; 16];
    let mut same_id = rows[0].clone();
    same_id.started_at_micros -= 1;
    store.insert(&[same_time, same_id]).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 102, "time and id make a row what it is, not one of them");
}

async fn the_latest_start_comes_first(store: &dyn UsageStore) {
    let rows: Vec<_> = [3, 1, 4, 0, 2].into_iter().map(sample_row).collect();
    store.insert(&rows).await.unwrap();
    let listed = store.list(&UsageFilter::default(), 3).await.unwrap();
    assert_eq!(listed, [sample_row(4), sample_row(3), sample_row(2)]);
}

async fn filters_select(store: &dyn UsageStore) {
    let mut rows: Vec<_> = (0..10).map(sample_row).collect();
    rows[3].principal = Some("alice".into());
    rows[4].principal = Some("alice".into());
    rows[5].principal = Some("bob".into());
    rows[4].model_asked = "local/small".into();
    store.insert(&rows).await.unwrap();
    let selected = async |filter: UsageFilter| {
        let mut selected = store.list(&filter, 100).await.unwrap();
        selected.reverse();
        selected
    };

    let alice = UsageFilter { principal: Some("alice".into()), ..UsageFilter::default() };
    assert_eq!(selected(alice.clone()).await, rows[3..=4]);
    let model_asked = Some("local/small".into());
    assert_eq!(selected(UsageFilter { model_asked, ..alice.clone() }).await, rows[4..=4]);
    let (since_micros, until_micros) = (Some(rows[2].started_at_micros), Some(rows[4].started_at_micros));
    let window = UsageFilter { since_micros, until_micros, ..UsageFilter::default() };
    assert_eq!(selected(window).await, rows[2..4]);
    assert_eq!(selected(UsageFilter { until_micros, ..alice }).await, rows[3..4]);
    let nobody = UsageFilter { principal: Some("carol".into()), ..UsageFilter::default() };
    assert_eq!(selected(nobody).await, []);

    rows.truncate(1);
    let mut other = rows[0].clone();
    other.id = [7; 16];
    (other.key_id, other.user_id, other.team_id) = (None, Some(uuid::Uuid::from_u128(3)), None);
    other.provider = None;
    store.insert(std::slice::from_ref(&other)).await.unwrap();
    let user_id = UsageFilter { user_id: other.user_id, ..UsageFilter::default() };
    assert_eq!(selected(user_id).await, [other.clone()]);
    for filter in [
        UsageFilter { key_id: rows[0].key_id, ..UsageFilter::default() },
        UsageFilter { team_id: rows[0].team_id, ..UsageFilter::default() },
        UsageFilter { provider: rows[0].provider.clone(), ..UsageFilter::default() },
    ] {
        let found = selected(filter).await;
        assert_eq!((found.len(), found.contains(&other)), (10, false));
    }
}

async fn pages_follow_one_another(store: &dyn UsageStore) {
    let mut rows: Vec<_> = (0..10).map(sample_row).collect();
    // Some start at the same time, and are told apart by their ids.
    rows.iter_mut().for_each(|row| row.started_at_micros -= row.started_at_micros % 4_000);
    store.insert(&rows).await.unwrap();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(&UsageFilter { after, ..UsageFilter::default() }, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.started_at_micros, last.id));
        listed.extend(page);
    }
    rows.reverse();
    assert_eq!(listed, rows);
}
