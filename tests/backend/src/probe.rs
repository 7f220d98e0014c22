//! `probe.v1.Probe`: answers with what it was asked, fails and streams as it is told.

/// The messages and the servers, generated.
#[expect(missing_docs, clippy::allow_attributes, reason = "generated, and explained by the proto")]
pub mod proto {
    tonic::include_proto!("probe.v1");
}

use std::pin::Pin;
use std::time::{Duration, SystemTime};

use futures_util::{Stream, StreamExt as _, stream};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

use self::proto::fields_server::FieldsServer;
use self::proto::probe_server::ProbeServer;
use self::proto::{
    ChangeRequest, DownloadRequest, Everything, FailRequest, Gathered, Item, ListRequest, UploadRequest, Uploaded,
    fields_server, probe_server,
};
use crate::google::api::HttpBody;

/// The service.
pub fn service() -> ProbeServer<Probe> {
    ProbeServer::new(Probe)
}

/// The service of what others refuse at their start.
pub fn fields() -> FieldsServer<Probe> {
    FieldsServer::new(Probe)
}

/// Implements the services.
#[derive(Debug, Clone, Copy)]
pub struct Probe;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers with the message that came.
fn echo<T>(request: Request<T>) -> Result<Response<T>, Status> {
    Ok(Response::new(request.into_inner()))
}

#[tonic::async_trait]
impl probe_server::Probe for Probe {
    type ListStream = Answers<Item>;
    type ChatStream = Answers<Everything>;
    type DownloadPiecesStream = Answers<HttpBody>;

    async fn get(&self, request: Request<Everything>) -> Result<Response<Everything>, Status> {
        echo(request)
    }

    async fn act(&self, request: Request<Everything>) -> Result<Response<Everything>, Status> {
        echo(request)
    }

    async fn create(&self, request: Request<Everything>) -> Result<Response<Everything>, Status> {
        echo(request)
    }

    async fn put(&self, request: Request<Everything>) -> Result<Response<Everything>, Status> {
        echo(request)
    }

    async fn touch(&self, request: Request<Everything>) -> Result<Response<Everything>, Status> {
        echo(request)
    }

    async fn remove(&self, request: Request<Everything>) -> Result<Response<Everything>, Status> {
        echo(request)
    }

    async fn custom(&self, request: Request<Everything>) -> Result<Response<Everything>, Status> {
        echo(request)
    }

    async fn change(&self, request: Request<ChangeRequest>) -> Result<Response<ChangeRequest>, Status> {
        echo(request)
    }

    async fn unbound(&self, request: Request<Everything>) -> Result<Response<Everything>, Status> {
        echo(request)
    }

    async fn fail(&self, request: Request<FailRequest>) -> Result<Response<Everything>, Status> {
        let FailRequest { code, message, details } = request.into_inner();
        let code = Code::from(code);
        if !details {
            return Err(Status::new(code, message));
        }
        let mut more = ErrorDetails::with_bad_request_violation("name", "is not to my liking");
        more.set_error_info("NOT_LIKED", "probe.example", [("cause".to_owned(), "taste".to_owned())]);
        more.set_retry_info(Some(Duration::from_millis(1500)));
        Err(Status::with_error_details(code, message, more))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let ListRequest { count, fail_after, fail_at_once, pause_ms, timed } = request.into_inner();
        if fail_at_once {
            return Err(Status::not_found("there is no such list"));
        }
        let pause = u64::try_from(pause_ms).map(Duration::from_millis).unwrap_or_default();
        Ok(Response::new(Box::pin(stream::unfold(1, move |number| async move {
            if number > count {
                return None;
            }
            if fail_after > 0 && number > fail_after {
                return Some((Err(Status::data_loss("the rest is lost")), count + 1));
            }
            if number > 1 && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            Some((Ok(Item { number, made_at_ns: if timed { now_ns() } else { 0 } }), number + 1))
        }))))
    }

    async fn gather(&self, request: Request<Streaming<Everything>>) -> Result<Response<Gathered>, Status> {
        let mut messages = request.into_inner();
        let mut names = Vec::new();
        while let Some(message) = messages.message().await? {
            names.push(message.name);
        }
        Ok(Response::new(Gathered { names }))
    }

    async fn chat(&self, request: Request<Streaming<Everything>>) -> Result<Response<Self::ChatStream>, Status> {
        Ok(Response::new(request.into_inner().boxed()))
    }

    async fn download(&self, request: Request<DownloadRequest>) -> Result<Response<HttpBody>, Status> {
        let DownloadRequest { content_type, pieces } = request.into_inner();
        Ok(Response::new(HttpBody { content_type, data: pieces.concat().into_bytes(), extensions: Vec::new() }))
    }

    async fn download_pieces(
        &self,
        request: Request<DownloadRequest>,
    ) -> Result<Response<Self::DownloadPiecesStream>, Status> {
        let DownloadRequest { content_type, pieces } = request.into_inner();
        let pieces = pieces.into_iter().map(move |piece| {
            Ok(HttpBody { content_type: content_type.clone(), data: piece.into_bytes(), extensions: Vec::new() })
        });
        Ok(Response::new(stream::iter(pieces).boxed()))
    }

    async fn upload(&self, request: Request<UploadRequest>) -> Result<Response<Uploaded>, Status> {
        let UploadRequest { name, file } = request.into_inner();
        Ok(Response::new(uploaded(name, file.unwrap_or_default())))
    }

    async fn upload_body(&self, request: Request<HttpBody>) -> Result<Response<Uploaded>, Status> {
        Ok(Response::new(uploaded(String::new(), request.into_inner())))
    }

    async fn upload_pieces(&self, request: Request<Streaming<UploadRequest>>) -> Result<Response<Uploaded>, Status> {
        let mut messages = request.into_inner();
        let (mut first_name, mut whole) = (None, HttpBody::default());
        while let Some(UploadRequest { name, file }) = messages.message().await? {
            let file = file.unwrap_or_default();
            first_name.get_or_insert(name);
            if whole.content_type.is_empty() {
                whole.content_type = file.content_type;
            }
            whole.data.extend(file.data);
        }
        Ok(Response::new(uploaded(first_name.unwrap_or_default(), whole)))
    }
}

#[tonic::async_trait]
impl fields_server::Fields for Probe {
    async fn one(&self, request: Request<Everything>) -> Result<Response<Everything>, Status> {
        echo(request)
    }
}

fn uploaded(name: String, file: HttpBody) -> Uploaded {
    let size = i64::try_from(file.data.len()).unwrap_or(i64::MAX);
    Uploaded { name, content_type: file.content_type, size, text: String::from_utf8_lossy(&file.data).into_owned() }
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
