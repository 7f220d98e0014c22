//! Claims about redaction.

use super::*;

fn all() -> Redactor {
    let kinds: Vec<String> = Redactor::KINDS.iter().map(|(kind, _)| (*kind).to_owned()).collect();
    Redactor::new(&kinds).unwrap()
}

#[test]
fn personal_data_is_replaced_by_its_kind() {
    for (text, expected) in [
        ("write to alice.o'neil+x@mail.example.co.uk, please", "write to alice.o'[email], please"),
        ("bücher@bücher.example", "[email]"),
        ("call +49 (0)89 123-456 78 now", "call [phone] now"),
        ("call 0049891234567.", "call [phone]."),
        ("(555) 867-5309 or 555.867.5309", "[phone] or [phone]"),
        ("089/1234567", "[phone]"),
        ("card 4111 1111 1111 1111, thanks", "card [card], thanks"),
        ("4111-1111-1111-1111 12", "[card]"),
        ("378282246310005", "[card]"),
    ] {
        assert_eq!(all().redact(text, usize::MAX), expected);
    }
}

#[test]
fn what_only_looks_like_it_stays() {
    for text in [
        "version 1.10.2 of 2024-01-31 at 12:30:00",
        "4111 1111 1111 1112",
        "order 7000000000000000",
        "a @ b, see fn@",
        "pi is 3.14159265",
        "the token of my esteem",
        "task-management",
    ] {
        assert_eq!(all().redact(text, usize::MAX), text);
    }
}

#[test]
fn credentials_are_replaced_whatever_is_asked_for() {
    let credentials = [
        "sk-sabir-0123456789abcdef",
        "sk-proj-AbCd_0123-456",
        "ghp_0123456789abcdef",
        "Authorization: Bearer 0123456789abcdef",
        "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "eyJhbGciOiJFZERTQSJ9",
        "postgres://sabir:hunter2hunter2@db/sabir",
        "password = hunter2hunter2",
        "{\"api_key\": \"0123456789\"}",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw",
    ];
    let redactor = Redactor::new(&[]).unwrap();
    for text in credentials {
        let kept = redactor.redact(text, usize::MAX);
        assert!(kept.contains("[credential]"), "{text}: {kept}");
        for secret in ["0123456789", "hunter2", "MC4CAQ", "c2lnbmF0", "AbCd", "eyJ"] {
            assert!(!kept.contains(secret), "{text}: {kept}");
        }
    }
    assert_eq!(redactor.redact("alice@mail.example", usize::MAX), "alice@mail.example");
}

#[test]
fn patterns_of_ones_own_are_replaced_too_and_overlaps_are_replaced_once() {
    let redactor = Redactor::new(&["email".to_owned(), "regex:[A-Z]{2}-\\d+@\\w+".to_owned()]).unwrap();
    assert_eq!(redactor.redact("see AB-12@mail.example and CD-34@x", usize::MAX), "see [email] and [redacted]");
}

#[test]
fn entries_that_mean_nothing_are_refused() {
    for wrong in ["emial", "regex:(", "regex:(?:a{1000}){1000}", ""] {
        assert!(Redactor::new(&[wrong.to_owned()]).is_err(), "{wrong}");
    }
}

#[test]
fn a_limit_leaves_no_piece_of_what_is_replaced() {
    let text = "ä card 4111 1111 1111 1111 and more";
    for limit in 0..=text.len() {
        let kept = all().redact(text, limit);
        assert!(!kept.contains('4') && !kept.contains('1'), "{limit}: {kept}");
        assert!(kept.len() <= limit + "[card]".len());
    }
    assert_eq!(all().redact("äöü", 3), "ä");
}

#[test]
fn hostile_texts_take_linear_time() {
    for piece in ["1", "1 ", "a@", "a.", "+1(", "eyJ", "sk-", "://a:", "-----BEGIN PRIVATE KEY-----", "4111-"] {
        let text = piece.repeat((1 << 18) / piece.len());
        let begun = std::time::Instant::now();
        all().redact(&text, usize::MAX);
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{piece}: {:?}", begun.elapsed());
    }
}
