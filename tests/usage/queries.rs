//! Sums and single calls as those see them who may: by key, team, model and day, in pages, and no further than their team.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use sabir_proto::v1::query_usage_request::Dimension::{self, Day, Key, Model, Provider, Team};
use sabir_proto::v1::{ListUsageRecordsRequest, QueryUsageRequest, UsageSum};
use sabir_store::UsageRow;
use uuid::Uuid;

use super::asking::{World, row};
use crate::support::{Call, DatabaseKind, Protocol, script};

const DAY_SECONDS: i64 = 86_400;

fn by(dimensions: &[Dimension]) -> QueryUsageRequest {
    let group_by = dimensions.iter().map(|&dimension| dimension.into()).collect();
    QueryUsageRequest { group_by, page_size: 1_000, ..Default::default() }
}

/// What rows add up to, in the order of the groups.
fn added_up<'a>(rows: impl Iterator<Item = &'a UsageRow>, dimensions: &[Dimension]) -> Vec<UsageSum> {
    let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let mut sums: BTreeMap<Vec<String>, UsageSum> = BTreeMap::new();
    for row in rows {
        let told = |dimension: Dimension, text: String| {
            if dimensions.contains(&dimension) { text } else { String::new() }
        };
        let midnight = Timestamp { seconds: row.started_at_micros.div_euclid(1_000_000), nanos: 0 }.to_string();
        let group = vec![
            told(Day, midnight[..10].to_owned()),
            told(Key, text(row.key_id)),
            told(Dimension::User, text(row.user_id)),
            told(Team, text(row.team_id)),
            told(Model, row.model_asked.to_string()),
            told(Provider, row.provider.as_deref().unwrap_or_default().to_owned()),
        ];
        let sum = sums.entry(group.clone()).or_insert_with(|| UsageSum {
            day: group[0].clone(),
            key_id: group[1].clone(),
            user_id: group[2].clone(),
            team_id: group[3].clone(),
            model: group[4].clone(),
            provider: group[5].clone(),
            ..Default::default()
        });
        sum.calls += 1;
        sum.failed_calls += i64::from(row.grpc_code != 0);
        sum.prompt_tokens += i64::from(row.prompt_tokens);
        sum.completion_tokens += i64::from(row.completion_tokens);
        sum.cached_tokens += i64::from(row.cached_tokens);
        sum.reasoning_tokens += i64::from(row.reasoning_tokens);
        sum.cost_nanos += row.cost_nanos;
    }
    sums.into_values().collect()
}

