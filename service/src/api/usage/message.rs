//! Between the contract's words for usage and the store's.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost_types::Timestamp;
use sabir_proto::v1::query_usage_request::Dimension;
use sabir_proto::v1::{ListUsageRecordsRequest, QueryUsageRequest, UsageAttempt, UsageRecord, UsageSum};
use sabir_store::{UsageFilter, UsageGroup, UsageGrouping, UsageRow, UsageSumQuery, unix_day};
use tonic::Status;
use uuid::Uuid;

use super::super::time::{micros, timestamp};
use crate::error::field_status;

const DAY_SECONDS: i64 = 86_400;
const DAY_MICROS: i64 = DAY_SECONDS * 1_000_000;

/// The question as the store takes it.
///
/// # Errors
/// An id, a time or the page token is none, or the end is before the beginning.
pub(super) fn sum_query(request: &QueryUsageRequest) -> Result<UsageSumQuery, Status> {
    let by = |dimension: Dimension| request.group_by().any(|asked| asked == dimension);
    let (start, end) = times(request.start_time, request.end_time)?;
    Ok(UsageSumQuery {
        since_day: start.map(unix_day),
        // A day that has only begun counts whole, too.
        until_day: end.map(|end| unix_day(end + DAY_MICROS - 1)),
        key_id: id("key_id", &request.key_id)?,
        user_id: id("user_id", &request.user_id)?,
        team_id: id("team_id", &request.team_id)?,
        model: name(&request.model),
        provider: name(&request.provider),
        by: UsageGrouping {
            day: by(Dimension::Day),
            key: by(Dimension::Key),
            user: by(Dimension::User),
            team: by(Dimension::Team),
            model: by(Dimension::Model),
            provider: by(Dimension::Provider),
        },
        after: match request.page_token.as_str() {
            "" => None,
            token => Some(group(token).ok_or_else(|| field_status("page_token", "is no page token"))?),
        },
    })
}

/// Which rows are asked for.
///
/// # Errors
/// An id, a time or the page token is none, or the end is before the beginning.
pub(super) fn row_filter(request: &ListUsageRecordsRequest) -> Result<UsageFilter, Status> {
    let position = |token: &str| {
        let (started_at, id) = token.split_once('.')?;
        Some((started_at.parse().ok()?, Uuid::try_parse(id).ok()?.into_bytes()))
    };
    let (since_micros, until_micros) = times(request.start_time, request.end_time)?;
    Ok(UsageFilter {
        since_micros,
        until_micros,
        principal: None,
        key_id: id("key_id", &request.key_id)?,
        user_id: id("user_id", &request.user_id)?,
        team_id: id("team_id", &request.team_id)?,
        model_asked: name(&request.model),
        provider: name(&request.provider),
        after: match request.page_token.as_str() {
            "" => None,
            token => Some(position(token).ok_or_else(|| field_status("page_token", "is no page token"))?),
        },
    })
}

/// The token of the page of sums after this group.
pub(super) fn sum_token(group: &UsageGroup) -> String {
    let UsageGroup { day, key_id, user_id, team_id, model, provider } = group;
    let text = format!("{day} {key_id} {user_id} {team_id} {} {model}{provider}", model.len());
    URL_SAFE_NO_PAD.encode(text)
}

/// The group of a token.
fn group(token: &str) -> Option<UsageGroup> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut words = text.splitn(6, ' ');
    let day = words.next()?.parse().ok()?;
    let mut id = || Uuid::try_parse(words.next()?).ok();
    let (key_id, user_id, team_id) = (id()?, id()?, id()?);
    let length: usize = words.next()?.parse().ok()?;
    let (model, provider) = words.next()?.split_at_checked(length)?;
    // No database keeps this character, and no name has it.
    let well_formed = !model.contains('\0') && !provider.contains('\0');
    let (model, provider) = (model.to_owned(), provider.to_owned());
    well_formed.then_some(UsageGroup { day, key_id, user_id, team_id, model, provider })
}

/// The token of the page of records after this row.
pub(super) fn record_token(row: &UsageRow) -> String {
    format!("{}.{}", row.started_at_micros, Uuid::from_bytes(row.id))
}

/// A sum as the contract has it.
pub(super) fn sum_message(sum: &sabir_store::UsageSum, by: UsageGrouping) -> UsageSum {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    UsageSum {
        day: if by.day { day_text(sum.group.day) } else { String::new() },
        key_id: id_text(Some(sum.group.key_id)),
        user_id: id_text(Some(sum.group.user_id)),
        team_id: id_text(Some(sum.group.team_id)),
        model: sum.group.model.clone(),
        provider: sum.group.provider.clone(),
        calls: count(sum.calls),
        failed_calls: count(sum.failed_calls),
        prompt_tokens: count(sum.prompt_tokens),
        completion_tokens: count(sum.completion_tokens),
        cached_tokens: count(sum.cached_tokens),
        reasoning_tokens: count(sum.reasoning_tokens),
        cost_nanos: sum.cost_nanos,
    }
}

