//! Compiles the proto without protoc, and keeps the descriptor set for the transcoder.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto", transcode::PROTO_DIR])?;
    compiler.include_imports(true).include_source_info(true).open_file("rooms.proto")?;
    std::fs::write(format!("{}/descriptors.bin", std::env::var("OUT_DIR")?), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