#[tokio::test]
async fn what_was_used_is_told_apart_by_key_team_model_and_day() {
    for database in DatabaseKind::ALL {
        let world = World::on(database).await;
        world.upstream.script("broken", script::failing(500, "server_error", None, "The engine broke"));
        let registrar = &world.registrar;
        let (search, ads) = (registrar.team("search", |_| ()).await, registrar.team("ads", |_| ()).await);
        let (key, row) = registrar.key(|key| key.team_id = Some(search.id)).await;
        let (other, _) = registrar.key(|key| key.team_id = Some(ads.id)).await;
        let asker = registrar.key_for(&["usage.read"]).await;
        for protocol in Protocol::ALL {
            for (key, model) in [(&key, "echo"), (&key, "echo"), (&key, "fixed"), (&other, "echo"), (&other, "broken")]
            {
                let headers = vec![("authorization", format!("Bearer {key}"))];
                let call = Call { headers, ..Call::say(&format!("scripted/{model}"), "Hi") };
                assert_eq!(protocol.unary(world.server.address(), &call).await.is_ok(), model != "broken");
            }
        }
        let rows = world.server.usage_rows(15).await;

        for protocol in Protocol::ALL {
            let sums = async |question: QueryUsageRequest| {
                let page = world.sums(protocol, &asker, &question).await.unwrap();
                assert_eq!(page.next_page_token, "", "{protocol:?}");
                page.sums
            };
            for dimensions in [&[][..], &[Key], &[Team], &[Model], &[Day], &[Provider], &[Model, Day, Key]] {
                let expected = added_up(rows.iter(), dimensions);
                assert_eq!(sums(by(dimensions)).await, expected, "{protocol:?} {dimensions:?}");
            }
            let of_key = sums(QueryUsageRequest { key_id: row.id.to_string(), ..by(&[Model]) }).await;
            let calls = |sums: &[UsageSum]| -> Vec<(String, i64, i64)> {
                sums.iter().map(|sum| (sum.model.clone(), sum.calls, sum.failed_calls)).collect()
            };
            let expected = [("scripted/echo".to_owned(), 6, 0), ("scripted/fixed".to_owned(), 3, 0)];
            assert_eq!(calls(&of_key), expected, "{protocol:?}");
            assert_eq!((of_key[0].prompt_tokens, of_key[0].completion_tokens), (66, 42), "{protocol:?}");
            let of_team = sums(QueryUsageRequest { team_id: ads.id.to_string(), ..by(&[]) }).await;
            assert_eq!(calls(&of_team), [(String::new(), 6, 3)], "{protocol:?}");
            let of_model = sums(QueryUsageRequest { model: "scripted/broken".to_owned(), ..by(&[]) }).await;
            assert_eq!(calls(&of_model), [(String::new(), 3, 3)], "{protocol:?}");

            let question = ListUsageRecordsRequest { key_id: row.id.to_string(), ..Default::default() };
            let records = world.records(protocol, &asker, &question).await.unwrap().records;
            assert_eq!(
                records,
                world.records(Protocol::Grpc, &asker, &question).await.unwrap().records,
                "{protocol:?}"
            );
            let expected = rows.iter().rev().filter(|one| one.key_id == Some(row.id));
            let expected: Vec<_> = expected.map(|row| (Uuid::from_bytes(row.id).to_string(), row.protocol)).collect();
            assert_eq!(records.len(), 9, "{protocol:?}");
            for (record, (id, stored)) in records.iter().zip(expected) {
                assert_eq!((&record.id, &record.protocol), (&id, &stored.to_string()), "{protocol:?}");
                assert_eq!(record.caller, format!("key {}", row.id), "{protocol:?}");
                assert_eq!((record.team_id.clone(), record.outcome.as_str()), (search.id.to_string(), "complete"));
            }
        }
    }
}

