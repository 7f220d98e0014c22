//! The converter: JSON to bytes, bytes to JSON, and the check of bytes from a stranger.
//!
//! An input is a byte that chooses the message type, a byte that says whether the rest is JSON, and the rest.

use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::value::RawValue;

use super::mutate::Random;
use super::{kind, run};
use crate::generate::{Entropy, Shape, message, pool, source};
use crate::json::{MessageId, Mode, Plans, ReadErrorKind};

/// How many schemas of each shape.
const SCHEMAS: usize = 12;

/// A message type to be converted.
struct Subject {
    plans: std::rc::Rc<Plans>,
    id: MessageId,
    descriptor: MessageDescriptor,
    shape: Shape,
}

#[test]
#[ignore = "runs for as long as FUZZ_SECONDS says"]
fn nothing_breaks_the_converter() {
    let mut random = Random::new(7);
    let mut subjects = Vec::new();
    let mut pieces: Vec<Vec<u8>> = PIECES.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    for shape in [Shape::Canonical, Shape::Optioned] {
        for _ in 0..SCHEMAS {
            let pool = pool(&source(&mut Entropy::new(&random.bytes(300)), shape));
            let plans = std::rc::Rc::new(Plans::from_pool(&pool, false).unwrap());
            for index in 0..3 {
                let descriptor = pool.get_message_by_name(&format!("g.M{index}")).unwrap();
                let id = plans.message(descriptor.full_name()).unwrap();
                for field in descriptor.fields() {
                    pieces.push(format!("\"{}\":", field.json_name()).into_bytes());
                    pieces.push([field.number() << 3 | 2].iter().flat_map(|key| varint(*key)).collect());
                }
                subjects.push(Subject { plans: plans.clone(), id, descriptor, shape });
            }
        }
    }
    let mut seeds = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        for _ in 0..20 {
            let entropy = random.bytes(200);
            let wire = message(&mut Entropy::new(&entropy), &subject.descriptor).encode_to_vec();
            let mut json = Vec::new();
            subject.plans.write(subject.id, &wire, &mut json).unwrap();
            seeds.push([&[index as u8, 0], &*wire].concat());
            seeds.push([&[index as u8, 1], &*json].concat());
        }
    }
    run("converter", seeds, &pieces, |input| {
        let [which, json, data @ ..] = input else { return 0 };
        let subject = &subjects[usize::from(*which) % subjects.len()];
        if json % 2 == 0 { subject.wire(data) } else { subject.json(data) }
    });
}

const PIECES: [&str; 34] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "false",
    "\"\"",
    "1e5",
    "-0.0",
    "\"NaN\"",
    "\"-Infinity\"",
    "1e400",
    "18446744073709551616",
    "\"9223372036854775808\"",
    "\\ud800",
    "\\ude00",
    "\\u0000",
    "\"1970-01-01T00:00:00Z\"",
    "\"-315576000000.999999999s\"",
    "\"fooBar,a.b\"",
    "\"@type\":\"type.googleapis.com/g.M0\"",
    "\"@type\":\"a/google.protobuf.Value\"",
    "\"value\":",
    "\"type\":",
    "\"E_ONE\"",
    "\"one \\\"1\\\"\"",
    "\"_-8=\"",
    "\u{feff}",
    "\u{7f}",
    "{\"a\":{\"a\":[[",
    "\"more\":{\"x\":\"1\"}",
];

fn varint(mut value: u32) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

impl Subject {
    /// What is read is a message by every measure, and comes back from its JSON.
    fn json(&self, json: &[u8]) -> u64 {
        let mut outcome = 0;
        for mode in [Mode::Strict, Mode::Lenient] {
            let mut wire = vec![7];
            if let Err(error) = self.plans.read(self.id, json, mode, &mut wire) {
                assert_eq!(wire, [7], "what was there stays");
                assert!(error.message().len() < 2000, "{error}");
                outcome ^= kind("read", Some(error.message()));
                continue;
            }
            let wire = &wire[1..];
            assert!(wire.len() <= 64 + json.len() * 8, "{} bytes became {}", json.len(), wire.len());
            self.plans.check(self.id, wire).unwrap();
            DynamicMessage::decode(self.descriptor.clone(), wire).unwrap();
            outcome ^= self.round_trip(wire, mode, true);
        }
        outcome
    }

    /// The check knows what a message is, and what is written is JSON.
    fn wire(&self, wire: &[u8]) -> u64 {
        let checked = self.plans.check(self.id, wire);
        let decoded = DynamicMessage::decode(self.descriptor.clone(), wire);
        match (&checked, &decoded) {
            (Ok(()), Err(error)) => panic!("the check lets through what is no message: {error}"),
            // The oracle takes a field of another wire type, and a group that is not well-formed, for unknown fields.
            (Err(error), Ok(_)) if self.shape == Shape::Canonical => {
                let lax = ["well-formed", "wire type"].iter().any(|words| error.message().contains(words));
                assert!(lax, "the check refuses a message: {error}");
            }
            _ => {}
        }
        let outcome = kind("check", checked.as_ref().err().map(|error| error.message()));
        if checked.is_err() {
            // What did not pass the check is written at nobody's request, but must not do harm either.
            let mut json = vec![7];
            if self.plans.write(self.id, wire, &mut json).is_err() {
                assert_eq!(json, [7]);
            }
            return outcome;
        }
        outcome ^ self.round_trip(wire, Mode::Strict, false)
    }

    /// Writes a message; what is written is JSON, and is read as what is written again.
    fn round_trip(&self, wire: &[u8], mode: Mode, read_before: bool) -> u64 {
        let mut json = vec![];
        if let Err(error) = self.plans.write(self.id, wire, &mut json) {
            assert!(!read_before, "{error}");
            assert!(json.is_empty());
            return kind("write", Some(&error.to_string()));
        }
        let text = String::from_utf8(json).unwrap();
        serde_json::from_str::<&RawValue>(&text).unwrap();
        // Options can say what JSON cannot say again, such as an additional member of a name that the schema has.
        if self.shape == Shape::Optioned && !read_before {
            return kind("written", None);
        }
        let mut back = Vec::new();
        match self.plans.read(self.id, text.as_bytes(), mode, &mut back) {
            Ok(()) => {}
            // Bytes may nest deeper than JSON: a list is a level of JSON alone.
            Err(error) if error.kind() == ReadErrorKind::TooDeep => return kind("read back", Some(error.message())),
            Err(error) => panic!("{error}: {text}"),
        }
        let mut again = Vec::new();
        self.plans.write(self.id, &back, &mut again).unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), text);
        kind("written and read", None)
    }
}
