//! gRPC over HTTP/2, by the generated client on hyper's. tonic's own channel is not used: it ends calls itself when
//! their deadline passes, before the server can say anything.

use std::{error::Error, net::SocketAddr};

use futures_util::stream;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use sabir_proto::v1::chat_client::ChatClient;
use tonic::{Request, Status, body::Body, metadata::MetadataKey};

use super::{Answer, Call, Chunk, Event, Events, Failure};

pub(super) async fn unary(server: SocketAddr, call: &Call) -> Result<Answer, Failure> {
    let mut client = client(server);
    match client.create_chat_completion(request(call)).await {
        Ok(response) => Ok(Answer::from_message(response.get_ref())),
        Err(status) => Err(Failure::from_status(&status)),
    }
}

pub(super) async fn stream(server: SocketAddr, call: &Call) -> Result<Events, Failure> {
    let mut client = client(server);
    let response = match client.stream_chat_completion(request(call)).await {
        Ok(response) => response,
        Err(status) => return Err(Failure::from_status(&status)),
    };
    // The client is kept beside the stream: with it the connection goes.
    let events = stream::unfold(Some((response.into_inner(), client)), |open| async move {
        let (mut chunks, client) = open?;
        match chunks.message().await {
            Ok(Some(chunk)) => Some((Event::Chunk(Box::new(Chunk::from_message(&chunk))), Some((chunks, client)))),
            Ok(None) => Some((Event::End, None)),
            Err(status) if broke_off(&status) => Some((Event::Cut(status.to_string()), None)),
            Err(status) => Some((Event::Failed(Failure::from_status(&status)), None)),
        }
    });
    Ok(Box::pin(events))
}

fn client(server: SocketAddr) -> ChatClient<Client<HttpConnector, Body>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build(connector);
    ChatClient::with_origin(client, format!("http://{server}").parse().unwrap())
}

fn request(call: &Call) -> Request<sabir_proto::v1::CreateChatCompletionRequest> {
    let mut request = Request::new(call.message.clone());
    if let Some(timeout) = call.grpc_timeout() {
        request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
    }
    for (name, value) in &call.headers {
        request.metadata_mut().insert(MetadataKey::from_static(name), value.parse().unwrap());
    }
    request
}

/// Whether the status was made up by the client, because the connection failed.
fn broke_off(status: &Status) -> bool {
    status.source().is_some()
}