#[tokio::test]
async fn days_and_times_are_where_they_are_said_to_be() {
    for database in DatabaseKind::ALL {
        let world = World::on(database).await;
        let asker = world.registrar.key_for(&["usage.read"]).await;
        let rows: Vec<UsageRow> = (0..5).map(|day| row(day * DAY_SECONDS, "m")).collect();
        world.registrar.usage(&rows).await;
        let start = |row: &UsageRow| row.started_at_micros.div_euclid(1_000_000);
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let midnight = |row: &UsageRow| start(row).div_euclid(DAY_SECONDS) * DAY_SECONDS;
        for protocol in Protocol::ALL {
            // From within the day of the fourth row to the midnight at which the second's day begins.
            let (start_time, end_time) = (at(midnight(&rows[3]) + 1), at(midnight(&rows[1])));
            let sums = world.sums(protocol, &asker, &QueryUsageRequest { start_time, end_time, ..by(&[Day]) }).await;
            assert_eq!(sums.unwrap().sums, added_up(rows[2..=3].iter(), &[Day]), "{protocol:?}");
            let (start_time, end_time) = (at(start(&rows[3])), at(start(&rows[1])));
            let question = ListUsageRecordsRequest { start_time, end_time, ..Default::default() };
            let records = world.records(protocol, &asker, &question).await.unwrap().records;
            let ids: Vec<_> = records.into_iter().map(|record| record.id).collect();
            let expected: Vec<_> = rows[2..=3].iter().map(|row| Uuid::from_bytes(row.id).to_string()).collect();
            assert_eq!(ids, expected, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn pages_have_every_row_once_whichever_protocol_turns_them() {
    for database in DatabaseKind::ALL {
        let world = World::on(database).await;
        let asker = world.registrar.key_for(&["usage.read"]).await;
        let keys = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
        let models = ["a b", "a,b", "日本/\u{1f600}", "=1+1", "'; DROP TABLE usage; --", "%_"];
        let mut rows = Vec::new();
        for number in 0..40 {
            let row = row(2 * DAY_SECONDS + number / 2 * 20_000, models[number as usize % models.len()]);
            rows.push(UsageRow { key_id: Some(keys[number as usize % keys.len()]), ..row });
        }
        world.registrar.usage(&rows).await;
        let dimensions = [Day, Key, Model];
        let expected = added_up(rows.iter(), &dimensions);
        let mut latest: Vec<&UsageRow> = rows.iter().collect();
        latest.sort_by_key(|row| std::cmp::Reverse((row.started_at_micros, row.id)));
        let latest: Vec<String> = latest.iter().map(|row| Uuid::from_bytes(row.id).to_string()).collect();

        let until = rows.iter().map(|row| row.started_at_micros).max().unwrap() / 1_000_000 + 1;
        let end_time = Some(Timestamp { seconds: until, nanos: 0 });
        for size in [1, 7, 20] {
            let mut question = QueryUsageRequest { page_size: size, end_time, ..by(&dimensions) };
            let mut sums = Vec::new();
            // A token goes on over another protocol than the one that gave it.
            for protocol in Protocol::ALL.into_iter().cycle() {
                let page = world.sums(protocol, &asker, &question).await.unwrap();
                assert!(page.sums.len() <= size as usize && sums.len() <= expected.len());
                sums.extend(page.sums);
                question.page_token = page.next_page_token;
                if question.page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(sums, expected, "{size}");

            let mut question = ListUsageRecordsRequest { page_size: size, end_time, ..Default::default() };
            let mut ids = Vec::new();
            for protocol in Protocol::ALL.into_iter().cycle() {
                let page = world.records(protocol, &asker, &question).await.unwrap();
                assert!(page.records.len() <= size as usize && ids.len() <= latest.len());
                ids.extend(page.records.into_iter().map(|record| record.id));
                question.page_token = page.next_page_token;
                if question.page_token.is_empty() {
                    break;
                }
                // Calls go on to be made meanwhile, and move no page.
                world.registrar.usage(&[row(0, "meanwhile")]).await;
            }
            assert_eq!(ids, latest, "{size}");
        }
    }
}

#[tokio::test]
async fn who_belongs_to_a_team_sees_what_counts_for_it() {
    for database in DatabaseKind::ALL {
        let world = World::on(database).await;
        let registrar = &world.registrar;
        let (ours, theirs) = (registrar.team("ours", |_| ()).await.id, registrar.team("theirs", |_| ()).await.id);
        let (our_key, their_key) = (Uuid::now_v7(), Uuid::now_v7());
        let of = |team, key, model: &str| UsageRow { team_id: team, key_id: Some(key), ..row(10, model) };
        let rows = [of(Some(ours), our_key, "m"), of(Some(theirs), their_key, "m"), of(None, Uuid::now_v7(), "m")];
        registrar.usage(&rows).await;
        let scopes = |scopes: &[&str]| scopes.iter().map(|&scope| scope.to_owned()).collect();
        let (member, _) = registrar.key(|key| (key.team_id, key.scopes) = (Some(ours), scopes(&["usage.read"]))).await;
        let (admin, _) = registrar.key(|key| (key.team_id, key.scopes) = (Some(ours), scopes(&["admin"]))).await;
        let (chatter, _) = registrar.key(|key| key.team_id = Some(ours)).await;

        for protocol in Protocol::ALL {
            // The number of calls in sums, lines of the table below its titles, and records, which are the same here.
            let seen = async |key: &str, team_id: String, key_id: String| {
                let question = QueryUsageRequest { team_id, key_id, ..by(&[Key]) };
                let sums = world.sums(protocol, key, &question).await.unwrap().sums.len();
                let table = world.table(protocol, key, &question).await.unwrap().1;
                let QueryUsageRequest { team_id, key_id, .. } = question;
                let question = ListUsageRecordsRequest { team_id, key_id, ..Default::default() };
                let records = world.records(protocol, key, &question).await.unwrap().records.len();
                assert_eq!((table.lines().count() - 1, records), (sums, sums), "{protocol:?}: {table}");
                sums
            };
            let none = String::new;
            assert_eq!(seen(&admin, none(), none()).await, 3, "{protocol:?}");
            assert_eq!(seen(&admin, theirs.to_string(), none()).await, 1, "{protocol:?}");
            for (team_id, key_id, expected) in [
                (none(), none(), 1),
                (ours.to_string(), none(), 1),
                (none(), our_key.to_string(), 1),
                (theirs.to_string(), none(), 0),
                (none(), their_key.to_string(), 0),
                (theirs.to_string(), their_key.to_string(), 0),
            ] {
                let about = format!("{protocol:?} {team_id} {key_id}");
                assert_eq!(seen(&member, team_id, key_id).await, expected, "{about}");
            }
            let refused = world.sums(protocol, &chatter, &by(&[])).await.unwrap_err();
            assert_eq!(refused.code, "PERMISSION_DENIED", "{protocol:?}");
            let refused = world.table(protocol, &chatter, &by(&[])).await.unwrap_err();
            assert_eq!(refused.code, "PERMISSION_DENIED", "{protocol:?}");
            let refused = world.records(protocol, &chatter, &Default::default()).await.unwrap_err();
            assert_eq!(refused.code, "PERMISSION_DENIED", "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_told_which_field_is_wrong() {
    for database in DatabaseKind::ALL {
        let world = World::on(database).await;
        let asker = world.registrar.key_for(&["usage.read"]).await;
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let question = QueryUsageRequest::default;
        let cases = [
            ("page_token", QueryUsageRequest { page_token: "nonsense".to_owned(), ..question() }),
            ("page_token", QueryUsageRequest { page_token: "'; DROP TABLE usage".to_owned(), ..question() }),
            ("page_size", QueryUsageRequest { page_size: 1_001, ..question() }),
            ("page_size", QueryUsageRequest { page_size: -1, ..question() }),
            ("end_time", QueryUsageRequest { start_time: at(2_000_000), end_time: at(1_000_000), ..question() }),
            ("key_id", QueryUsageRequest { key_id: "' OR 1=1".to_owned(), ..question() }),
            ("user_id", QueryUsageRequest { user_id: "x".to_owned(), ..question() }),
            ("team_id", QueryUsageRequest { team_id: "x".repeat(65), ..question() }),
            ("model", QueryUsageRequest { model: "x".repeat(257), ..question() }),
        ];
        for protocol in Protocol::ALL {
            for (field, asked) in &cases {
                let failures = [
                    world.sums(protocol, &asker, asked).await.unwrap_err(),
                    world.table(protocol, &asker, asked).await.unwrap_err(),
                    world.records(protocol, &asker, &same(asked)).await.unwrap_err(),
                ];
                for failure in failures {
                    let said = (failure.code.as_str(), failure.field.as_deref());
                    assert_eq!(said, ("INVALID_ARGUMENT", Some(*field)), "{protocol:?} {asked:?}: {failure:?}");
                }
            }
            let unknown = QueryUsageRequest { group_by: vec![99], ..question() };
            let failure = world.sums(protocol, &asker, &unknown).await.unwrap_err();
            assert!(
                failure.field.as_deref().is_some_and(|field| field.starts_with("group_by")),
                "{protocol:?}: {failure:?}"
            );
        }
        // JSON has no such time; a message can hold it.
        for protocol in [Protocol::Grpc, Protocol::GrpcWeb] {
            let asked = QueryUsageRequest { start_time: at(i64::MAX), ..question() };
            let failure = world.records(protocol, &asker, &same(&asked)).await.unwrap_err();
            assert_eq!(failure.field.as_deref(), Some("start_time"), "{protocol:?}");
        }
    }
}

/// The same question about single calls.
fn same(question: &QueryUsageRequest) -> ListUsageRecordsRequest {
    let QueryUsageRequest {
        start_time,
        end_time,
        key_id,
        user_id,
        team_id,
        model,
        provider,
        page_size,
        page_token,
        ..
    } = question.clone();
    ListUsageRecordsRequest { start_time, end_time, key_id, user_id, team_id, model, provider, page_size, page_token }
}
