//! The services on a port, as a process of its own, so that its memory and its time can be measured.
//!
//!     backend plain 127.0.0.1:50051        gRPC alone, with reflection
//!     backend transcoded 127.0.0.1:8090    gRPC, gRPC-Web and HTTP with JSON, in one process
//!     backend descriptors set.bin          writes the descriptor set, for other transcoders

use std::process::ExitCode;

use tokio::net::TcpListener;
use transcode::Transcoder;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, address] = arguments.as_slice() else {
        return complain("expected: backend plain|transcoded HOST:PORT, or backend descriptors FILE");
    };
    if mode == "descriptors" {
        return match std::fs::write(address, backend::DESCRIPTORS) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&format!("{address}: {error}")),
        };
    }
    let served = match TcpListener::bind(address).await {
        Ok(listener) => serve(mode, listener).await,
        Err(error) => Err(format!("{address}: {error}").into()),
    };
    match served {
        Ok(never) => match never {},
        Err(error) => complain(&error.to_string()),
    }
}

async fn serve(mode: &str, listener: TcpListener) -> Result<std::convert::Infallible, Box<dyn std::error::Error>> {
    match mode {
        "plain" => Ok(backend::server::serve(listener, backend::plain()?).await?),
        "transcoded" => {
            let transcoder = Transcoder::new(backend::DESCRIPTORS)?;
            Ok(backend::server::serve(listener, transcoder.serve(backend::services())).await?)
        }
        other => Err(format!("{other}: expected plain, transcoded or descriptors").into()),
    }
}

#[expect(clippy::print_stderr, reason = "a program that cannot start says why")]
fn complain(problem: &str) -> ExitCode {
    eprintln!("backend: {problem}");
    ExitCode::FAILURE
}
