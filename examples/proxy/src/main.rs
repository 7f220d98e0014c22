//! HTTP with JSON and gRPC-Web in front of a gRPC server, in whatever language that is written.
//!
//!     cargo run -p proxy -- --upstream http://127.0.0.1:50051
//!     cargo run -p proxy -- --upstream http://127.0.0.1:50051 --descriptors set.bin --service-config rules.yaml
//!
//! Without `--descriptors` the server is asked for them by gRPC's reflection.

mod reflection;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use axum::serve::ListenerExt as _;
use clap::Parser;
use http::Uri;
use transcode::{Remote, ServiceConfig, Transcoder};

#[derive(Parser)]
#[command(about = "HTTP with JSON and gRPC-Web in front of a gRPC server")]
struct Options {
    /// The gRPC server, as http://HOST:PORT
    #[arg(long)]
    upstream: Uri,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// A descriptor set with imports, as `protoc --include_imports --descriptor_set_out` and `buf build` write it
    #[arg(long)]
    descriptors: Option<PathBuf>,
    /// A service configuration in YAML whose HTTP rules take the place of annotations
    #[arg(long)]
    service_config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let upstream = Remote::connect(options.upstream)?;
    let descriptors = match &options.descriptors {
        Some(file) => std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?,
        None => reflection::descriptors(&upstream).await?,
    };
    let mut transcoder = Transcoder::builder(&descriptors);
    if let Some(file) = &options.service_config {
        let yaml = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        transcoder = transcoder.service_config(ServiceConfig::parse(&yaml)?);
    }
    let transcoder = transcoder.build()?;
    let app = axum::Router::new().fallback_service(transcoder.serve(upstream));

    let listener = tokio::net::TcpListener::bind(options.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    for route in transcoder.routes() {
        println!("  {:6} {}  {}", route.verb.map_or("*", |verb| verb.as_str()), route.path, route.method);
    }
    // Without TCP_NODELAY the kernel holds small messages back.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await?;
    Ok(())
}
