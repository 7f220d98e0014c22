//! Claims about canonical ProtoJSON, made by protobuf's own conformance test runner.
//!
//! The runner sends some 1,700 documents and messages to `transcode`'s example `conformance_testee` and judges what comes
//! back. `scripts/install-conformance` installs it; expected failures are listed beside its package with their reasons.

use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn canonical_json_is_what_protobufs_own_runner_expects() {
    let folder = Path::new(ROOT).join("target/clients/conformance");
    let runner = folder.join("runner");
    assert!(runner.is_file(), "the conformance test runner is not there; run scripts/install-conformance");
    // target/PROFILE/deps/sabir-0123456789abcdef
    let tests = std::env::current_exe().unwrap();
    let testee = tests.parent().and_then(Path::parent).unwrap().join("examples/conformance_testee");
    assert!(testee.is_file(), "there is no {}; build it with `cargo build -p transcode --examples`", testee.display());
    let output = tempfile::tempdir().unwrap();
    let run = Command::new(runner)
        .args(["--enforce_recommended", "--failure_list"])
        .arg(Path::new(ROOT).join("tests/clients/conformance/expected-failures.txt"))
        .arg("--output_dir")
        .arg(output.path())
        .arg(testee)
        .arg(folder.join("protos"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    // CONFORMANCE SUITE PASSED: 1757 successes, 1021 skipped, 1 expected failures, 0 unexpected failures.
    let verdict = said.lines().find(|line| line.starts_with("CONFORMANCE SUITE PASSED: ")).expect(&said);
    let successes: usize = verdict.split(' ').nth(3).and_then(|count| count.parse().ok()).expect(verdict);
    assert!(successes >= 1700, "the runner had less to ask than it has: {verdict}");
    assert!(verdict.ends_with(" 1 expected failures, 0 unexpected failures."), "{verdict}");
}
