//! `sabir clients` and `sabir usage`: what a program is given to sign in with, and what it and others used.

use serde_json::{Value, json};

use super::Machine;
use crate::support::{Call, Protocol};

fn json_in(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap()
}

#[tokio::test]
async fn clients_are_made_listed_rotated_and_removed() {
    let machine = Machine::new(None).await;
    let admin = machine.create("alice", &[]).await;
    let admin = Some(admin.as_str());
    assert_eq!(machine.prints(&["clients"], admin, "").await, "There are no clients.\n");
    let made = machine.prints(&["clients", "create", "--name", "nightly"], admin, "").await;
    assert!(made.starts_with("ID ") && made.contains("nightly") && made.contains("not shown again"), "{made}");
    let secret = made.lines().nth(3).unwrap();
    machine.server.keep_secret(secret);
    let team = json_in(&machine.prints(&["teams", "create", "search", "--json"], admin, "").await);
    let team = team["id"].as_str().unwrap();
    let create = ["clients", "create", "--name", "batch", "--team", team, "--scopes", "chat", "--json"];
    let batch = json_in(&machine.prints(&create, admin, "").await);
    assert_eq!((&batch["client"]["scopes"], &batch["client"]["team_id"]), (&json!(["chat"]), &json!(team)));
    machine.server.keep_secret(batch["secret"].as_str().unwrap());

    let table = machine.prints(&["clients", "list"], admin, "").await;
    assert!(table.lines().count() == 3 && table.contains("chat,models.read") && table.contains(team), "{table}");
    assert!(!table.contains(secret), "{table}");
    let of_team = json_in(&machine.prints(&["clients", "list", "--team", team, "--json"], admin, "").await);
    assert_eq!(of_team["clients"], json!([batch["client"]]));

    let id = batch["client"]["id"].as_str().unwrap();
    let rotated = json_in(&machine.prints(&["clients", "rotate", id, "--json"], admin, "").await);
    machine.server.keep_secret(rotated["secret"].as_str().unwrap());
    assert_eq!(rotated["client"], batch["client"]);
    assert_ne!(rotated["secret"], batch["secret"]);
    let removed = machine.prints(&["clients", "delete", id], admin, "").await;
    assert_eq!(removed, format!("Client {id} is removed.\n"));
    for gone in [["clients", "rotate", id], ["clients", "delete", id]] {
        let said = machine.fails(1, &gone, admin, "").await;
        assert!(said.contains("client") && said.contains(id), "{said}");
    }
    let said = machine.fails(1, &["clients", "create", "--name", "x", "--scopes", "nonsense"], admin, "").await;
    assert!(said.contains("nonsense"), "{said}");
}

#[tokio::test]
async fn usage_is_shown_in_sums_single_calls_and_as_a_file() {
    let machine = Machine::new(None).await;
    let admin = machine.create("alice", &[]).await;
    assert_eq!(machine.prints(&["usage"], Some(&admin), "").await, "Nothing was used.\n");
    let said = machine.prints(&["usage", "--records"], Some(&admin), "").await;
    assert_eq!(said, "There are no such calls.\n");
    for protocol in Protocol::ALL {
        for model in ["scripted/echo", "scripted/fixed"] {
            let headers = vec![("authorization", format!("Bearer {admin}"))];
            let call = Call { headers, ..Call::say(model, "Hi") };
            protocol.unary(machine.server.address(), &call).await.unwrap();
        }
    }
    let rows = machine.server.usage_rows(6).await;
    let key = rows[0].key_id.unwrap().to_string();
    let admin = Some(admin.as_str());

    let words = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let table = words(&machine.prints(&["usage", "--by", "model,key"], admin, "").await);
    let titles = ["KEY", "MODEL", "CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "REASONING", "COST", "$"];
    assert_eq!(table[0], titles);
    assert_eq!(table[1][..7], [key.as_str(), "scripted/echo", "3", "0", "33", "9", "21"]);
    assert_eq!((table.len(), table[2][1].as_str()), (3, "scripted/fixed"));
    let list = ["usage", "--by", "model", "--key", &key, "--model", "scripted/fixed", "--json"];
    let list = json_in(&machine.prints(&list, admin, "").await);
    assert_eq!((list["sums"].as_array().unwrap().len(), &list["sums"][0]["calls"]), (1, &json!(3)), "{list}");
    assert_eq!(machine.prints(&["usage", "--until", "2026-01-01"], admin, "").await, "Nothing was used.\n");
    let since = machine.prints(&["usage", "--since", "2026-01-01T00:00:00Z"], admin, "").await;
    assert_eq!(words(&since)[1][0], "6", "{since}");

    // What is left out is said beside the table, and not in it.
    let output = machine.run(&["usage", "--records", "--limit", "4"], admin, "").await;
    let (shown, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(shown.starts_with("TIME ") && shown.lines().count() == 5 && shown.contains("complete"), "{shown}");
    assert!(said.contains("--limit"), "{said}");
    let output = machine.run(&["usage", "--records"], admin, "").await;
    assert_eq!((String::from_utf8(output.stdout).unwrap().lines().count(), output.stderr.len()), (7, 0));
    let records = json_in(&machine.prints(&["usage", "--records", "--key", &key, "--json"], admin, "").await);
    assert_eq!(records["records"].as_array().unwrap().len(), 6, "{records}");

    let printed = machine.prints(&["usage", "--by", "model", "--csv"], admin, "").await;
    assert!(printed.starts_with("model,calls,") && printed.contains("\r\nscripted/fixed,3,0,"), "{printed}");
    let file = machine.folder.path().join("usage.csv");
    let path = file.to_str().unwrap();
    let export = ["usage", "--by", "model", "--csv", "--output", path];
    assert_eq!(machine.prints(&export, admin, "").await, "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), printed);
    assert!(!machine.folder.path().join("usage.csv.partial").exists());
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_says_what_to_change() {
    let machine = Machine::new(None).await;
    let admin = machine.create("alice", &[]).await;
    let admin = Some(admin.as_str());
    for (arguments, hint) in [
        (&["usage", "--by", "weather"][..], "provider"),
        (&["usage", "--since", "yesterday"], "2026-11-01"),
        (&["usage", "--records", "--by", "day"], "--by"),
        (&["usage", "--output", "x.csv"], "--csv"),
        (&["usage", "--csv", "--json"], "--json"),
        (&["usage", "--limit", "0"], "--limit"),
        (&["clients", "create"], "--name"),
    ] {
        let said = machine.fails(2, arguments, admin, "").await;
        assert!(said.contains(hint), "{arguments:?}: {said}");
    }
    for (arguments, hint) in [
        (&["usage", "--since", "2026-02-01", "--until", "2026-01-01"][..], "end_time"),
        (&["usage", "--key", "mine"], "key_id"),
        (&["usage", "--csv", "--output", "nowhere/usage.csv"], "nowhere/usage.csv"),
    ] {
        let said = machine.fails(1, arguments, admin, "").await;
        assert!(said.contains(hint), "{arguments:?}: {said}");
    }
    let made = json_in(&machine.prints(&["keys", "create", "--name", "chatter", "--json"], admin, "").await);
    let chatter = made["secret"].as_str().unwrap();
    machine.server.keep_secret(chatter);
    let said = machine.fails(1, &["usage"], Some(chatter), "").await;
    assert!(said.contains("usage.read"), "{said}");
    let said = machine.fails(1, &["clients"], Some(chatter), "").await;
    assert!(said.contains("users.read"), "{said}");
}
