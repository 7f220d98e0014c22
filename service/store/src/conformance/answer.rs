//! Claims about kept answers.

use std::future::Future;

use crate::{AnswerStore, KeptAnswer};

const NOW: i64 = 1_790_000_000_000_000;

/// Checks every claim about kept answers, each on an empty store of its own.
pub async fn answer_store<Store, Fresh, Ready>(fresh: Fresh)
where
    Store: AnswerStore,
    Fresh: Fn() -> Ready,
    Ready: Future<Output = Store>,
{
    an_answer_comes_back_until_it_expires(&fresh().await).await;
    a_later_answer_takes_the_place_of_an_earlier_one(&fresh().await).await;
    expired_answers_are_removed_and_no_others(&fresh().await).await;
}

fn answer(key: u8, text: &str) -> KeptAnswer {
    KeptAnswer {
        key: [key; 32],
        answer: text.as_bytes().to_vec(),
        model: "openai/gpt-4o-mini".to_owned(),
        at_micros: NOW,
        expires_micros: NOW + 10,
    }
}

async fn an_answer_comes_back_until_it_expires(store: &dyn AnswerStore) {
    let kept = answer(1, "\0bytes\u{fffd}");
    store.put_answer(&kept).await.unwrap();
    assert_eq!(store.get_answer(&[1; 32], NOW + 9).await.unwrap(), Some(kept));
    assert_eq!(store.get_answer(&[1; 32], NOW + 10).await.unwrap(), None);
    assert_eq!(store.get_answer(&[2; 32], NOW).await.unwrap(), None);
}

async fn a_later_answer_takes_the_place_of_an_earlier_one(store: &dyn AnswerStore) {
    let (first, late) = (answer(1, "first"), KeptAnswer { at_micros: NOW - 1, ..answer(1, "late") });
    let second = KeptAnswer { at_micros: NOW + 1, ..answer(1, "second") };
    for (put, expected) in [(&first, &first), (&late, &first), (&second, &second)] {
        store.put_answer(put).await.unwrap();
        assert_eq!(store.get_answer(&[1; 32], NOW).await.unwrap().as_ref(), Some(expected));
    }
}

async fn expired_answers_are_removed_and_no_others(store: &dyn AnswerStore) {
    for key in 1..=5 {
        store.put_answer(&KeptAnswer { expires_micros: NOW + i64::from(key), ..answer(key, "x") }).await.unwrap();
    }
    assert_eq!(store.remove_expired_answers(NOW + 3, 2).await.unwrap(), 2);
    assert_eq!(store.remove_expired_answers(NOW + 3, 2).await.unwrap(), 1);
    assert_eq!(store.remove_expired_answers(NOW + 3, 2).await.unwrap(), 0);
    for key in 1..=5 {
        let found = store.get_answer(&[key; 32], NOW).await.unwrap();
        assert_eq!(found.is_some(), key > 3, "{key}");
    }
}