/// A row as the contract has it.
pub(super) fn record_message(row: &UsageRow) -> UsageRecord {
    let text = |name: &Option<Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
    UsageRecord {
        id: Uuid::from_bytes(row.id).to_string(),
        start_time: Some(timestamp(row.started_at_micros)),
        latency_micros: row.latency_micros,
        first_token_micros: row.first_token_micros,
        protocol: row.protocol.to_string(),
        streamed: row.streamed,
        caller: text(&row.principal),
        key_id: id_text(row.key_id),
        user_id: id_text(row.user_id),
        team_id: id_text(row.team_id),
        model: row.model_asked.to_string(),
        model_used: text(&row.model_used),
        provider: text(&row.provider),
        outcome: row.outcome.to_string(),
        grpc_code: row.grpc_code,
        prompt_tokens: row.prompt_tokens,
        completion_tokens: row.completion_tokens,
        cached_tokens: row.cached_tokens,
        reasoning_tokens: row.reasoning_tokens,
        token_source: row.token_source.to_string(),
        cost_nanos: row.cost_nanos,
        price_version: row.price_version,
        attempts: row.attempts.iter().map(attempt_message).collect(),
    }
}

fn attempt_message(attempt: &sabir_store::UsageAttempt) -> UsageAttempt {
    UsageAttempt {
        number: attempt.number,
        model: attempt.model.clone(),
        outcome: attempt.outcome.clone().into_owned(),
        after_micros: attempt.after_micros,
        latency_micros: attempt.latency_micros,
    }
}

/// A day as `2026-11-22`.
pub(super) fn day_text(day: i64) -> String {
    let midnight = Timestamp { seconds: day.saturating_mul(DAY_SECONDS), nanos: 0 }.to_string();
    midnight.split('T').next().unwrap_or_default().to_owned()
}

/// An id, or nothing for none.
fn id_text(id: Option<Uuid>) -> String {
    id.filter(|id| !id.is_nil()).map(|id| id.to_string()).unwrap_or_default()
}

fn id(field: &str, text: &str) -> Result<Option<Uuid>, Status> {
    match text {
        "" => Ok(None),
        text => Uuid::try_parse(text).map(Some).map_err(|_| field_status(field, "is no id")),
    }
}

/// A name to look for. Postgres would take the one character that it cannot keep for an error of ours.
fn name(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| Arc::from(text.replace('\0', "\u{fffd}")))
}

/// The times between which calls are asked for, in microseconds.
fn times(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<(Option<i64>, Option<i64>), Status> {
    let start = start.map(|time| micros("start_time", time)).transpose()?;
    let end = end.map(|time| micros("end_time", time)).transpose()?;
    match (start, end) {
        (Some(start), Some(end)) if end < start => Err(field_status("end_time", "is before start_time")),
        times => Ok(times),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_group() {
        let whole = UsageGroup {
            day: 20_779,
            key_id: Uuid::from_u128(1),
            user_id: Uuid::nil(),
            team_id: Uuid::from_u128(3),
            model: "a model / 日本 ".to_owned(),
            provider: "x y".to_owned(),
        };
        for wanted in [UsageGroup::default(), whole] {
            assert_eq!(group(&sum_token(&wanted)), Some(wanted));
        }
        for token in ["x", "!", "MQ", "'; DROP TABLE usage", &URL_SAFE_NO_PAD.encode("1 2 3 4 5 6")] {
            assert_eq!(group(token), None, "{token}");
        }
    }

    #[test]
    fn days_count_whole() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let asked = |start, end| QueryUsageRequest { start_time: at(start), end_time: at(end), ..Default::default() };
        let days = |request| sum_query(&request).map(|query| (query.since_day, query.until_day)).unwrap();
        assert_eq!(days(asked(0, DAY_SECONDS)), (Some(0), Some(1)));
        assert_eq!(days(asked(1, DAY_SECONDS + 1)), (Some(0), Some(2)));
        for (start, end) in [(1, 0), (i64::MAX, 0), (0, i64::MIN)] {
            assert!(sum_query(&asked(start, end)).is_err(), "{start} {end}");
        }
        assert_eq!(day_text(20_779), "2026-11-22");
    }
}
