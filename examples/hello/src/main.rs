//! One annotated proto, every way in: gRPC, gRPC-Web, HTTP with JSON, events, lines of JSON, WebSocket, and pages about it.
//!
//!     cargo run -p hello
//!     curl 'localhost:8090/v1/hello/world?times=2'
//!     curl -N 'localhost:8090/v1/hello/world/stream?pause=0.2s'
//!     xdg-open http://localhost:8090

mod v1 {
    tonic::include_proto!("hello.v1");
}

use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use tonic::{Request, Response, Status, Streaming};
use tower::ServiceBuilder;
use transcode::{cors::CorsLayer, openapi::About, pages::PagesLayer};
use v1::{Greeting, KeepSayingHelloRequest, SayHelloRequest, SayHelloResponse, greeter_server};

struct Greeter;

type Greetings = Pin<Box<dyn Stream<Item = Result<Greeting, Status>> + Send>>;

#[tonic::async_trait]
impl greeter_server::Greeter for Greeter {
    // The bounds of the proto have been checked before a method is called.
    async fn say_hello(&self, request: Request<SayHelloRequest>) -> Result<Response<SayHelloResponse>, Status> {
        let SayHelloRequest { name, times } = request.into_inner();
        let lines = vec![format!("Hello, {name}!"); times.unwrap_or(1) as usize];
        Ok(Response::new(SayHelloResponse { lines }))
    }

    type KeepSayingHelloStream = Greetings;

    async fn keep_saying_hello(&self, request: Request<KeepSayingHelloRequest>) -> Result<Response<Greetings>, Status> {
        let KeepSayingHelloRequest { name, times, pause } = request.into_inner();
        let pause = pause.map_or(Ok(Duration::from_secs(1)), Duration::try_from);
        let pause = pause.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let greetings = stream::iter(1..=times.unwrap_or(5)).then(move |time| {
            let text = format!("Hello, {name}, for the {time}. time!");
            async move {
                tokio::time::sleep(if time > 1 { pause } else { Duration::ZERO }).await;
                Ok(Greeting { text })
            }
        });
        Ok(Response::new(Box::pin(greetings)))
    }

    type ConverseStream = Greetings;

    async fn converse(&self, request: Request<Streaming<Greeting>>) -> Result<Response<Greetings>, Status> {
        let answers = request.into_inner().map_ok(|Greeting { text }| Greeting { text: format!("You said: {text}") });
        Ok(Response::new(Box::pin(answers)))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let transcoder = transcode::Transcoder::new(include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")))?;
    let services = transcode::Services::builder().with(greeter_server::GreeterServer::new(Greeter)).build();
    let about = About { title: "Hello".to_owned(), version: "1".to_owned(), ..About::default() };
    let service = ServiceBuilder::new()
        // Web pages that this machine serves may call.
        .layer(CorsLayer::new(Default::default(), []))
        // What is here, for people: /, /docs, /redoc and the OpenAPI documents.
        .layer(PagesLayer::new(&transcoder.openapi(&about), &Default::default())?)
        .service(transcoder.serve(services));
    let app = axum::Router::new().fallback_service(service);
    let address = std::env::var("HELLO_LISTEN").unwrap_or_else(|_| "127.0.0.1:8090".to_owned());
    axum::serve(tokio::net::TcpListener::bind(address).await?, app).await?;
    Ok(())
}
