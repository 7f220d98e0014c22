//! What those learn who guess: nothing, and slower each time.

use std::time::{Duration, Instant};

use super::{PASSWORD, form, sign_in, text, world};

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let (_upstream, server, registrar) = world("").await;
    registrar.user("nobody's", |user| user.password_hash = None).await;
    let wrong = sign_in(&server, "alice", "guess").await;
    for name in ["nobody", "nobody's", "", "' OR 1=1 --", "al\0ice", "alice "] {
        let unknown = sign_in(&server, name, PASSWORD).await;
        assert_eq!((unknown.status, &unknown.body), (400, &wrong.body), "{name:?}");
    }
    assert_eq!(text(&wrong, "error"), "invalid_grant");
}

#[tokio::test]
async fn an_unknown_user_takes_the_time_of_a_known_one() {
    let (_upstream, server, registrar) = world("[auth.tokens]\nattempts_per_address = 0\n").await;
    // With the effort that the server itself makes.
    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for number in 0..4 {
        registrar.user(&format!("known{number}"), |user| user.password_hash = Some(HASH.to_owned())).await;
    }
    let mut times: [Vec<Duration>; 2] = Default::default();
    sign_in(&server, "warm", "up").await;
    for number in 0..16 {
        for (kind, name) in ["known", "unknown"].into_iter().enumerate() {
            let begun = Instant::now();
            assert_eq!(sign_in(&server, &format!("{name}{}", number % 4), "guess").await.status, 400);
            times[kind].push(begun.elapsed());
        }
    }
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    assert!(unknown * 2 > known && known * 2 > unknown, "known {known:?}, unknown {unknown:?}");
}

#[tokio::test]
async fn guessing_a_password_is_slowed_down() {
    let (_upstream, server, registrar) = world("").await;
    registrar.user("bob", |user| user.password_hash = Some(super::password_hash())).await;
    for name in ["alice", "nobody"] {
        for _ in 0..5 {
            assert_eq!(sign_in(&server, name, "guess").await.status, 400);
        }
        let too_soon = sign_in(&server, name, PASSWORD).await;
        assert_eq!(too_soon.status, 429, "{name}: even if the password were right");
        assert!((1..=2).contains(&too_soon.retry_after.unwrap()), "{too_soon:?}");
    }
    assert_eq!(sign_in(&server, "bob", PASSWORD).await.status, 200, "others are let in");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(sign_in(&server, "alice", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_address_that_guesses_many_names_is_slowed_down() {
    let (_upstream, server, _) = world("").await;
    let mut refused = None;
    for number in 0..40 {
        let answer = sign_in(&server, &format!("name{number}"), "guess").await;
        if answer.status == 429 {
            refused = Some(number);
            break;
        }
    }
    assert_eq!(refused, Some(20));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_the_words_of_oauth() {
    let (_upstream, server, _) = world("").await;
    let alice = [("username", "alice"), ("password", PASSWORD)];
    type Form<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Form<'_>, u16, &str); 6] = [
        (&[], 400, "invalid_request"),
        (&[("grant_type", "authorization_code")], 400, "unsupported_grant_type"),
        (&[("grant_type", "client_credentials")], 401, "invalid_client"),
        (&[("grant_type", "client_credentials"), ("client_id", "x"), ("client_secret", "y")], 401, "invalid_client"),
        (&[("grant_type", "password"), ("scope", "keys.write"), alice[0], alice[1]], 400, "invalid_scope"),
        (&[("grant_type", "refresh_token"), ("refresh_token", "rt-sabir-x")], 400, "invalid_grant"),
    ];
    for (pairs, status, error) in cases {
        let answer = form(&server, "/v1/auth/token", pairs).await;
        assert_eq!((answer.status, text(&answer, "error")), (status, error), "{pairs:?}");
    }
    let unknown =
        form(&server, "/v1/auth/token", &[("grant_type", "password"), ("resource", "x"), alice[0], alice[1]]).await;
    assert_eq!(unknown.status, 200, "parameters that are not known are ignored");
    let long = "x".repeat(1 << 20);
    let huge = form(&server, "/v1/auth/token", &[("grant_type", "password"), ("username", &long)]).await;
    assert_eq!((huge.status, text(&huge, "error")), (413, "invalid_request"));
}
