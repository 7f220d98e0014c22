//! Claims about the end of requests: hooks run once, the last first, on every way out, and before the caller is told of a
//! success.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use depends::{Context, Dependencies, Dependency, Error, RequestExt};
use futures_util::{FutureExt, StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::ServiceExt;

use crate::support::{Answer, DONE, Notes, app, ask, builder, call, note_end, request, stream_app};

struct Pool;

impl Dependency for Pool {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        note_end(context, "pool");
        Ok(Self)
    }
}

struct Session;

impl Dependency for Session {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        context.get::<Pool>().await?;
        note_end(context, "session");
        Ok(Self)
    }
}

/// Fails to commit.
struct Unlucky;

impl Dependency for Unlucky {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        context.get::<Pool>().await?;
        let notes = context.value::<Notes>()?;
        context.on_end(|outcome| async move {
            notes.note(format!("unlucky: {outcome:?}"));
            tokio::task::yield_now().await;
            Err(Status::aborted("somebody else was faster").into())
        });
        context.get::<Session>().await?;
        Ok(Self)
    }
}

#[tokio::test]
async fn hooks_run_once_and_the_last_first_before_the_status_is_sent() {
    let notes = Notes::default();
    let app = app(&builder(&notes).build(), |request| async move {
        ask::<Session>(&request).await?;
        ask::<Session>(&request).await?;
        DONE()
    });
    let response = app.oneshot(request()).await.unwrap();
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    assert!(notes.all().is_empty(), "the request is not over: {:?}", notes.all());
    assert!(body.frame().await.unwrap().unwrap().is_trailers());
    assert_eq!(notes.all(), ["session: Success", "pool: Success"]);
    assert!(body.frame().await.is_none());
    drop(body);
    tokio::task::yield_now().await;
    assert_eq!(notes.all().len(), 2);
}

#[tokio::test]
async fn a_hook_that_fails_turns_a_success_into_its_error_and_tells_the_rest() {
    let notes = Notes::default();
    let app = app(&builder(&notes).build(), |request| async move {
        ask::<Unlucky>(&request).await?;
        DONE()
    });
    let status = call(&app).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "somebody else was faster"));
    assert_eq!(notes.all(), ["session: Success", "unlucky: Success", "pool: Failure(Aborted)"]);
}

#[tokio::test]
async fn an_error_of_the_handler_stays_what_it_is_whatever_hooks_do() {
    let notes = Notes::default();
    let app = app(&builder(&notes).build(), |request| async move {
        ask::<Unlucky>(&request).await?;
        Err(Status::not_found("no such room"))
    });
    let status = call(&app).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such room"));
    assert_eq!(notes.all(), ["session: Failure(NotFound)", "unlucky: Failure(NotFound)", "pool: Failure(NotFound)"]);
}

#[tokio::test]
async fn what_was_resolved_before_an_error_of_a_dependency_is_ended_too() {
    struct Refusing;
    impl Dependency for Refusing {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            context.get::<Session>().await?;
            Err(Status::permission_denied("not you").into())
        }
    }
    let notes = Notes::default();
    let app = app(&builder(&notes).build(), |request| async move {
        ask::<Refusing>(&request).await?;
        DONE()
    });
    assert_eq!(call(&app).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(notes.all(), ["session: Failure(PermissionDenied)", "pool: Failure(PermissionDenied)"]);
}

/// Streams numbers, a while apart, and ends with this.
fn numbers(count: usize, end: fn() -> Result<(), Status>, context: Option<Context>) -> Body {
    let messages = stream::iter(0..count).then(move |number| {
        let context = context.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            if let Some(context) = &context {
                context.get::<Session>().await.map_err(Status::from)?;
            }
            Ok(Frame::data(Bytes::from(number.to_string())))
        }
    });
    Body::new(StreamBody::new(messages.chain(stream::once(async move {
        let mut trailers = http::HeaderMap::new();
        end().err().unwrap_or_else(|| Status::new(Code::Ok, "")).add_header(&mut trailers).unwrap();
        Ok::<_, Status>(Frame::trailers(trailers))
    }))))
}

