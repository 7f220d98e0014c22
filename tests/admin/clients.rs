//! OAuth 2.0 clients: nobody makes one, or takes one over, that may do more than they may themselves.

use sabir_proto::v1::clients_client::ClientsClient;
use sabir_proto::v1::{CreateClientRequest, DeleteClientRequest, ListClientsRequest, RotateClientSecretRequest};
use serde_json::{Value, json};

use super::{World, grpc, text};

const CLIENTS: &str = "/v1/admin/clients";

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

impl World {
    /// Refuses to make this client.
    async fn no_client(&self, caller: &str, status: u16, name: &str, team: Option<&str>, scopes: &[&str]) {
        let team_id = team.map(str::to_owned);
        let wanted = CreateClientRequest { name: name.to_owned(), team_id, scopes: owned(scopes) };
        let twin = grpc!(self, caller, ClientsClient.create_client(wanted));
        let body = json!({"name": name, "team_id": team, "scopes": scopes});
        self.refused(caller, ("POST", CLIENTS, Some(body)), status, twin).await;
    }

    /// Refuses to give this client a new secret, or to remove it.
    async fn no_hand_on_client(&self, caller: &str, status: u16, id: &str) {
        let twin =
            grpc!(self, caller, ClientsClient.rotate_client_secret(RotateClientSecretRequest { id: id.to_owned() }));
        let path = format!("{CLIENTS}/{id}/rotate");
        self.refused(caller, ("POST", &path, Some(json!({}))), status, twin).await;
        let twin = grpc!(self, caller, ClientsClient.delete_client(DeleteClientRequest { id: id.to_owned() }));
        self.refused(caller, ("DELETE", &format!("{CLIENTS}/{id}"), None), status, twin).await;
    }

    /// Makes a client, as the administrator: its id.
    async fn client(&self, name: &str, team: Option<&str>, scopes: &[&str]) -> String {
        let made = self.done("POST", CLIENTS, Some(json!({"name": name, "team_id": team, "scopes": scopes}))).await;
        self.server.keep_secret(&text(&made, "secret"));
        text(&made["client"], "id")
    }
}

#[tokio::test]
async fn nobody_makes_a_client_that_may_do_more_than_they() {
    let world = World::new().await;
    let scopes = || owned(&["chat", "users.read", "users.write"]);
    let keeper = world.registrar.key(|key| key.scopes = scopes()).await.0;
    let models = || owned(&["scripted/echo"]);
    let confined = world.registrar.key(|key| (key.scopes, key.models) = (scopes(), models())).await.0;
    let narrow = world.registrar.team("narrow", |team| team.models = models()).await.id.to_string();
    let powerful = world.client("root", None, &["admin"]).await;
    let chatter = world.client("chatter", None, &["chat"]).await;

    for beyond in ["admin", "keys.write"] {
        world.no_client(&keeper, 403, "more", None, &["chat", beyond]).await;
    }
    world.no_client(&keeper, 400, "none", None, &["nonsense"]).await;
    world.no_client(&keeper, 400, "two\u{1b}[2J", None, &["chat"]).await;
    world.no_client(&keeper, 400, "nobody's", Some("01a20401-b2a4-743d-bbe5-d8e3ff1350cb"), &["chat"]).await;
    world.no_hand_on_client(&keeper, 403, &powerful).await;
    // A client may ask every model that its team may, or every one there is.
    world.no_client(&confined, 403, "every model", None, &["chat"]).await;
    let twin = RotateClientSecretRequest { id: chatter.clone() };
    let twin = grpc!(world, &confined, ClientsClient.rotate_client_secret(twin));
    let path = format!("{CLIENTS}/{chatter}/rotate");
    world.refused(&confined, ("POST", &path, Some(json!({}))), 403, twin).await;

    let within = json!({"name": "within", "team_id": narrow, "scopes": ["chat"]});
    assert_eq!(world.rest(&confined, "POST", CLIENTS, Some(within)).await.0, 200);
    assert_eq!(world.rest(&keeper, "POST", &path, Some(json!({}))).await.0, 200);
    let acts: Vec<Value> = world.audit().await;
    let acts: Vec<&str> = acts.iter().map(|act| act["action"].as_str().unwrap()).collect();
    let (made, rotated) = ("Clients/CreateClient", "Clients/RotateClientSecret");
    assert_eq!(acts, [rotated, made, made, made], "what was refused is no act");
}

#[tokio::test]
async fn a_team_has_its_own_clients() {
    let world = World::new().await;
    let ours = world.registrar.team("ours", |_| ()).await.id;
    let theirs = world.registrar.team("theirs", |_| ()).await.id.to_string();
    let scopes = || owned(&["chat", "users.read", "users.write"]);
    let keeper = world.registrar.key(|key| (key.scopes, key.team_id) = (scopes(), Some(ours))).await.0;
    let of_them = world.client("theirs", Some(&theirs), &["chat"]).await;
    let of_nobody = world.client("nobody's", None, &["chat"]).await;

    for id in [&of_them, &of_nobody] {
        world.no_hand_on_client(&keeper, 404, id).await;
    }
    world.no_client(&keeper, 403, "a spy", Some(&theirs), &["chat"]).await;
    // Without a word about it a client belongs to the team of who makes it.
    let wanted = CreateClientRequest { name: "ours".to_owned(), scopes: owned(&["chat"]), ..Default::default() };
    let made = grpc!(world, &keeper, ClientsClient.create_client(wanted)).unwrap();
    world.server.keep_secret(&made.secret);
    let made = made.client.unwrap();
    assert_eq!(made.team_id, Some(ours.to_string()));
    let list = grpc!(world, &keeper, ClientsClient.list_clients(ListClientsRequest::default())).unwrap();
    assert_eq!(list.clients, std::slice::from_ref(&made));
    let (_, list) = world.rest(&keeper, "GET", &format!("{CLIENTS}?team_id={theirs}"), None).await;
    assert_eq!(list["clients"], json!([]));
    // Pages have every client once, the latest first.
    let (mut ids, mut token) = (Vec::new(), String::new());
    while ids.len() < 3 {
        let page = world.done("GET", &format!("{CLIENTS}?page_size=1&page_token={token}"), None).await;
        ids.push(text(&page["clients"][0], "id"));
        token = text(&page, "next_page_token");
    }
    assert_eq!(ids, [made.id, of_nobody, of_them]);
}
