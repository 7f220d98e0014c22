//! A service made of a closure, called as gRPC calls it, and a way to read all of its answer.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use depends::{Builder, Context, Dependencies, Depends, DependsLayer, Outcome, RequestExt};
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tonic::body::Body;
use tonic::{Code, Request, Status};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};

/// What was noted, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn note(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, note: &str) -> usize {
        self.all().iter().filter(|noted| *noted == note).count()
    }

    /// Waits for so many notes.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<String> {
        let enough = async {
            while self.all().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), enough).await.unwrap_or_else(|_| panic!("{:?}", self.all()));
        self.all()
    }
}

/// Notes what is to happen at the end: `name: Outcome`.
pub(crate) fn note_end(context: &Context, name: &'static str) {
    let notes = context.value::<Notes>().unwrap();
    context.on_end(move |outcome: Outcome| async move {
        notes.note(format!("{name}: {outcome:?}"));
        Ok(())
    });
}

pub(crate) type App = BoxCloneSyncService<http::Request<Body>, Response<Body>, Infallible>;

/// What a handler answers: messages, and how they end.
pub(crate) type Answer = Result<Vec<Bytes>, Status>;

pub(crate) fn builder(notes: &Notes) -> Builder {
    Dependencies::builder().value(notes.clone())
}

/// A service that answers as tonic does: an error in the head alone, anything else as messages and trailers.
pub(crate) fn app<F, R>(dependencies: &Dependencies, handler: F) -> App
where
    F: Fn(Request<()>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    stream_app(dependencies, move |request| {
        let answer = handler(request);
        async move { answer.await.map(|messages| ending(messages, Ok(()))) }
    })
}

/// A service that answers with a body of its own.
pub(crate) fn stream_app<F, R>(dependencies: &Dependencies, handler: F) -> App
where
    F: Fn(Request<()>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Body, Status>> + Send + 'static,
{
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (head, _) = request.into_parts();
        let metadata = tonic::metadata::MetadataMap::from_headers(head.headers);
        let answer = handler(Request::from_parts(metadata, head.extensions, ()));
        async move {
            Ok::<_, Infallible>(match answer.await {
                Err(status) => status.into_http(),
                Ok(body) => Response::builder().header("content-type", "application/grpc").body(body).unwrap(),
            })
        }
    });
    let service: Depends<_> = DependsLayer::layer(&dependencies.layer(), service);
    BoxCloneSyncService::new(service)
}

/// A body of these messages and this end.
pub(crate) fn ending(messages: Vec<Bytes>, end: Result<(), Status>) -> Body {
    let mut trailers = HeaderMap::new();
    end.err().unwrap_or_else(|| Status::new(Code::Ok, "")).add_header(&mut trailers).unwrap();
    let frames = messages.into_iter().map(Frame::data).chain([Frame::trailers(trailers)]);
    Body::new(StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, Status>))))
}

pub(crate) fn request() -> http::Request<Body> {
    http::Request::post("/rooms.v1.Rooms/Book").body(Body::empty()).unwrap()
}

/// Calls it and reads the whole answer.
pub(crate) async fn call(app: &App) -> Answer {
    call_with(app, request()).await
}

pub(crate) async fn call_with(app: &App, request: http::Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    if let Some(status) = Status::from_header_map(response.headers()) {
        return Err(status);
    }
    let collected = response.into_body().collect().await?;
    let status = Status::from_header_map(collected.trailers().expect("trailers")).expect("a status");
    if status.code() == Code::Ok { Ok(vec![collected.to_bytes()]) } else { Err(status) }
}

pub(crate) const DONE: fn() -> Answer = || Ok(vec![Bytes::from_static(b"done")]);

/// Used by every test, so that the trait is in scope where handlers ask.
pub(crate) async fn ask<T: depends::Dependency>(request: &Request<()>) -> Result<Arc<T>, Status> {
    request.depends::<T>().await
}
