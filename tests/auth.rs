//! Claims about who is let in: API keys, scopes and models over every protocol, and what those who are not let in are
//! told. Keys are written into the server's database from outside, as another replica would.

mod bodies;
mod hosts;
mod keys;
mod replicas;
mod scopes;

use bytes::Bytes;
use http::Request;

use crate::support::http::{Exchange, http1, http2};
use crate::support::identity::{Registrar, required};
use crate::support::{Call, Protocol, Server, Upstream};

/// A server that wants to know who calls, the upstream behind it, and the way to its keys.
struct World {
    upstream: Upstream,
    server: Server,
    registrar: Registrar,
}

impl World {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With further lines in the `[auth]` section.
    async fn with(lines: &str) -> Self {
        let upstream = Upstream::start();
        let config = format!("{}{}{lines}", Server::config_for(&upstream.base_url()), required());
        let server = Server::start(&config).await;
        let registrar = Registrar::of(&server).await;
        Self { upstream, server, registrar }
    }

    /// The code of a chat with these headers over a protocol, once whole and once as a stream, which must agree.
    async fn code(&self, protocol: Protocol, headers: &[(&'static str, String)]) -> String {
        let call = Call { headers: headers.to_vec(), ..Call::say("scripted/echo", "Hi") };
        let code = |outcome: Result<(), crate::support::Failure>| match outcome {
            Ok(()) => "OK".to_owned(),
            Err(failure) => failure.code,
        };
        let whole = code(protocol.unary(self.server.address(), &call).await.map(drop));
        let streamed = protocol.stream_all(self.server.address(), &call).await;
        let streamed = code(streamed.failure.map_or(Ok(()), Err));
        assert_eq!(whole, streamed, "{protocol:?}: {headers:?}");
        whole
    }

    /// The code of a chat with this key.
    async fn code_with(&self, protocol: Protocol, key: &str) -> String {
        self.code(protocol, &[("authorization", format!("Bearer {key}"))]).await
    }

    /// A request over HTTP/1.1 with this credential.
    async fn get(&self, path: &str, key: Option<&str>) -> Exchange {
        let request = Request::get(path);
        let request = match key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        };
        http1(self.server.address(), request.body(Bytes::new()).unwrap()).await
    }

    /// The gRPC status code of a call of this RPC with an empty message.
    async fn grpc(&self, path: &str, key: Option<&str>) -> String {
        let request = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
        let request = match key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        };
        let exchange = http2(self.server.address(), request.body(Bytes::from_static(&[0; 5])).unwrap()).await;
        if let Some(code) = exchange.header("grpc-status") {
            return code.to_owned();
        }
        let (_, trailers) = exchange.body_and_trailers().await;
        trailers.unwrap()["grpc-status"].to_str().unwrap().to_owned()
    }
}
