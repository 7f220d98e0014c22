//! Validation of a chat request of 20 messages with tools, as every protocol passes it at the gate: the transcoder's own
//! walk, the check of bytes that come from a stranger beside it, and protovalidate's engine on the same bytes.
//!
//! `cargo bench --bench validation`.
#![expect(clippy::unwrap_used, reason = "a bench ends where its input is wrong")]

use criterion::{Criterion, Throughput};
use transcode::json::Mode;
use transcode::validate::{Engine as _, Validator};
use transcode_protovalidate::Protovalidate;

const NAME: &str = "sabir.v1.CreateChatCompletionRequest";
const REQUEST: &[u8] = include_bytes!("converter/request.json");

fn main() {
    let validator = Validator::new(sabir_proto::FILE_DESCRIPTOR_SET, &[NAME], None).unwrap();
    let engine = Protovalidate::new(sabir_proto::FILE_DESCRIPTOR_SET).unwrap();
    let plans = validator.plans();
    let message = plans.message(NAME).unwrap();
    let mut wire = Vec::new();
    plans.read(message, REQUEST, Mode::Strict, &mut wire).unwrap();
    assert!(validator.violations(message, &wire).unwrap().is_empty());
    assert!(engine.violations(NAME, &wire).unwrap().is_empty());

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("request of 20 messages");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    group.bench_function("validated", |bencher| bencher.iter(|| validator.validate(message, &wire).is_ok()));
    group.bench_function("checked", |bencher| bencher.iter(|| plans.check(message, &wire).is_ok()));
    group.bench_function("validated by protovalidate", |bencher| {
        bencher.iter(|| engine.violations(NAME, &wire).is_ok());
    });
    group.finish();
    criterion.final_summary();
}
