//! What telemetry costs a call, in time. It measures and claims nothing; to be run alone and optimised:
//! `cargo test -p sabir --no-default-features --lib --config 'profile.dev.package.sabir.opt-level=3' -- --ignored --nocapture
//! what_a_call_costs`.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use sabir_store::{Operation, Outcome};
use tonic::Code;
use uuid::Uuid;

use super::call::Open;
use super::requests::{Requests, Way};
use super::{Call, Ending, Export, Telemetry, tracer};
use crate::upstream::tests::target;

const CALLS: u32 = 200_000;

fn measure(what: &str, export: &Export) {
    let telemetry = Telemetry::new(Requests::new(sabir_proto::FILE_DESCRIPTOR_SET), 100, export);
    let (headers, target, received) = (HeaderMap::new(), target("model"), Instant::now());
    let path = "/sabir.v1.Chat/StreamChatCompletion";
    let begun = Instant::now();
    for _ in 0..CALLS {
        let call = Arc::new(Call::begin(&telemetry, Way::Http, path, &headers, None));
        call.is_for(path);
        let open = Open(Arc::clone(&call));
        let attempt = telemetry.attempt(Some(&call), Operation::Chat, &target, 1, Uuid::nil(), || true);
        std::hint::black_box(attempt.headers());
        attempt.ended(&Ending {
            outcome: Outcome::Complete,
            error: None,
            model_used: Some("model"),
            tokens: Some((100, 20)),
            first_token: Some((received, received)),
        });
        call.answered(Code::Ok);
        drop(open);
    }
    println!("{what}: {} ns a call", (begun.elapsed() / CALLS).as_nanos());
}

#[test]
#[ignore = "it measures, and takes the machine for itself"]
fn what_a_call_costs() {
    measure("metrics alone", &Export::none());
    let sending = |ratio| {
        let mut export = Export::none();
        export.tracer = Some(Arc::new(tracer::tests::tracer(ratio)));
        export
    };
    measure("with traces that are not sampled", &sending(0.0));
    measure("with two spans", &sending(1.0));
}
