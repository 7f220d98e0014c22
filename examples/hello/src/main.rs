//! One annotated RPC, four ways in: gRPC, gRPC-Web, HTTP GET and HTTP POST.
//!
//!     cargo run -p hello
//!     curl 'localhost:8090/v1/hello/world?times=2'

mod v1 {
    tonic::include_proto!("hello.v1");
}

use tonic::{Request, Response, Status};
use v1::{SayHelloRequest, SayHelloResponse, greeter_server};

struct Greeter;

#[tonic::async_trait]
impl greeter_server::Greeter for Greeter {
    async fn say_hello(&self, request: Request<SayHelloRequest>) -> Result<Response<SayHelloResponse>, Status> {
        let SayHelloRequest { name, times } = request.into_inner();
        if name.is_empty() {
            return Err(Status::invalid_argument("name: whom shall I greet?"));
        }
        let lines = vec![format!("Hello, {name}!"); times.unwrap_or(1).min(100) as usize];
        Ok(Response::new(SayHelloResponse { lines }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let transcoder = transcode::Transcoder::new(include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")))?;
    let services = transcode::Services::builder().with(greeter_server::GreeterServer::new(Greeter)).build();
    let app = axum::Router::new().fallback_service(transcoder.serve(services));
    let address = std::env::var("HELLO_LISTEN").unwrap_or_else(|_| "127.0.0.1:8090".to_owned());
    axum::serve(tokio::net::TcpListener::bind(address).await?, app).await?;
    Ok(())
}
