//! A service with every kind of stream, behind tonic's own server, that answers with the messages it was sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes};
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _};
use http::{Request, Response};
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{ClientStreamingService, Grpc, ServerStreamingService, StreamingService};
use tonic::{Status, Streaming};
use tower_service::Service;

use crate::{Config, Transcoder};

const SCHEMA: &str = r#"
syntax = "proto3";
package n;
import "google/api/annotations.proto";
import "transcode/v1/options.proto";
import "buf/validate/validate.proto";
message Note { string text = 1; int64 number = 2; string room = 3; repeated Note replies = 4; int32 stars = 5 [(buf.validate.field).int32.lte = 5]; }
message Notes { repeated Note notes = 1; }
service Board {
  rpc Collect(stream Note) returns (Notes) {
    option (google.api.http) = {
      post: "/v1/rooms/{room}/notes" body: "*"
      additional_bindings { post: "/v1/numbers" body: "number" }
      additional_bindings { post: "/v1/replies" body: "replies" }
    };
  }
  rpc Talk(stream Note) returns (stream Note) {
    option (google.api.http) = { post: "/v1/rooms/{room}/talk" body: "*" };
  }
  rpc Watch(Note) returns (stream Note) { option (google.api.http) = { get: "/v1/rooms/{room}/watch" additional_bindings { post: "/v1/rooms/{room}/look" body: "*" } }; }
}
"#;

struct Memory;

impl protox::file::FileResolver for Memory {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        match name {
            "n.proto" => protox::file::File::from_source(name, SCHEMA),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// The transcoder of the service.
pub(crate) fn transcoder(config: Config) -> Transcoder {
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(protox::file::IncludeFileResolver::new(crate::PROTO_DIR.into()));
    resolver.add(Memory);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("n.proto").unwrap();
    Transcoder::with_config(&compiler.encode_file_descriptor_set(), config).unwrap()
}

/// The service. `Collect` answers with all its messages, `Talk` with each as it comes, `Watch` with its message as many
/// times as its number says, again and again. The text of a message steers it: `swallow` makes the handler of `Collect`
/// end well whatever follows, `fail` ends with NOT_FOUND, `deny` is refused before anything is answered, and `stall` waits for
/// ever without reading on.
#[derive(Clone, Default)]
pub(crate) struct Board {
    pub(crate) counts: Arc<Counts>,
}

/// What the service has seen.
#[derive(Default)]
pub(crate) struct Counts {
    /// Messages that handlers have read.
    pub(crate) read: AtomicUsize,
    /// Messages that handlers have answered.
    pub(crate) answered: AtomicUsize,
    /// Calls that are open.
    pub(crate) open: AtomicUsize,
    /// Request streams that have come to their normal end.
    pub(crate) ended: AtomicUsize,
}

/// Counts as an open call until it is dropped.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Ordering::SeqCst);
        Self(counts.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn says(message: &[u8], word: &str) -> bool {
    message.windows(word.len()).any(|window| window == word.as_bytes())
}

struct Collect(Board);

impl ClientStreamingService<Bytes> for Collect {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let counts = self.0.counts.clone();
        Box::pin(async move {
            let _open = Open::new(&counts);
            let mut notes = Vec::new();
            let mut messages = request.into_inner();
            let mut swallow = false;
            loop {
                let message = match messages.message().await {
                    Ok(Some(message)) => message,
                    Ok(None) => break,
                    Err(_) if swallow => break,
                    Err(status) => return Err(status),
                };
                counts.read.fetch_add(1, Ordering::SeqCst);
                swallow |= says(&message, "swallow");
                if says(&message, "fail") {
                    return Err(Status::not_found("no such thing"));
                }
                notes.put_u8(0x0a);
                // Lengths here stay below 16 KiB, so that two bytes say them.
                notes.put_u8(u8::try_from(message.len() & 0x7f).unwrap() | 0x80);
                notes.put_u8(u8::try_from(message.len() >> 7).unwrap());
                notes.extend_from_slice(&message);
            }
            counts.ended.fetch_add(1, Ordering::SeqCst);
            Ok(tonic::Response::new(notes.into()))
        })
    }
}

type Answers = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

struct Talk(Board);

impl StreamingService<Bytes> for Talk {
    type Response = Bytes;
    type ResponseStream = Answers;
    type Future = BoxFuture<'static, Result<tonic::Response<Answers>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let counts = self.0.counts.clone();
        let open = Open::new(&counts);
        let denied = request.metadata().contains_key("x-deny");
        let messages = request.into_inner();
        let answers = futures_util::stream::unfold((messages, counts, open), |(mut messages, counts, open)| async {
            let answer = match messages.message().await {
                Ok(Some(message)) => {
                    counts.read.fetch_add(1, Ordering::SeqCst);
                    if says(&message, "stall") {
                        std::future::pending::<()>().await;
                    }
                    if says(&message, "fail") { Err(Status::not_found("no such thing")) } else { Ok(message) }
                }
                Ok(None) => {
                    counts.ended.fetch_add(1, Ordering::SeqCst);
                    return None;
                }
                Err(status) => Err(status),
            };
            counts.answered.fetch_add(1, Ordering::SeqCst);
            Some((answer, (messages, counts, open)))
        });
        Box::pin(async move {
            if denied { Err(Status::permission_denied("not you")) } else { Ok(tonic::Response::new(answers.boxed())) }
        })
    }
}

struct Watch(Board);

impl ServerStreamingService<Bytes> for Watch {
    type Response = Bytes;
    type ResponseStream = Answers;
    type Future = BoxFuture<'static, Result<tonic::Response<Answers>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let counts = self.0.counts.clone();
        let open = Open::new(&counts);
        let message = request.into_inner();
        let left = if says(&message, "endless") { usize::MAX } else { 2 };
        Box::pin(async move {
            let answers = futures_util::stream::unfold((left, open), move |(left, open)| {
                let (message, counts) = (message.clone(), counts.clone());
                async move {
                    let left = left.checked_sub(1)?;
                    counts.answered.fetch_add(1, Ordering::SeqCst);
                    // Other tasks get their turn, as with a handler that waits for something.
                    tokio::task::yield_now().await;
                    Some((Ok(message), (left, open)))
                }
            });
            Ok(tonic::Response::new(answers.boxed()))
        })
    }
}

impl Service<Request<Body>> for Board {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let board = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(Verbatim);
            Ok(match request.uri().path() {
                "/n.Board/Collect" => grpc.client_streaming(Collect(board), request).await,
                "/n.Board/Talk" => grpc.streaming(Talk(board), request).await,
                _ => grpc.server_streaming(Watch(board), request).await,
            })
        })
    }
}

/// Messages as the bytes they are.
#[derive(Clone, Copy)]
struct Verbatim;

impl Codec for Verbatim {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
