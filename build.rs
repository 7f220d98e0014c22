//! Compiles `proto/` into message types, gRPC stubs and the descriptor set, all in `OUT_DIR`.
//!
//! The compiler is protox, so no protoc is needed. It must not know what the messages mean: JSON shapes and HTTP routes
//! are options, which stay in the descriptor set for whoever reads them at run time.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Where imports are looked up: the contract itself, then the vocabulary of its options.
const INCLUDES: [&str; 2] = ["proto", "service/transcode/proto"];

/// The folder of the contract, relative to the first include directory: every file in it.
const FOLDER: &str = "sabir/v1";

/// The services of others that we call.
const ASKED: &str = "sabir/guard/v1/guardrail.proto";

/// The package for which Rust code is generated.
const PACKAGE: &str = "sabir.v1";

/// The one message of other packages that methods answer with.
const HTTP_BODY: &str = "google/api/httpbody.proto";

/// Alternatives that are much larger than those beside them, or than most.
const BOXED: [&str; 6] = [
    ".sabir.v1.ExtractEvent.event.document",
    ".sabir.v1.BranchResult.outcome.completion",
    ".sabir.v1.FanOutEvent.event.branch",
    ".sabir.v1.FanOutEvent.event.summary",
    ".sabir.v1.StepResult.outcome.completion",
    ".sabir.v1.ChainEvent.event.step",
];

fn main() -> Result<(), Box<dyn Error>> {
    // The directories, so that a new import is noticed too; not `proto` itself, where `lib.rs` lies.
    println!("cargo:rerun-if-changed=proto/sabir");
    println!("cargo:rerun-if-changed=service/transcode/proto");

    let mut compiler = protox::Compiler::new(INCLUDES)?;
    compiler.include_imports(true).include_source_info(true).open_files(files()?)?;

    // Encoded by the compiler itself: decoding into prost's descriptor types would lose the options.
    let descriptor_set = compiler.encode_file_descriptor_set();
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("descriptor_set.bin"), &descriptor_set)?;

    // The option types stay in the descriptor set; nobody needs them as Rust types.
    let mut generated = compiler.file_descriptor_set();
    // Well-known types are there to be looked up; prost has types of its own for them.
    generated.file.retain(|file| [PACKAGE, "google.protobuf"].contains(&file.package()) || file.name() == HTTP_BODY);
    let mut rust = tonic_prost_build::configure().build_client(true).build_server(true).btree_map(".");
    for field in BOXED {
        rust = rust.boxed(field);
    }
    rust.compile_fds(generated)?;

    // What we call and do not serve is no part of the descriptor set that describes us.
    let asked = protox::Compiler::new(INCLUDES)?.include_source_info(true).open_file(ASKED)?.file_descriptor_set();
    tonic_prost_build::configure().build_client(true).build_server(true).compile_fds(asked)?;
    Ok(())
}

/// The files of the contract, in an order that does not depend on the file system.
fn files() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(Path::new(INCLUDES[0]).join(FOLDER))? {
        let name = entry?.file_name();
        if Path::new(&name).extension().is_some_and(|extension| extension == "proto") {
            files.push(Path::new(FOLDER).join(name));
        }
    }
    files.sort();
    Ok(files)
}
