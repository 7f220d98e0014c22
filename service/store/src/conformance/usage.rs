//! What every database claims about the sums of usage, and about letting go of old rows.

use std::future::Future;

use uuid::Uuid;

use super::sample_row;
use crate::{
    UsageFilter, UsageGroup, UsageGrouping, UsageRow, UsageStore, UsageSum, UsageSumQuery, UsageSumStore, unix_day,
};

/// Checks every claim, each on an empty store of its own.
pub async fn usage_sum_store<Store, Fresh, Ready>(fresh: Fresh)
where
    Store: UsageStore + UsageSumStore + 'static,
    Fresh: Fn() -> Ready,
    Ready: Future<Output = Store>,
{
    sums_are_those_of_the_rows(&fresh().await).await;
    a_row_counts_once(&fresh().await).await;
    pages_of_groups_follow_one_another(&fresh().await).await;
    sums_stay_when_old_rows_go(&fresh().await).await;
}

/// Rows of five days, three keys, two models and several endings.
fn rows() -> Vec<UsageRow> {
    let mut rows: Vec<_> = (0..300).map(sample_row).collect();
    for (number, row) in rows.iter_mut().enumerate() {
        row.started_at_micros += (number as i64 % 5) * 86_400_000_000;
        row.key_id = (number % 3 > 0).then(|| Uuid::from_u128(number as u128 % 3));
        row.user_id = (number % 7 > 3).then(|| Uuid::from_u128(number as u128 % 7));
        row.prompt_tokens = number as u32;
        row.grpc_code = i32::from(number % 11 == 0);
        if number % 2 == 0 {
            row.model_asked = "local/small".into();
        }
        if number % 13 == 0 {
            row.provider = None;
        }
    }
    rows
}

/// The sum as it should be, by hand.
fn expected(rows: &[UsageRow], select: impl Fn(&UsageRow) -> bool, group: UsageGroup) -> UsageSum {
    let mut sum = UsageSum { group, ..UsageSum::default() };
    for row in rows.iter().filter(|row| select(row)) {
        sum.calls += 1;
        sum.failed_calls += u64::from(row.grpc_code != 0);
        sum.prompt_tokens += u64::from(row.prompt_tokens);
        sum.completion_tokens += u64::from(row.completion_tokens);
        sum.cached_tokens += u64::from(row.cached_tokens);
        sum.reasoning_tokens += u64::from(row.reasoning_tokens);
        sum.cost_nanos += row.cost_nanos;
    }
    sum
}

async fn sums_are_those_of_the_rows<Store: UsageStore + UsageSumStore>(store: &Store) {
    let sums = async |query: UsageSumQuery| store.sum_usage(&query, 1_000).await.unwrap();
    assert_eq!(sums(UsageSumQuery::default()).await, []);
    let rows = rows();
    store.insert(&rows).await.unwrap();

    let all = expected(&rows, |_| true, UsageGroup::default());
    assert_eq!(sums(UsageSumQuery::default()).await, [all]);
    let first_day = unix_day(rows[0].started_at_micros);
    for (key, day) in [(None, None), (Some(1), None), (Some(2), Some(3))] {
        let query = UsageSumQuery {
            key_id: key.map(Uuid::from_u128),
            since_day: day.map(|day| first_day + day),
            until_day: day.map(|day| first_day + day + 1),
            by: UsageGrouping { day: true, key: true, ..UsageGrouping::default() },
            ..UsageSumQuery::default()
        };
        let found = sums(query).await;
        assert_eq!(found.len(), if day.is_some() { 1 } else { 5 * key.map_or(3, |_| 1) });
        for sum in &found {
            let of = |row: &UsageRow| {
                unix_day(row.started_at_micros) == sum.group.day && row.key_id.unwrap_or_default() == sum.group.key_id
            };
            assert_eq!(*sum, expected(&rows, of, sum.group.clone()));
        }
    }
    let by = UsageGrouping { model: true, provider: true, user: true, team: true, ..UsageGrouping::default() };
    for sum in sums(UsageSumQuery { by, ..UsageSumQuery::default() }).await {
        let of = |row: &UsageRow| {
            let model = row.provider.as_ref().map_or("", |_| &*row.model_asked);
            row.user_id.unwrap_or_default() == sum.group.user_id
                && row.team_id.unwrap_or_default() == sum.group.team_id
                && (model, row.provider.as_deref().unwrap_or("")) == (&*sum.group.model, &*sum.group.provider)
        };
        assert_eq!(sum, expected(&rows, of, sum.group.clone()));
    }
    let small = UsageSumQuery {
        model: Some("local/small".into()),
        provider: Some("openai".into()),
        user_id: Some(Uuid::from_u128(4)),
        team_id: Some(Uuid::from_u128(2)),
        ..UsageSumQuery::default()
    };
    let of = |row: &UsageRow| {
        &*row.model_asked == "local/small" && row.provider.is_some() && row.user_id == Some(Uuid::from_u128(4))
    };
    assert_eq!(sums(small).await, [expected(&rows, of, UsageGroup::default())]);
    let nobody = UsageSumQuery { key_id: Some(Uuid::from_u128(99)), ..UsageSumQuery::default() };
    assert_eq!(sums(nobody).await, []);
}

