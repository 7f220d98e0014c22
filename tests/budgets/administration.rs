//! Budgets and prices are administered.

use super::*;

#[tokio::test]
async fn budgets_are_made_seen_changed_and_removed() {
    let world = World::new("");
    let server = world.server().await;
    let at = server.address();
    let model =
        json!({"subject_kind": "model", "subject": "scripted/spend", "period": "week", "warn_percents": [90, 50]});
    let id = budget(at, DOLLAR, model).await;
    let other = budget(at, 5, json!({"hard": false})).await;
    let path = format!("/v1/admin/budgets/{id}");
    let (status, seen) = administer(at, "GET", &path, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&seen["subject_kind"], &seen["subject"], &seen["period"]),
        (&json!("model"), &json!("scripted/spend"), &json!("week"))
    );
    assert_eq!(
        (&seen["warn_percents"], &seen["hard"], &seen["amount_nanos"]),
        (&json!([50, 90]), &json!(true), &json!(DOLLAR))
    );
    assert_eq!((&seen["state"]["spent_nanos"], &seen["state"]["remaining_nanos"]), (&json!(0), &json!(DOLLAR)));
    assert!(seen["state"]["reset_time"].is_string() && seen["create_time"].is_string(), "{seen}");

    let ids = async |query: &str| {
        let (status, list) = administer(at, "GET", &format!("/v1/admin/budgets?{query}"), Value::Null).await;
        assert_eq!(status, 200, "{list}");
        let ids: Vec<String> =
            list["budgets"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        (ids, list["next_page_token"].as_str().unwrap().to_owned())
    };
    assert_eq!(ids("").await.0, [other.clone(), id.clone()]);
    assert_eq!(ids("subject_kind=model&subject=scripted/spend").await.0, std::slice::from_ref(&id));
    let (page, token) = ids("page_size=1").await;
    assert_eq!(page, std::slice::from_ref(&other));
    assert_eq!(ids(&format!("page_size=1&page_token={token}")).await.0, std::slice::from_ref(&id));

    let (status, changed) = administer(at, "PATCH", &path, json!({"amount_nanos": 7, "warn_percents": []})).await;
    assert_eq!((status, &changed["amount_nanos"], &changed["hard"]), (200, &json!(7), &json!(true)), "{changed}");
    assert_eq!(changed["warn_percents"], json!([]));
    let (status, gone) = administer(at, "DELETE", &path, Value::Null).await;
    assert_eq!((status, gone), (200, json!({})));
    assert_eq!(administer(at, "GET", &path, Value::Null).await.0, 404);
    assert_eq!(administer(at, "DELETE", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_budget_that_makes_no_sense_is_refused() {
    let world = World::new("");
    let server = world.server().await;
    let team = "0198c0de-0000-7000-8000-000000000000";
    for (body, field) in [
        (json!({}), "subject"),
        (json!({"subject_kind": "everyone"}), "amount_nanos"),
        (json!({"subject_kind": "everyone", "amount_nanos": -1}), "amount_nanos"),
        (json!({"subject_kind": "everyone", "amount_nanos": 2_000_000_000_000_000_000_i64}), "amount_nanos"),
        (json!({"subject_kind": "everyone", "subject": "me", "amount_nanos": 1}), "subject"),
        (json!({"subject_kind": "team", "subject": "'; DROP TABLE budget; --", "amount_nanos": 1}), "subject"),
        (json!({"subject_kind": "team", "subject": team, "amount_nanos": 1}), "subject"),
        (json!({"subject_kind": "model", "subject": "x".repeat(600), "amount_nanos": 1}), "subject"),
        (json!({"subject_kind": "everyone", "amount_nanos": 1, "warn_percents": [101]}), "warn_percents"),
        (json!({"subject_kind": "everyone", "amount_nanos": 1, "warn_percents": [5, 5]}), "warn_percents"),
        (json!({"subject_kind": "everyone", "amount_nanos": 1, "period": "fortnight"}), "period"),
        (json!({"subject_kind": "everyone", "amount_nanos": 1, "amount": 1}), "amount"),
    ] {
        let (status, answer) = administer(server.address(), "POST", "/v1/admin/budgets", body.clone()).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer.to_string().contains(field), "{body}: {answer}");
    }
    let id = budget(server.address(), 1, json!({})).await;
    let path = format!("/v1/admin/budgets/{id}");
    for body in [json!({}), json!({"period": "day"}), json!({"subject_kind": "team", "subject": team})] {
        assert_eq!(administer(server.address(), "PATCH", &path, body).await.0, 400);
    }
    assert_eq!(administer(server.address(), "GET", "/v1/admin/budgets/7", Value::Null).await.0, 400);
}

#[tokio::test]
async fn prices_have_versions_and_count_on_every_server() {
    let world = World::new("");
    let first = world.server().await;
    let second = world.server_on(&first.database()).await;
    let at = first.address();
    let (status, now) = administer(at, "GET", "/v1/admin/prices", Value::Null).await;
    assert_eq!((status, &now["version"], &now["source"]), (200, &json!(1), &json!("file")), "{now}");
    assert_eq!(now["checksum"].as_str().unwrap().len(), 64);
    let star = &now["prices"][0];
    assert_eq!(
        (&star["pattern"], &star["output_nanos"], &star["reasoning_nanos"]),
        (&json!("scripted/*"), &json!(20_000_000_000_i64), &json!(20_000_000_000_i64))
    );

    let dearer = json!([{"pattern": "scripted/*", "input_nanos": 0, "output_nanos": 40_000_000_000_i64}]);
    let import = async |body: Value| administer(at, "POST", "/v1/admin/prices:import", body).await;
    let (status, tried) = import(json!({"prices": dearer, "validate_only": true})).await;
    assert_eq!((status, &tried["version"]), (200, &json!(1)));
    let patterns: Vec<_> = tried["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["before"]["output_nanos"].clone(), one["after"]["output_nanos"].clone()))
        .collect();
    assert_eq!(patterns, [(json!(20_000_000_000_i64), json!(40_000_000_000_i64)), (json!(0), Value::Null)]);
    assert_eq!(import(json!({"prices": dearer, "expected_version": 7})).await.0, 409);
    let (status, done) = import(json!({"prices": dearer, "expected_version": 1})).await;
    assert_eq!((status, &done["version"], &done["checksum"]), (200, &json!(2), &tried["checksum"]), "{done}");
    let (status, again) = import(json!({"prices": dearer})).await;
    assert_eq!((status, &again["version"], &again["changes"]), (200, &json!(2), &json!([])), "nothing new");

    known_everywhere().await;
    for server in [&first, &second] {
        Protocol::Rest.unary(server.address(), &call("scripted/spend")).await.unwrap();
    }
    for row in first.usage_rows(2).await {
        assert_eq!((row.cost_nanos, row.price_version), (i64::from(row.completion_tokens) * 40_000, Some(2)));
    }
    // The file of the configuration was in force already: a server that starts leaves what was imported since.
    let third = world.server_on(&first.database()).await;
    let (_, versions) = administer(third.address(), "GET", "/v1/admin/prices/versions", Value::Null).await;
    let numbers: Vec<_> = versions["versions"].as_array().unwrap().iter().map(|one| one["version"].clone()).collect();
    assert_eq!(numbers, [2, 1]);
    let (_, before) = administer(at, "GET", "/v1/admin/prices?version=1", Value::Null).await;
    assert_eq!(before["checksum"], now["checksum"]);
    assert_eq!(administer(at, "GET", "/v1/admin/prices?version=9", Value::Null).await.0, 404);

    let twice = json!({"pattern": "a/b", "input_nanos": 1, "output_nanos": 1});
    for wrong in [
        json!([twice, twice]),
        json!([{"pattern": "a/b"}]),
        json!([{"pattern": "", "input_nanos": 1, "output_nanos": 1}]),
        json!([{"pattern": "a", "input_nanos": -1, "output_nanos": 1}]),
    ] {
        assert_eq!(import(json!({"prices": wrong})).await.0, 400, "{wrong}");
    }
}
