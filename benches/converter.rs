//! The converter against hand-written serde structs that do the same job, on the documents of a busy gateway: a chat
//! request of 20 messages with tools, and one streamed chunk.
//!
//! Criterion gives the absolute times. As those wander on a shared machine, the end of the run also measures both sides
//! by turns and prints the ratio of each pair: `cargo bench --bench converter`.
#![expect(clippy::unwrap_used, reason = "a bench ends where its input is wrong")]

#[path = "converter/chunk.rs"]
mod chunk;
#[path = "converter/names.rs"]
mod names;
#[path = "converter/request.rs"]
mod request;

use std::hint::black_box;
use std::time::{Duration, Instant};

use chunk::Chunk;
use criterion::{Criterion, Throughput};
use prost::Message;
use request::Request;
use serde::Deserialize;
use transcode::json::{Mode, Plans};

const REQUEST: &[u8] = include_bytes!("converter/request.json");
const CHUNK: &[u8] = include_bytes!("converter/chunk.json");

/// One thing to do, in two ways.
struct Pair<'a> {
    name: &'static str,
    /// The size of the JSON document in bytes.
    size: usize,
    converter: Box<dyn FnMut() + 'a>,
    serde: Box<dyn FnMut() + 'a>,
}

fn main() {
    let plans = Plans::compile(sabir_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut pairs = [
        reading::<Request>(&plans, "request, JSON to wire", "sabir.v1.CreateChatCompletionRequest", REQUEST),
        writing(&plans, "chunk, wire to JSON"),
        reading::<Chunk>(&plans, "chunk, JSON to wire", "sabir.v1.ChatCompletionChunk", CHUNK),
    ];
    let mut criterion = Criterion::default().configure_from_args();
    for pair in &mut pairs {
        let mut group = criterion.benchmark_group(pair.name);
        group.throughput(Throughput::Bytes(pair.size as u64));
        group.bench_function("converter", |bencher| bencher.iter(&mut pair.converter));
        group.bench_function("serde", |bencher| bencher.iter(&mut pair.serde));
        group.finish();
    }
    criterion.final_summary();
    pairs.iter_mut().for_each(compare);
}

/// JSON to wire bytes; on the other side through a struct that is a serde struct and a prost message in one.
fn reading<'a, T>(plans: &'a Plans, name: &'static str, message: &str, json: &'static [u8]) -> Pair<'a>
where
    T: Message + Default + PartialEq + Deserialize<'static>,
{
    let message = plans.message(message).unwrap();
    let mut wire = Vec::new();
    plans.read(message, json, Mode::Strict, &mut wire).unwrap();
    assert!(T::decode(&*wire).unwrap() == serde_json::from_slice::<T>(json).unwrap(), "{name}: the two sides disagree");
    let (mut ours, mut theirs) = (Vec::with_capacity(2 * json.len()), Vec::with_capacity(2 * json.len()));
    Pair {
        name,
        size: json.len(),
        converter: Box::new(move || {
            ours.clear();
            plans.read(message, black_box(json), Mode::Strict, &mut ours).unwrap();
            black_box(&ours);
        }),
        serde: Box::new(move || {
            theirs.clear();
            serde_json::from_slice::<T>(black_box(json)).unwrap().encode(&mut theirs).unwrap();
            black_box(&theirs);
        }),
    }
}

/// The wire bytes of a chunk to JSON; on the other side decoded by prost and serialised by serde.
fn writing<'a>(plans: &'a Plans, name: &'static str) -> Pair<'a> {
    let message = plans.message("sabir.v1.ChatCompletionChunk").unwrap();
    let mut wire = Vec::new();
    plans.read(message, CHUNK, Mode::Strict, &mut wire).unwrap();
    let their_wire = wire.clone();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    plans.write(message, &wire, &mut ours).unwrap();
    serde_json::to_writer(&mut theirs, &Chunk::decode(&*wire).unwrap()).unwrap();
    assert!(ours == theirs && ours == CHUNK.trim_ascii(), "{name}: the two sides disagree");
    Pair {
        name,
        size: ours.len(),
        converter: Box::new(move || {
            ours.clear();
            plans.write(message, black_box(&wire), &mut ours).unwrap();
            black_box(&ours);
        }),
        serde: Box::new(move || {
            theirs.clear();
            let chunk = Chunk::decode(black_box(&*their_wire)).unwrap();
            serde_json::to_writer(&mut theirs, &chunk).unwrap();
            black_box(&theirs);
        }),
    }
}

/// Measures both sides by turns, so that both meet the same disturbances, and prints the medians and their ratio.
#[expect(clippy::print_stdout, reason = "the result of the run")]
fn compare(pair: &mut Pair<'_>) {
    const ROUNDS: usize = 400;
    /// Long enough for the clock, short enough that few rounds are interrupted.
    const ROUND: Duration = Duration::from_micros(500);
    let once = time(&mut pair.converter, 100) / 100;
    let repeats = (ROUND.as_nanos() / once.as_nanos().max(1)).clamp(1, 10_000) as u32;
    let (mut ours, mut theirs) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        ours.push(time(&mut pair.converter, repeats));
        theirs.push(time(&mut pair.serde, repeats));
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    let median = |times: &[Duration]| times[ROUNDS / 2].as_secs_f64() * 1e9 / f64::from(repeats);
    let (ours, theirs) = (median(&ours), median(&theirs));
    println!("{:<24} converter {ours:>8.0} ns   serde {theirs:>8.0} ns   ratio {:.2}", pair.name, ours / theirs);
}

fn time(work: &mut dyn FnMut(), repeats: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..repeats {
        work();
    }
    start.elapsed()
}
