//! What protobuf's conformance test runner talks to: the converter behind stdin and stdout.
//!
//! ```text
//! conformance_test_runner target/debug/examples/conformance_testee PROTOS
//! ```
//!
//! `PROTOS` is the folder that holds the runner's test messages, `google/protobuf/test_messages_proto3.proto` and its
//! like. A request and its answer are protobuf messages, each preceded by its length as four bytes, least significant
//! first. Source: conformance/conformance.proto.

use std::io::{self, Read, Write};

use prost::{Message, Oneof};
use transcode::json::{Mode, Plans};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = std::env::args_os().nth(1).ok_or("usage: conformance_testee PROTOS")?;
    let mut compiler = protox::Compiler::new([protos])?;
    let descriptors = compiler.include_imports(true).open_files(TEST_MESSAGES)?.encode_file_descriptor_set();
    let plans = Plans::compile(&descriptors)?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut length = [0; 4];
    while input.read(&mut length[..1])? == 1 {
        input.read_exact(&mut length[1..])?;
        let mut request = vec![0; u32::from_le_bytes(length) as usize];
        input.read_exact(&mut request)?;
        let answer = Response { result: Some(answer(&plans, &Request::decode(&*request)?)) }.encode_to_vec();
        output.write_all(&u32::try_from(answer.len())?.to_le_bytes())?;
        output.write_all(&answer)?;
        output.flush()?;
    }
    Ok(())
}

fn answer(plans: &Plans, request: &Request) -> Answer {
    if request.message_type == FAILURES {
        // The runner asks first which failures are expected; it is told by its own list.
        return Answer::ProtobufPayload(Vec::new());
    }
    let Some(message) = plans.message(&request.message_type) else {
        return Answer::Skipped(format!("{} is not in the descriptor set", request.message_type));
    };
    let mut wire = Vec::new();
    match &request.payload {
        Some(Payload::Protobuf(bytes)) => match plans.check(message, bytes) {
            Ok(()) => wire.extend_from_slice(bytes),
            Err(error) => return Answer::ParseError(error.to_string()),
        },
        Some(Payload::Json(json)) => {
            let lenient = request.test_category == JSON_IGNORE_UNKNOWN_PARSING_TEST;
            let mode = if lenient { Mode::Lenient } else { Mode::Strict };
            if let Err(error) = plans.read(message, json.as_bytes(), mode, &mut wire) {
                return Answer::ParseError(error.to_string());
            }
        }
        _ => return Answer::Skipped("neither JSON nor protobuf".to_owned()),
    }
    match request.requested_output_format {
        // A gRPC message that passes the check is handed on as it came: nothing was decoded that could be encoded anew.
        PROTOBUF if matches!(request.payload, Some(Payload::Protobuf(_))) => Answer::Skipped("handed on".to_owned()),
        PROTOBUF => Answer::ProtobufPayload(wire),
        JSON => {
            let mut json = Vec::new();
            match plans.write(message, &wire, &mut json) {
                Ok(()) => Answer::JsonPayload(String::from_utf8_lossy(&json).into_owned()),
                Err(error) => Answer::SerializeError(error.to_string()),
            }
        }
        _ => Answer::Skipped("neither JSON nor protobuf".to_owned()),
    }
}

/// Whatever of these messages the compiler of protos knows; editions it does not.
const TEST_MESSAGES: [&str; 2] =
    ["google/protobuf/test_messages_proto3.proto", "google/protobuf/test_messages_proto2.proto"];

const FAILURES: &str = "conformance.FailureSet";
const PROTOBUF: i32 = 1;
const JSON: i32 = 2;
const JSON_IGNORE_UNKNOWN_PARSING_TEST: i32 = 3;

/// `conformance.ConformanceRequest`, as far as it concerns JSON and protobuf.
#[derive(Message)]
struct Request {
    #[prost(oneof = "Payload", tags = "1, 2, 7, 8")]
    payload: Option<Payload>,
    #[prost(int32, tag = "3")]
    requested_output_format: i32,
    #[prost(string, tag = "4")]
    message_type: String,
    #[prost(int32, tag = "5")]
    test_category: i32,
}

#[derive(Oneof)]
enum Payload {
    #[prost(bytes, tag = "1")]
    Protobuf(Vec<u8>),
    #[prost(string, tag = "2")]
    Json(String),
    #[prost(string, tag = "7")]
    Jspb(String),
    #[prost(string, tag = "8")]
    Text(String),
}

/// `conformance.ConformanceResponse`.
#[derive(Message)]
struct Response {
    #[prost(oneof = "Answer", tags = "1, 3, 4, 5, 6")]
    result: Option<Answer>,
}

#[derive(Oneof)]
enum Answer {
    #[prost(string, tag = "1")]
    ParseError(String),
    #[prost(bytes, tag = "3")]
    ProtobufPayload(Vec<u8>),
    #[prost(string, tag = "4")]
    JsonPayload(String),
    #[prost(string, tag = "5")]
    Skipped(String),
    #[prost(string, tag = "6")]
    SerializeError(String),
}
