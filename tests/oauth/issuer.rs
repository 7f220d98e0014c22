//! An OpenID Connect provider of somebody else's making, from its login form to a call.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::{INVALID, code, let_in, refused, world};
use crate::clients::process::installed;
use crate::support::http::http1;
use crate::support::{PATIENCE, Protocol, server};

/// The provider as a child process. It is killed when it is dropped.
struct Provider {
    child: Child,
    address: std::net::SocketAddr,
}

impl Provider {
    async fn start() -> Self {
        let address = server::free_address();
        let child = Command::new(installed("issuer/python/bin/oidc-provider-mock"))
            .args(["--port", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut provider = Self { child, address };
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(address).is_err() {
            assert_eq!(provider.child.try_wait().unwrap(), None, "the provider ended at its start");
            assert!(Instant::now() < deadline, "the provider was not ready within {PATIENCE:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        provider
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn post(&self, path: &str, body: String) -> crate::support::http::Exchange {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        http1(self.address, request.body(Bytes::from(body)).unwrap()).await
    }

    /// Logs in as a person does, for this client; the ID token.
    async fn id_token(&self, client: &str, subject: &str) -> String {
        let query = format!(
            "client_id={client}&redirect_uri=http%3A%2F%2F127.0.0.1%2Fback&response_type=code&scope=openid&state=s&nonce=n"
        );
        let login = self.post(&format!("/oauth2/authorize?{query}"), format!("sub={subject}")).await;
        let back = login.header("location").expect("a redirect back").to_owned();
        let code = back.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).expect("a code").to_owned();
        let form = format!(
            "grant_type=authorization_code&code={code}&client_id={client}&client_secret=any\
             &redirect_uri=http%3A%2F%2F127.0.0.1%2Fback"
        );
        let answer: Value = serde_json::from_slice(&self.post("/oauth2/token", form).await.body().await).unwrap();
        answer["id_token"].as_str().unwrap_or_else(|| panic!("no id_token in {answer}")).to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn who_logs_in_elsewhere_is_let_in_over_every_protocol() {
    let provider = Provider::start().await;
    let config = format!(
        "[auth.issuers.mock]\nurl = \"{}\"\naudience = [\"sabir-app\"]\ndefault_scopes = [\"chat\"]\n",
        provider.url()
    );
    let (_upstream, server, _) = world(&config).await;
    let token = provider.id_token("sabir-app", "dora").await;
    let_in(&server, &token).await;
    refused(&server, &provider.id_token("another-app", "dora").await, INVALID, "for another audience").await;
    // Not at the end, where some bits of the last letter mean nothing.
    let (start, end) = token.split_at(token.len() - 20);
    let other = if end.starts_with('A') { 'B' } else { 'A' };
    let tampered = format!("{start}{other}{}", &end[1..]);
    assert_ne!(code(Protocol::Rest, &server, &tampered).await.0, "OK");
}