#[tokio::test]
async fn a_stream_is_over_when_it_ends_and_not_when_its_head_is_sent() {
    for (end, outcome) in [
        ((|| Ok(())) as fn() -> Result<(), Status>, "Success"),
        (|| Err(Status::data_loss("cut")), "Failure(DataLoss)"),
    ] {
        let notes = Notes::default();
        // Once resolved before the head is sent, once only while the stream runs.
        for in_stream in [false, true] {
            let before = notes.all().len();
            let app = stream_app(&builder(&notes).build(), move |request| async move {
                let context = request.context()?;
                if !in_stream {
                    context.get::<Session>().await?;
                }
                Ok(numbers(3, end, in_stream.then_some(context)))
            });
            let mut body = app.oneshot(request()).await.unwrap().into_body();
            for _ in 0..3 {
                assert!(body.frame().await.unwrap().unwrap().is_data());
                assert_eq!(notes.all().len(), before);
            }
            let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
            assert_eq!(trailers["grpc-status"] == "0", outcome == "Success");
            assert_eq!(notes.all()[before..], [format!("session: {outcome}"), format!("pool: {outcome}")]);
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_before_and_during_the_answer() {
    let notes = Notes::default();
    let dependencies = builder(&notes).build();
    // While the handler works.
    let busy = app(&dependencies, |request| async move {
        ask::<Session>(&request).await?;
        std::future::pending::<Answer>().await
    });
    tokio::time::timeout(Duration::from_millis(10), call(&busy)).await.unwrap_err();
    assert_eq!(notes.wait_for(2).await, ["session: Cancelled", "pool: Cancelled"]);
    // While a stream runs.
    let app = stream_app(&dependencies, |request| async move {
        ask::<Session>(&request).await?;
        Ok(numbers(1000, || Ok(()), None))
    });
    let mut body = app.oneshot(request()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(notes.wait_for(4).await[2..], ["session: Cancelled", "pool: Cancelled"]);
}

#[tokio::test]
async fn the_shutdown_waits_for_the_ends_of_cancelled_requests_and_ends_singletons_last() {
    struct Slow;
    impl Dependency for Slow {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            let notes = context.value::<Notes>()?;
            context.on_end(|_| async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                notes.note("rolled back");
                Ok(())
            });
            context.get::<Registry>().await?;
            Ok(Self)
        }
    }
    struct Registry;
    impl Dependency for Registry {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            note_end(context, "registry");
            Ok(Self)
        }
    }
    let notes = Notes::default();
    let dependencies = builder(&notes).singleton::<Registry>().build();
    let app = app(&dependencies, |request| async move {
        ask::<Slow>(&request).await?;
        std::future::pending::<Answer>().await
    });
    tokio::time::timeout(Duration::from_millis(20), call(&app)).await.unwrap_err();
    assert!(notes.all().is_empty());
    dependencies.close().await.unwrap();
    assert_eq!(notes.all(), ["rolled back", "registry: Success"]);
}

#[tokio::test]
async fn a_client_that_goes_away_while_hooks_run_does_not_stop_them() {
    struct Committing;
    impl Dependency for Committing {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            let notes = context.value::<Notes>()?;
            context.on_end(|outcome| async move {
                notes.note("begun");
                tokio::time::sleep(Duration::from_millis(30)).await;
                notes.note(format!("committed: {outcome:?}"));
                Ok(())
            });
            Ok(Self)
        }
    }
    let notes = Notes::default();
    let dependencies = builder(&notes).build();
    for refuse in [false, true] {
        let before = notes.all().len();
        let app = app(&dependencies, move |request| async move {
            ask::<Committing>(&request).await?;
            if refuse { Err(Status::not_found("")) } else { DONE() }
        });
        tokio::time::timeout(Duration::from_millis(10), call(&app)).await.unwrap_err();
        assert_eq!(notes.all()[before..], ["begun"]);
        dependencies.close().await.unwrap();
        let outcome = if refuse { "Failure(NotFound)" } else { "Success" };
        assert_eq!(notes.all()[before..], ["begun".to_owned(), format!("committed: {outcome}")]);
    }
}

#[tokio::test]
async fn a_handler_that_panics_is_ended_too() {
    let notes = Notes::default();
    let app = app(&builder(&notes).build(), |request| async move {
        ask::<Session>(&request).await?;
        panic!("the handler is broken");
    });
    assert!(AssertUnwindSafe(call(&app)).catch_unwind().await.is_err());
    assert_eq!(notes.wait_for(2).await, ["session: Panicked", "pool: Panicked"]);
}

