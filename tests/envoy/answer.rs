//! Asks one probe of one transcoder, and what of the answer counts.

use std::net::SocketAddr;

use ::http::Request;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::record::Probe;
use crate::support::http;

/// The answer that is none.
pub(super) const CLOSED: &str = "the connection closes";

/// The status, the media type, the headers that the probe looks at, and the body: JSON as JSON, all else as text.
///
/// Of an error that a transcoder found itself, only the code counts: each has words of its own.
pub(super) async fn answer_of(address: SocketAddr, probe: &Probe) -> Value {
    let (verb, path) = probe.ask.split_once(' ').unwrap();
    let mut request = Request::builder().method(verb).uri(path);
    for (name, value) in &probe.headers {
        request = request.header(name, value);
    }
    let body = probe.body.clone().unwrap_or_default();
    let Ok(exchange) = http::try_http1(address, request.body(Bytes::from(body)).unwrap()).await else {
        return json!(CLOSED);
    };
    let status = exchange.status();
    let mut answer = Map::from_iter([("status".to_owned(), json!(status))]);
    let media_type = exchange.header("content-type").map(|value| value.split(';').next().unwrap().to_owned());
    for name in &probe.show {
        let value = exchange.header(name).map_or(Value::Null, |value| json!(value));
        answer.insert(name.clone(), value);
    }
    let text = whole_body(exchange).await;
    if text.is_empty() {
        return Value::Object(answer);
    }
    if media_type.as_deref() != Some("application/json") {
        answer.insert("type".to_owned(), json!(media_type));
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(error) if status >= 400 && !probe.handler_fails() => {
            answer.insert("code".to_owned(), error["code"].clone());
        }
        Ok(mut json) => {
            if status >= 400 {
                only_what_both_have(&mut json);
            }
            answer.insert("json".to_owned(), json);
        }
        Err(_) => {
            answer.insert("text".to_owned(), json!(text));
        }
    }
    Value::Object(answer)
}

/// Drops the name of the code, which is ours alone, and what is empty, and sorts details, whose order means nothing.
fn only_what_both_have(error: &mut Value) {
    let Some(members) = error.as_object_mut() else { return };
    members.remove("status");
    members.retain(|_, value| *value != json!([]) && *value != json!(""));
    if let Some(details) = members.get_mut("details").and_then(Value::as_array_mut) {
        details.sort_by_key(|detail| detail["@type"].to_string());
    }
}

/// The body to its end, and that it broke off where it did.
async fn whole_body(mut exchange: http::Exchange) -> String {
    let mut body = Vec::new();
    while let Some(piece) = exchange.next().await {
        match piece {
            Ok(piece) => body.extend_from_slice(&piece),
            Err(_) => {
                body.extend_from_slice(b"[broken off]");
                break;
            }
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}
