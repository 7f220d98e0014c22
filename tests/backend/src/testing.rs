//! `grpc.testing.TestService`, as gRPC's interoperability tests describe it.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md>.

pub mod echo_metadata;

/// The messages and the server, generated.
#[expect(missing_docs, clippy::allow_attributes, reason = "generated, and explained by the proto")]
pub mod proto {
    tonic::include_proto!("grpc.testing");
}

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use tonic::{Code, Request, Response, Status, Streaming};

use self::echo_metadata::EchoMetadata;
use self::proto::test_service_server::TestServiceServer;
use self::proto::{
    EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
    StreamingInputCallResponse, StreamingOutputCallRequest, StreamingOutputCallResponse, test_service_server,
};

/// The service, echoing metadata as the case `custom_metadata` wants it.
pub fn service() -> EchoMetadata<TestServiceServer<Testing>> {
    EchoMetadata::new(TestServiceServer::new(Testing))
}

/// Implements the service.
#[derive(Debug, Clone, Copy)]
pub struct Testing;

type Outputs = Pin<Box<dyn Stream<Item = Result<StreamingOutputCallResponse, Status>> + Send>>;

#[tonic::async_trait]
impl test_service_server::TestService for Testing {
    type StreamingOutputCallStream = Outputs;
    type FullDuplexCallStream = Outputs;
    type HalfDuplexCallStream = Outputs;

    async fn empty_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }

    async fn unary_call(&self, request: Request<SimpleRequest>) -> Result<Response<SimpleResponse>, Status> {
        let request = request.into_inner();
        refuse(request.response_status)?;
        let payload = Some(payload(request.response_size)?);
        let server_id = if request.fill_server_id { std::process::id().to_string() } else { String::new() };
        Ok(Response::new(SimpleResponse { payload, server_id, ..SimpleResponse::default() }))
    }

    async fn cacheable_unary_call(&self, request: Request<SimpleRequest>) -> Result<Response<SimpleResponse>, Status> {
        self.unary_call(request).await
    }

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Result<Response<Outputs>, Status> {
        let request = request.into_inner();
        Ok(Response::new(outputs(stream::iter([Ok(request)]))))
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<Response<StreamingInputCallResponse>, Status> {
        let mut messages = request.into_inner();
        let mut size = 0;
        while let Some(message) = messages.message().await? {
            size += message.payload.map_or(0, |payload| payload.body.len());
        }
        let aggregated_payload_size = i32::try_from(size).map_err(|_| Status::out_of_range("more than 2 GiB"))?;
        Ok(Response::new(StreamingInputCallResponse { aggregated_payload_size }))
    }

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Outputs>, Status> {
        Ok(Response::new(outputs(request.into_inner())))
    }

    async fn half_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Outputs>, Status> {
        let requests: Vec<_> = request.into_inner().collect().await;
        Ok(Response::new(outputs(stream::iter(requests))))
    }

    async fn unimplemented_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented("the tests want it so"))
    }
}

/// The answers to requests as they come, each after its pause.
fn outputs<S>(requests: S) -> Outputs
where
    S: Stream<Item = Result<StreamingOutputCallRequest, Status>> + Send + Unpin + 'static,
{
    let state = (requests, VecDeque::<ResponseParameters>::new(), None::<EchoStatus>);
    Box::pin(stream::try_unfold(state, |(mut requests, mut due, mut end)| async move {
        loop {
            if let Some(next) = due.pop_front() {
                if let Ok(pause @ 1..) = u64::try_from(next.interval_us) {
                    tokio::time::sleep(Duration::from_micros(pause)).await;
                }
                let payload = Some(payload(next.size)?);
                return Ok(Some((StreamingOutputCallResponse { payload }, (requests, due, end))));
            }
            refuse(end.take())?;
            let Some(request) = requests.next().await.transpose()? else {
                return Ok(None);
            };
            end = request.response_status;
            due = request.response_parameters.into();
        }
    }))
}

/// Fails with the status that was asked for.
fn refuse(status: Option<EchoStatus>) -> Result<(), Status> {
    match status {
        Some(status) if status.code != 0 => Err(Status::new(Code::from(status.code), status.message)),
        _ => Ok(()),
    }
}

fn payload(size: i32) -> Result<Payload, Status> {
    let size = usize::try_from(size).map_err(|_| Status::invalid_argument("a size cannot be negative"))?;
    Ok(Payload { body: vec![0; size], ..Payload::default() })
}