async fn a_row_counts_once<Store: UsageStore + UsageSumStore>(store: &Store) {
    let rows = rows();
    store.insert(&rows[..200]).await.unwrap();
    store.insert(&rows).await.unwrap();
    store.insert(&[rows[0].clone(), rows[0].clone()]).await.unwrap();
    let sums = store.sum_usage(&UsageSumQuery::default(), 10).await.unwrap();
    assert_eq!(sums, [expected(&rows, |_| true, UsageGroup::default())]);
}

async fn pages_of_groups_follow_one_another<Store: UsageStore + UsageSumStore>(store: &Store) {
    store.insert(&rows()).await.unwrap();
    let by = UsageGrouping { day: true, key: true, user: true, team: true, model: true, provider: true };
    let whole = store.sum_usage(&UsageSumQuery { by, ..UsageSumQuery::default() }, 10_000).await.unwrap();
    assert!(whole.len() > 100 && whole.is_sorted_by_key(|sum| &sum.group));
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let query = UsageSumQuery { by, after: after.take(), ..UsageSumQuery::default() };
        let page = store.sum_usage(&query, 17).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.group.clone());
        listed.extend(page);
    }
    assert_eq!(listed, whole);
}

async fn sums_stay_when_old_rows_go<Store: UsageStore + UsageSumStore>(store: &Store) {
    let now = sample_row(0).started_at_micros;
    let rows = |range: std::ops::Range<u64>, days_ago: i64| -> Vec<UsageRow> {
        let mut rows: Vec<_> = range.map(sample_row).collect();
        rows.iter_mut().for_each(|row| row.started_at_micros -= days_ago * 86_400_000_000);
        rows
    };
    // Some rows come before there is room made for their month.
    store.insert(&rows(0..10, 0)).await.unwrap();
    assert_eq!(store.tend_usage(now, None).await.unwrap(), 0);
    store.insert(&rows(10..20, 0)).await.unwrap();
    store.insert(&rows(20..30, 100)).await.unwrap();
    store.insert(&rows(30..40, 70)).await.unwrap();
    assert_eq!(store.tend_usage(now, None).await.unwrap(), 0);
    assert_eq!(store.count().await.unwrap(), 40);

    assert!(store.tend_usage(now, Some(now - 35 * 86_400_000_000)).await.unwrap() > 0);
    assert_eq!(store.count().await.unwrap(), 20);
    assert_eq!(store.list(&UsageFilter::default(), 1).await.unwrap(), rows(19..20, 0));
    assert_eq!(store.sum_usage(&UsageSumQuery::default(), 1).await.unwrap()[0].calls, 40);
    assert_eq!(store.tend_usage(now, Some(now - 35 * 86_400_000_000)).await.unwrap(), 0);

    // Much later, everything has gone; the next months are ready.
    let later = now + 400 * 86_400_000_000;
    store.tend_usage(later, Some(later)).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 0);
    let mut row = sample_row(1);
    row.started_at_micros = later;
    store.insert(&[row]).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 1);
}
