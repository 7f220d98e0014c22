//! What is said over a socket, and how it ends.

use super::*;

#[tokio::test]
async fn messages_go_both_ways_until_the_client_ends_its_requests() {
    let server = Server::start(Config::default()).await;
    let mut client = server.open(TALK).await;
    client.say(r#"{"text":"a"}"#).await;
    assert_eq!(client.hear().await, r#"{"text":"a","room":"r"}"#, "the path is in the first message");
    client.say(r#"{"text":"b"}"#).await;
    client.say(r#"{"number":"3"}"#).await;
    assert_eq!(client.hear().await, r#"{"text":"b"}"#);
    assert_eq!(client.hear().await, r#"{"number":"3"}"#);
    client.say("").await;
    let (last, code, reason) = client.end().await;
    assert_eq!((last.to_string().as_str(), code, reason.as_str()), (r#"{"@end":{}}"#, 1000, "OK"));
    server.until(|counts| &counts.ended, 1).await;
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn a_client_stream_is_answered_once_it_has_ended() {
    let server = Server::start(Config::default()).await;
    for (path, texts, expected) in [
        ("/v1/rooms/r/notes", &[r#"{"text":"a"}"#, "{}"][..], r#"{"notes":[{"text":"a","room":"r"},{}]}"#),
        ("/v1/numbers?text=t", &["1", "2"], r#"{"notes":[{"text":"t","number":"1"},{"number":"2"}]}"#),
        ("/v1/numbers", &[], "{}"),
    ] {
        let mut client = server.open(path).await;
        for text in texts {
            client.say(text).await;
        }
        client.say("").await;
        assert_eq!(client.hear().await, expected);
        assert_eq!(client.end().await.1, 1000);
    }
}

#[tokio::test]
async fn a_server_stream_whose_rule_has_no_body_begins_at_once() {
    let server = Server::start(Config::default()).await;
    let mut client = server.open("/v1/rooms/r/watch?text=t").await;
    for _ in 0..2 {
        assert_eq!(client.hear().await, r#"{"text":"t","room":"r"}"#);
    }
    assert_eq!(client.end().await.1, 1000);
}

#[tokio::test]
async fn a_server_stream_whose_rule_has_a_body_takes_one_text() {
    let server = Server::start(Config::default()).await;
    for (text, expected) in [(r#"{"text":"t"}"#, r#"{"text":"t","room":"r"}"#), ("", r#"{"room":"r"}"#)] {
        let mut client = server.open("/v1/rooms/r/look").await;
        client.say(text).await;
        assert_eq!(client.hear().await, expected);
        assert_eq!(client.hear().await, expected);
        assert_eq!(client.end().await.1, 1000);
    }
    let mut client = server.open("/v1/rooms/r/look").await;
    client.say(r#"{"text":"endless"}"#).await;
    client.say("").await;
    client.say("{}").await;
    let failed = loop {
        let text = client.hear().await;
        if text.starts_with(r#"{"@error""#) {
            break text;
        }
    };
    assert!(failed.contains("no more messages are expected"), "{failed}");
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn an_error_of_the_handler_is_the_last_text_and_the_close_frame_names_it() {
    let server = Server::start(Config::default()).await;
    let mut client = server.open(TALK).await;
    client.say(r#"{"text":"a"}"#).await;
    client.hear().await;
    client.say(r#"{"text":"fail"}"#).await;
    assert_eq!(client.failure().await, ("NOT_FOUND".into(), "no such thing".into(), 1008));
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_said_under_its_index_and_the_call_is_dropped() {
    let server = Server::start(Config::default()).await;
    for (texts, says) in [
        (&[r#"{}"#, r#"{"number":"x"}"#][..], "[1].number: "),
        (&["{"], "[0]: malformed JSON"),
        (&["{}{}"], "[0]: malformed JSON"),
        (&[" "], "[0]: malformed JSON"),
        (&[r#"{"room":"another"}"#], "room: the body gives another value than the path"),
    ] {
        let mut client = server.open(TALK).await;
        for text in texts {
            client.say(text).await;
        }
        let mut last = client.next().await;
        while matches!(&last, Some(Message::Text(text)) if !text.starts_with(r#"{"@"#)) {
            last = client.next().await;
        }
        let Some(Message::Text(text)) = last else { panic!("{texts:?}: {last:?}") };
        assert!(text.contains(says) && text.contains("INVALID_ARGUMENT"), "{texts:?}: {text}");
        let Some(Message::Close(Some(frame))) = client.next().await else { panic!("no close frame") };
        assert_eq!(u16::from(frame.code), 1007);
    }
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn the_rules_of_the_proto_hold_over_a_socket() {
    let server = Server::start(Config::default()).await;
    for (path, texts, field) in [
        (TALK, &[r#"{"stars":5}"#, r#"{"stars":6}"#][..], "[1].stars"),
        ("/v1/rooms/r/look", &[r#"{"stars":6}"#], "stars"),
    ] {
        let mut client = server.open(path).await;
        for text in texts {
            client.say(text).await;
        }
        for _ in 1..texts.len() {
            client.hear().await;
        }
        let (last, code, reason) = client.end().await;
        assert_eq!((code, reason.as_str()), (1007, "INVALID_ARGUMENT"), "{last}");
        assert_eq!(last["@error"]["details"][0]["fieldViolations"][0]["field"], field, "{last}");
    }
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn a_binary_frame_is_not_understood() {
    let server = Server::start(Config::default()).await;
    let mut client = server.open(TALK).await;
    client.0.send(Message::binary(&b"{}"[..])).await.unwrap();
    let (status, says, code) = client.failure().await;
    assert_eq!((status.as_str(), code), ("INVALID_ARGUMENT", 1003), "{says}");
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_while_the_client_is_still_sending_it() {
    let limits = crate::Limits { max_body: 1000, ..crate::Limits::default() };
    let server = Server::start(Config { limits, ..Config::default() }).await;
    for size in [1001, 20 << 20] {
        let mut client = server.open(TALK).await;
        let text = format!("{{\"text\":\"{}\"}}", "x".repeat(size));
        client.say(&text).await;
        let (status, says, code) = client.failure().await;
        assert_eq!((status.as_str(), code), ("RESOURCE_EXHAUSTED", 1009), "{size}: {says}");
    }
    let mut client = server.open(TALK).await;
    client.say(&format!("{{\"text\":\"{}\"}}", "x".repeat(980))).await;
    assert!(client.hear().await.starts_with("{\"text\":\"x"), "what is within the limit passes");
    server.until(|counts| &counts.open, 1).await;
}

#[tokio::test]
async fn the_deadline_holds_over_a_socket() {
    let server = Server::start(Config::default()).await;
    let (response, _) = server.ask(Request::get(TALK).header("x-server-timeout", "0.1")).await;
    let mut client = Client::of(response).await;
    client.say(r#"{"text":"stall"}"#).await;
    let (status, _, code) = client.failure().await;
    assert_eq!((status.as_str(), code), ("DEADLINE_EXCEEDED", 3008));
    server.until(|counts| &counts.open, 0).await;
}
