//! Claims about HTTP with JSON, with a referee: the transcoder and Envoy's are asked the same, in front of the same
//! server. What each answers is recorded in `envoy/probes.json`; where they differ, a reason stands beside it.
//!
//! `RECORD=1 cargo test --test sabir envoy` writes down what is answered now; `git diff` shows what that changes.
//! `envoy/differences.md` is the same for reading.

mod answer;
mod process;
mod record;

use self::answer::answer_of;
use self::process::Transcoding;
use self::record::Record;
use crate::support::transcoded;

#[tokio::test(flavor = "multi_thread")]
async fn the_transcoder_and_envoy_agree_but_for_reasons() {
    let backend = transcoded::plain().await;
    let mut envoy = Transcoding::in_front_of(backend.address).await;
    let in_process = transcoded::in_process();
    let in_front = transcoded::in_front_of(&backend);

    let mut record = Record::read();
    let mut problems = record.problems();
    for probe in &mut record.probes {
        let (ours, theirs) = (answer_of(in_process.address, probe).await, envoy.answer(probe).await);
        let remote = answer_of(in_front.address, probe).await;
        if remote != ours {
            problems.push(format!("{}: a remote server makes a difference: {remote} for {ours}", probe.ask));
        }
        problems.extend(probe.compare(ours, theirs));
    }
    if std::env::var_os("RECORD").is_some() {
        record.write();
    } else if record.differences() != record::DIFFERENCES {
        problems.push("tests/envoy/differences.md is not what tests/envoy/probes.json says: record anew".to_owned());
    }
    assert!(problems.is_empty(), "{} problems:\n  {}", problems.len(), problems.join("\n  "));
}
