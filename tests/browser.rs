//! Claims about web pages: clients of gRPC-Web across origins, the documentation pages, events and WebSockets, in Chromium.
//!
//! The claims themselves are made in JavaScript, in tests/browser; here the servers are started and what only they can
//! know is checked. `scripts/install-browser` installs the browser and what drives it.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::clients::process::{Client, root};
use crate::support::{Ending, PATIENCE, script, server, world};

/// The example server as a child process. It is killed when it is dropped.
struct Hello {
    child: Child,
    address: SocketAddr,
}

impl Hello {
    async fn start() -> Self {
        let address = server::free_address();
        let mut command = Command::new(server::binary("hello"));
        command.env("HELLO_LISTEN", address.to_string()).stdin(Stdio::null());
        let mut hello = Self { child: command.spawn().unwrap(), address };
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(address).is_err() {
            assert_eq!(hello.child.try_wait().unwrap(), None, "hello ended at its start");
            assert!(Instant::now() < deadline, "hello was not ready within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        hello
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A script of tests/browser. Its pictures land in target/screenshots.
fn browser(script: &str) -> Client {
    Client::browser(script).env("SCREENSHOTS", root().join("target/screenshots"))
}

#[tokio::test]
async fn grpc_web_works_in_a_browser_across_origins() {
    let (upstream, server) = world().await;
    upstream.script("slow", script::paced(8, Duration::from_millis(100)));
    upstream.script("busy", script::rate_limited(7));
    upstream.script("cut", script::cut_mid_event());
    upstream.script("endless", script::paced(3000, Duration::from_millis(10)));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("contract.bin"), sabir_proto::FILE_DESCRIPTOR_SET).unwrap();
    std::fs::write(folder.path().join("errors.bin"), tonic_types::pb::FILE_DESCRIPTOR_SET).unwrap();
    browser("grpc_web.mjs")
        .env("SERVER", format!("http://{}", server.address()))
        .env("DESCRIPTORS", folder.path())
        .succeeds()
        .await;
    // The script keeps the browser open for a while after it left the streams: what ended them is not its end.
    let closed = Instant::now();
    let left: Vec<_> = upstream.requests().into_iter().filter(|record| record.json()["model"] == "endless").collect();
    assert_eq!(left.len(), 2);
    for record in left {
        let (ending, at) = record.ended().await;
        assert_eq!(ending, Ending::Dropped);
        assert!(closed - at > Duration::from_secs(1), "the server noticed only when the browser closed");
    }
}

#[tokio::test]
async fn the_pages_about_an_api_work_in_a_browser() {
    let hello = Hello::start().await;
    browser("pages.mjs").env("HELLO", format!("http://{}", hello.address)).succeeds().await;
}

#[tokio::test]
async fn events_and_sockets_work_in_a_browser_across_origins() {
    let hello = Hello::start().await;
    browser("streams.mjs").env("HELLO", format!("http://{}", hello.address)).succeeds().await;
}

#[tokio::test]
async fn who_authorizes_in_the_pages_can_try_a_chat() {
    let (_upstream, server, _) = crate::oauth::world("").await;
    browser("authorize.mjs")
        .env("SERVER", format!("http://{}", server.address()))
        .env("PASSWORD", crate::oauth::PASSWORD)
        .succeeds()
        .await;
}
