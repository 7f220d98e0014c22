//! What dependencies cost a request: no layer, the layer alone, one dependency, four that share, and with an end.
#![expect(clippy::unwrap_used, reason = "benchmarks")]

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use depends::{Context, Dependencies, Dependency, Error, RequestExt};
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};
use tower::{Layer, Service};

struct CurrentUser(Arc<str>);

impl Dependency for CurrentUser {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        let name = context.head()?.extensions().get::<Arc<str>>().cloned();
        Ok(Self(name.ok_or_else(|| Status::unauthenticated("who are you?"))?))
    }
}

struct Pool;
impl Dependency for Pool {}

struct Session {
    _pool: Arc<Pool>,
}

impl Dependency for Session {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        Ok(Self { _pool: context.get().await? })
    }
}

/// Asks for the others; the user is asked for twice.
struct Rooms {
    user: Arc<CurrentUser>,
    _session: Arc<Session>,
}

impl Dependency for Rooms {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        Ok(Self { user: context.get().await?, _session: context.get().await? })
    }
}

struct Ended;

impl Dependency for Ended {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        context.on_end(|outcome| async move {
            black_box(outcome);
            Ok(())
        });
        Ok(Self)
    }
}

/// A request with the headers and the extensions that a real one has.
fn request() -> http::Request<Body> {
    let mut request = http::Request::post("/rooms.v1.Rooms/Book").body(Body::empty()).unwrap();
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "grpc-go/1.70"),
        ("authorization", "Bearer 0123456789abcdef0123456789abcdef"),
        ("grpc-accept-encoding", "gzip"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request.extensions_mut().insert(Arc::<str>::from("alice"));
    request
}

fn handler<F, R>(handler: F) -> impl Service<http::Request<Body>, Response = Response<Body>, Error = Infallible>
where
    F: Fn(Request<()>) -> R,
    R: Future<Output = Result<(), Status>>,
{
    tower::service_fn(move |request: http::Request<Body>| {
        let (head, _) = request.into_parts();
        let answer = handler(Request::from_parts(MetadataMap::from_headers(head.headers), head.extensions, ()));
        async move {
            answer.await.unwrap();
            let mut trailers = HeaderMap::new();
            Status::new(tonic::Code::Ok, "").add_header(&mut trailers).unwrap();
            let body = Full::new(bytes::Bytes::from_static(b"done")).with_trailers(async move { Some(Ok(trailers)) });
            Ok(Response::new(Body::new(body)))
        }
    })
}

fn measure<S>(criterion: &mut Criterion, name: &str, mut service: S)
where
    S: Service<http::Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(
            request,
            |request| {
                runtime.block_on(async {
                    let response = service.call(request).await.expect("infallible");
                    black_box(response.into_body().collect().await.unwrap());
                })
            },
            criterion::BatchSize::SmallInput,
        )
    });
}

fn benches(criterion: &mut Criterion) {
    let layer = Dependencies::builder().value(Pool).build().layer();
    measure(
        criterion,
        "no layer, extension read directly",
        handler(|request| async move {
            black_box(request.extensions().get::<Arc<str>>().cloned());
            Ok(())
        }),
    );
    measure(criterion, "layer, nothing asked for", layer.layer(handler(|_| async { Ok(()) })));
    measure(
        criterion,
        "layer, one dependency",
        layer.layer(handler(|request| async move {
            black_box(&request.depends::<CurrentUser>().await?.0);
            Ok(())
        })),
    );
    measure(
        criterion,
        "layer, four dependencies that share",
        layer.layer(handler(|request| async move {
            black_box(&request.depends::<Rooms>().await?.user.0);
            Ok(())
        })),
    );
    measure(
        criterion,
        "layer, one dependency with an end",
        layer.layer(handler(|request| async move { request.depends::<Ended>().await.map(drop) })),
    );
}

criterion_group!(all, benches);
criterion_main!(all);
