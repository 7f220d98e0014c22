//! Claims about gRPC itself: gRPC's own interoperability client finds nothing wrong with the transcoder, in front of
//! services of the same process and in front of a remote server, on Sabir's accept loop.
//!
//! The cases and what they check: <https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md>.

use crate::clients::process::Client;
use crate::support::transcoded::{self, Served};

/// Every case of the Go client but those that need TLS and credentials of a cloud (`*_creds`, `*_credentials`,
/// `oauth2_auth_token`) and those of xDS's load reports (`orca_*`), which are a service of their own.
const CASES: [&str; 17] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
    "pick_first_unary",
    "rpc_soak",
    "channel_soak",
];

async fn every_case_passes(server: &Served) {
    let port = server.address.port().to_string();
    for case in CASES {
        let client = Client::grpc_interop().args(["--server_host", "127.0.0.1", "--server_port", &port]);
        let outcome = client.args(["--test_case", case]).run().await;
        assert!(outcome.success, "{case}: {outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcs_own_client_finds_nothing_wrong_with_services_in_the_process() {
    every_case_passes(&transcoded::in_process()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcs_own_client_finds_nothing_wrong_with_a_remote_server() {
    let remote = transcoded::plain().await;
    every_case_passes(&transcoded::in_front_of(&remote)).await;
}

/// That the client can fail: what it calls is a server that has no such service.
#[tokio::test(flavor = "multi_thread")]
async fn grpcs_own_client_notices_what_is_wrong() {
    let (_upstream, sabir) = crate::support::world().await;
    let port = sabir.address().port().to_string();
    let client = Client::grpc_interop().args(["--server_host", "127.0.0.1", "--server_port", &port]);
    let outcome = client.args(["--test_case", "empty_unary"]).run().await;
    assert!(!outcome.success && outcome.stderr.contains("Unimplemented"), "{outcome}");
}
