//! Asks a gRPC server for its descriptors by `grpc.reflection`, v1 or, of an older server, v1alpha.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>.

use std::collections::BTreeMap;

use futures_util::stream;
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use transcode::Remote;

/// Both versions have the same messages.
const VERSIONS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// No API consists of more files, and no file of more bytes.
const MAX_FILES: usize = 10_000;
const MAX_ANSWER: usize = 64 << 20;

/// The descriptors could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the server has no reflection: give its descriptors by --descriptors")]
    Nothing,
    #[error("reflection: {}", .0.message())]
    Call(#[from] Status),
    #[error("reflection: {asked}: {problem}")]
    Answer { asked: String, problem: String },
}

/// The descriptor set of every service that the server names, imports included.
pub(crate) async fn descriptors(server: &Remote) -> Result<Vec<u8>, Error> {
    for version in VERSIONS {
        match all_files(server, version).await {
            Err(Error::Call(status)) if status.code() == Code::Unimplemented => {}
            other => return Ok(as_set(&other?)),
        }
    }
    Err(Error::Nothing)
}

/// Each file by its name, in the bytes that the server sent: decoded and encoded again they would lose their options.
async fn all_files(server: &Remote, version: &'static str) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut conversation = Conversation::open(server, version).await?;
    let mut asked = Vec::new();
    for service in conversation.services().await? {
        if !service.starts_with("grpc.reflection.") {
            asked.push(MessageRequest::FileContainingSymbol(service));
        }
    }
    let mut files = BTreeMap::new();
    while let Some(question) = asked.pop() {
        if matches!(&question, MessageRequest::FileByFilename(name) if files.contains_key(name)) {
            continue;
        }
        for bytes in conversation.files(question.clone()).await? {
            let file = FileDescriptorProto::decode(&*bytes).map_err(|error| failed(&question, error))?;
            asked.extend(file.dependency.iter().cloned().map(MessageRequest::FileByFilename));
            files.insert(file.name().to_owned(), bytes);
        }
        if files.len() > MAX_FILES {
            return Err(failed(&question, "these are too many files"));
        }
    }
    Ok(files)
}

/// A `google.protobuf.FileDescriptorSet`: its field 1, once for each file.
fn as_set(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut set = Vec::new();
    for file in files.values() {
        prost::encoding::bytes::encode(1, file, &mut set);
    }
    set
}

/// One stream of questions and answers, since several servers behind one address need not know the same files.
struct Conversation {
    questions: mpsc::Sender<ServerReflectionRequest>,
    answers: Streaming<ServerReflectionResponse>,
}

impl Conversation {
    async fn open(server: &Remote, version: &'static str) -> Result<Self, Error> {
        let (questions, receiver) = mpsc::channel(1);
        // Some servers answer the head of the call only after the first question.
        let first = ask(MessageRequest::ListServices(String::new()));
        questions.try_send(first).map_err(|error| Status::internal(error.to_string()))?;
        let stream = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        let mut client = tonic::client::Grpc::new(server.clone()).max_decoding_message_size(MAX_ANSWER);
        let codec = tonic_prost::ProstCodec::default();
        let request = tonic::Request::new(stream);
        let answers = client.streaming(request, PathAndQuery::from_static(version), codec).await?.into_inner();
        Ok(Self { questions, answers })
    }

    /// The answer to the question that [`Self::open`] asked.
    async fn services(&mut self) -> Result<Vec<String>, Error> {
        let question = MessageRequest::ListServices(String::new());
        match self.answer(&question).await? {
            MessageResponse::ListServicesResponse(list) => {
                Ok(list.service.into_iter().map(|service| service.name).collect())
            }
            _ => Err(failed(&question, "the answer is to another question")),
        }
    }

    async fn files(&mut self, question: MessageRequest) -> Result<Vec<Vec<u8>>, Error> {
        let sent = self.questions.send(ask(question.clone())).await;
        sent.map_err(|_| failed(&question, "the server ended the call"))?;
        match self.answer(&question).await? {
            MessageResponse::FileDescriptorResponse(files) => Ok(files.file_descriptor_proto),
            _ => Err(failed(&question, "the answer is to another question")),
        }
    }

    async fn answer(&mut self, question: &MessageRequest) -> Result<MessageResponse, Error> {
        let answer = self.answers.message().await?.and_then(|answer| answer.message_response);
        match answer.ok_or_else(|| failed(question, "the server ended the call"))? {
            MessageResponse::ErrorResponse(error) => Err(failed(question, error.error_message)),
            answer => Ok(answer),
        }
    }
}

fn ask(question: MessageRequest) -> ServerReflectionRequest {
    ServerReflectionRequest { host: String::new(), message_request: Some(question) }
}

fn failed(question: &MessageRequest, problem: impl ToString) -> Error {
    let asked = match question {
        MessageRequest::FileByFilename(name) | MessageRequest::FileContainingSymbol(name) => name.clone(),
        _ => "the list of services".to_owned(),
    };
    Error::Answer { asked, problem: problem.to_string() }
}
