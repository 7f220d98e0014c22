//! Claims about every schema and every message, checked on generated ones; prost-reflect is the oracle.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use proptest::{prop_assert, prop_assert_eq};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage as _};

use crate::generate::{Entropy, Shape, message, pool, source};
use crate::json::{MessageId, Mode, Plans};

/// How many schemas are generated for a claim; each has several messages.
const SCHEMAS: u32 = 40;

/// A schema and what its messages are made from.
fn cases() -> impl Strategy<Value = (Vec<u8>, Vec<Vec<u8>>)> {
    (vec(any::<u8>(), 0..160), vec(vec(any::<u8>(), 0..200), 1..12))
}

/// Runs `claim` on every message of every generated case.
fn for_every_message(shape: Shape, claim: impl Fn(&Plans, MessageId, &DynamicMessage) -> Result<(), TestCaseError>) {
    let config = Config { cases: SCHEMAS, max_shrink_iters: 400, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new(config).run(&cases(), |(schema, messages)| {
        let source = source(&mut Entropy::new(&schema), shape);
        let pool = pool(&source);
        let plans =
            Plans::from_pool(&pool, false).map_err(|error| TestCaseError::fail(format!("{error}: {source}")))?;
        for (index, bytes) in messages.iter().enumerate() {
            let descriptor = descriptor(&pool, index % 3);
            let message = message(&mut Entropy::new(bytes), &descriptor);
            claim(&plans, plans.message(descriptor.full_name()).unwrap(), &message)
                .map_err(|error| TestCaseError::fail(format!("{error}\n{source}\n{message}")))?;
        }
        Ok(())
    });
    // The bytes that the case was made from say nothing; the schema and the message do.
    match checked {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => panic!("{reason}"),
        Err(error) => panic!("{error}"),
    }
}

fn descriptor(pool: &DescriptorPool, index: usize) -> MessageDescriptor {
    pool.get_message_by_name(&format!("g.M{index}")).unwrap()
}

fn write(plans: &Plans, id: MessageId, wire: &[u8]) -> Result<String, TestCaseError> {
    let mut json = Vec::new();
    plans.write(id, wire, &mut json).map_err(|error| TestCaseError::fail(error.to_string()))?;
    Ok(String::from_utf8(json).unwrap())
}

fn read(plans: &Plans, id: MessageId, json: &str) -> Result<Vec<u8>, TestCaseError> {
    let mut wire = Vec::new();
    plans
        .read(id, json.as_bytes(), Mode::Strict, &mut wire)
        .map_err(|error| TestCaseError::fail(format!("{error}: {json}")))?;
    plans
        .check(id, &wire)
        .map_err(|error| TestCaseError::fail(format!("{error}: what was read does not pass the check")))?;
    Ok(wire)
}

/// The oracle's JSON of a message, numbers by value: `1.0` is `1`.
fn oracle(message: &DynamicMessage) -> serde_json::Value {
    by_value(serde_json::from_str(&serde_json::to_string(message).unwrap()).unwrap())
}

fn by_value(json: serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Number(number) => number.as_f64().unwrap().into(),
        serde_json::Value::Array(items) => items.into_iter().map(by_value).collect(),
        serde_json::Value::Object(members) => members.into_iter().map(|(name, json)| (name, by_value(json))).collect(),
        other => other,
    }
}

#[test]
fn canonical_json_is_what_the_oracle_writes() {
    for_every_message(Shape::Canonical, |plans, id, message| {
        let json = write(plans, id, &message.encode_to_vec())?;
        let ours: serde_json::Value =
            serde_json::from_str(&json).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(by_value(ours), oracle(message));
        Ok(())
    });
}

#[test]
fn what_the_oracle_writes_is_read_as_it_was() {
    for_every_message(Shape::Canonical, |plans, id, message| {
        let wire = read(plans, id, &serde_json::to_string(message).unwrap())?;
        let back = DynamicMessage::decode(message.descriptor(), &*wire).unwrap();
        prop_assert_eq!(oracle(&back), oracle(message));
        Ok(())
    });
}

#[test]
fn messages_come_back_from_json_and_json_comes_back_from_messages() {
    for shape in [Shape::Canonical, Shape::Optioned] {
        for_every_message(shape, |plans, id, message| {
            let json = write(plans, id, &message.encode_to_vec())?;
            let wire = read(plans, id, &json)?;
            prop_assert_eq!(&write(plans, id, &wire)?, &json);
            let back = DynamicMessage::decode(message.descriptor(), &*wire).unwrap();
            prop_assert_eq!(oracle(&back), oracle(message), "{}", json);
            Ok(())
        });
    }
}

#[test]
fn a_message_in_two_halves_is_the_same_message() {
    // On the wire, fields may be parted and put end to end: the last scalar counts, messages merge, lists go on.
    for_every_message(Shape::Canonical, |plans, id, message| {
        let wire = message.encode_to_vec();
        let twice = [&*wire, &*wire].concat();
        let merged = DynamicMessage::decode(message.descriptor(), &*twice).unwrap();
        let json = write(plans, id, &twice)?;
        prop_assert_eq!(by_value(serde_json::from_str(&json).unwrap()), oracle(&merged));
        Ok(())
    });
}

#[test]
fn cut_bytes_are_an_error_or_a_message() {
    for_every_message(Shape::Optioned, |plans, id, message| {
        let wire = message.encode_to_vec();
        for cut in 0..wire.len() {
            let mut json = Vec::new();
            match (plans.check(id, &wire[..cut]), plans.write(id, &wire[..cut], &mut json)) {
                (Ok(()), Ok(())) => prop_assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&json).is_ok()),
                (_, Err(_)) => prop_assert!(json.is_empty()),
                (Err(_), Ok(())) => {}
            }
        }
        Ok(())
    });
}