#[tokio::test]
async fn a_hook_that_panics_or_hangs_keeps_no_other_from_running() {
    struct Panics;
    impl Dependency for Panics {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            context.get::<Session>().await?;
            context.on_end(|_| async { panic!("the hook is broken") });
            Ok(Self)
        }
    }
    struct Hangs;
    impl Dependency for Hangs {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            context.get::<Session>().await?;
            context.on_end(|_| std::future::pending());
            Ok(Self)
        }
    }
    let notes = Notes::default();
    let dependencies = builder(&notes).end_within(Duration::from_millis(20)).build();
    let panics = app(&dependencies, |request| async move {
        ask::<Panics>(&request).await?;
        DONE()
    });
    let status = call(&panics).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Internal, "the dependency Panics: it panicked"));
    assert_eq!(notes.all(), ["session: Failure(Internal)", "pool: Failure(Internal)"]);
    let hangs = app(&dependencies, |request| async move {
        ask::<Hangs>(&request).await?;
        DONE()
    });
    assert_eq!(call(&hangs).await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(notes.all()[2..], ["session: Failure(DeadlineExceeded)", "pool: Failure(DeadlineExceeded)"]);
}

#[tokio::test]
async fn after_the_end_nothing_begins_and_what_is_late_is_ended_at_once() {
    let notes = Notes::default();
    let kept: Arc<std::sync::Mutex<Option<Context>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let app = app(&builder(&notes).build(), move |request| {
        let context = request.context();
        *keep.lock().unwrap() = context.ok();
        async { DONE() }
    });
    call(&app).await.unwrap();
    let context = kept.lock().unwrap().take().unwrap();
    let status = Status::from(context.get::<Session>().await.err().unwrap());
    assert_eq!(status.message(), "the dependency Session: the request is over");
    note_end(&context, "late");
    assert_eq!(notes.wait_for(1).await, ["late: Cancelled"]);
}

#[tokio::test]
async fn an_answer_that_is_not_grpc_is_judged_by_its_head() {
    for (status, outcome) in [(200, "Success"), (404, "Failure(Unknown)")] {
        let notes = Notes::default();
        let service = tower::service_fn(move |request: http::Request<Body>| async move {
            request.extensions().get::<Context>().unwrap().get::<Pool>().await.unwrap();
            let body = Body::new(http_body_util::Full::new(Bytes::from_static(b"page")));
            Ok::<_, std::convert::Infallible>(http::Response::builder().status(status).body(body).unwrap())
        });
        let service = tower::Layer::layer(&builder(&notes).build().layer(), service);
        let response = service.oneshot(request()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "page");
        assert_eq!(notes.all(), [format!("pool: {outcome}")]);
    }
}

#[tokio::test]
async fn a_grpc_answer_without_a_status_is_no_success() {
    let notes = Notes::default();
    let app = stream_app(&builder(&notes).build(), |request| async move {
        ask::<Pool>(&request).await?;
        Ok(Body::new(http_body_util::Full::new(Bytes::from_static(b"cut"))))
    });
    app.oneshot(request()).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(notes.all(), ["pool: Failure(Unknown)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_request_is_ended_exactly_once_whenever_its_client_goes_away() {
    let notes = Notes::default();
    let dependencies = builder(&notes).build();
    let app = stream_app(&dependencies, |request| async move {
        ask::<Pool>(&request).await?;
        tokio::task::yield_now().await;
        Ok(numbers(3, || Ok(()), None))
    });
    let calls = 400;
    let tasks: Vec<_> = (0..calls)
        .map(|number| {
            let app = app.clone();
            let patience = Duration::from_micros(number * 40);
            tokio::spawn(async move { drop(tokio::time::timeout(patience, call(&app)).await) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    dependencies.close().await.unwrap();
    let all = notes.all();
    let (finished, cancelled) = (notes.count("pool: Success"), notes.count("pool: Cancelled"));
    assert_eq!(finished + cancelled, all.len(), "{all:?}");
    // A request that went away before it had asked has nothing to end.
    assert!(all.len() <= usize::try_from(calls).unwrap() && cancelled > 0, "{finished} {cancelled}");
}

#[tokio::test]
async fn an_empty_application_closes() {
    Dependencies::builder().build().close().await.unwrap();
}
