//! Sums as a table for spreadsheets: the same bytes over every protocol, whole, and with nothing in it that runs.

use sabir_proto::v1::QueryUsageRequest;
use sabir_proto::v1::query_usage_request::Dimension::{Model, Team};
use sabir_store::UsageRow;

use super::asking::{World, row};
use crate::support::{DatabaseKind, Protocol};

const FIGURES: &str = "calls,failed_calls,prompt_tokens,completion_tokens,cached_tokens,reasoning_tokens,cost_nanos";

fn by_model() -> QueryUsageRequest {
    QueryUsageRequest { group_by: vec![Model.into()], ..Default::default() }
}

#[tokio::test]
async fn names_are_cells_and_no_formulas() {
    for database in DatabaseKind::ALL {
        let world = World::on(database).await;
        let asker = world.registrar.key_for(&["usage.read"]).await;
        // In the order of their bytes, as they are named and as they are written (RFC 4180, with OWASP's quote for formulas).
        let names = [
            ("+1", "\"'+1\""),
            ("-2", "\"'-2\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("@SUM(1,2)", "\"'@SUM(1,2)\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("a,b", "\"a,b\""),
            ("openai/gpt-4o", "openai/gpt-4o"),
            ("日本", "日本"),
        ];
        let rows: Vec<UsageRow> = names.iter().map(|(name, _)| row(0, name)).collect();
        world.registrar.usage(&rows).await;
        let lines = names.map(|(_, cell)| format!("{cell},1,0,11,7,3,2,1000\r\n"));
        let expected = format!("model,{FIGURES}\r\n{}", lines.concat());
        for protocol in Protocol::ALL {
            let table = world.table(protocol, &asker, &by_model()).await.unwrap();
            assert_eq!(table, ("text/csv; charset=utf-8".to_owned(), expected.clone()), "{protocol:?}");
            // What there is none of is an empty cell, and nothing at all is a table without lines.
            let question = QueryUsageRequest { group_by: vec![Team.into()], ..Default::default() };
            let (_, table) = world.table(protocol, &asker, &question).await.unwrap();
            assert_eq!(table, format!("team_id,{FIGURES}\r\n,9,0,99,63,27,18,9000\r\n"), "{protocol:?}");
            let question = QueryUsageRequest { provider: "nobody".to_owned(), ..by_model() };
            let (_, table) = world.table(protocol, &asker, &question).await.unwrap();
            assert_eq!(table, format!("model,{FIGURES}\r\n"), "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_table_has_all_pages() {
    for database in DatabaseKind::ALL {
        let world = World::on(database).await;
        let asker = world.registrar.key_for(&["usage.read"]).await;
        // More than are read at once, and as many again: the last page is empty.
        let names: Vec<String> = (0..2_000).map(|number| format!("m{number:04}")).collect();
        let rows: Vec<UsageRow> = names.iter().map(|name| row(0, name)).collect();
        world.registrar.usage(&rows).await;
        for protocol in Protocol::ALL {
            // However few were asked for at once.
            let question = QueryUsageRequest { page_size: 3, ..by_model() };
            let (_, table) = world.table(protocol, &asker, &question).await.unwrap();
            let listed: Vec<&str> = table.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
            assert_eq!(listed, names, "{protocol:?}");
        }
    }
}
