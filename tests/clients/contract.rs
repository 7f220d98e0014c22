//! The contract itself, as buf judges it.

use super::process::Client;

#[tokio::test]
async fn buf_finds_nothing_to_blame_in_the_contract() {
    let outcome = Client::buf().args(["lint"]).run().await;
    assert!(outcome.success && outcome.stdout.is_empty(), "{outcome}");
}
