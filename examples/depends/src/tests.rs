//! Claims about the example, over gRPC and as JSON: what a request did stays if its caller was told of a success, and only
//! then; and who calls can be put in by a test.

use http_body_util::BodyExt;
use rooms_client::RoomsClient;
use tonic::Code;
use tower::ServiceExt;

use super::*;

/// The application on a database of its own, in memory, with what the test puts in.
async fn app_with(dependencies: impl FnOnce(depends::Builder) -> depends::Builder) -> axum::Router {
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    sqlx::query(TABLE).execute(&pool).await.unwrap();
    app(&dependencies(Dependencies::builder().value(pool)).build()).unwrap()
}

/// Books a room over HTTP, as JSON: the status and the document.
async fn post(app: &axum::Router, user: Option<&str>, hours: &str) -> (u16, String) {
    let request = http::Request::post("/v1/rooms/library/bookings").header("content-type", "application/json");
    let request = user.into_iter().fold(request, |request, user| request.header("x-user", user));
    let request = request.body(axum::body::Body::from(format!("{{\"hours\": {hours}}}"))).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

/// The application on a port, and a gRPC client of it.
async fn client(app: axum::Router) -> RoomsClient<tonic::transport::Channel> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    RoomsClient::connect(format!("http://{address}")).await.unwrap()
}

fn booking(hours: &[u32]) -> BookRoomRequest {
    BookRoomRequest { room: "library".to_owned(), hours: hours.to_vec() }
}

#[tokio::test]
async fn what_a_request_did_stays_on_success_and_is_undone_on_error_as_json() {
    let app = app_with(|dependencies| dependencies).await;
    assert_eq!(post(&app, Some("alice"), "[9, 10]").await, (200, r#"{"hours":[9,10]}"#.to_owned()));
    let (status, document) = post(&app, Some("bob"), "[8, 9]").await;
    assert_eq!(status, 409, "{document}");
    assert!(document.contains("9 is taken"), "{document}");
    assert_eq!(post(&app, Some("bob"), "[11]").await, (200, r#"{"hours":[9,10,11]}"#.to_owned()), "8 was undone");
}

#[tokio::test]
async fn what_a_request_did_stays_on_success_and_is_undone_on_error_over_grpc() {
    let mut client = client(app_with(|dependencies| dependencies.value(CurrentUser("alice".to_owned()))).await).await;
    assert_eq!(client.book_room(booking(&[9, 10])).await.unwrap().into_inner().hours, [9, 10]);
    assert_eq!(client.book_room(booking(&[8, 9])).await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(client.book_room(booking(&[11])).await.unwrap().into_inner().hours, [9, 10, 11]);
}

#[tokio::test]
async fn nobody_books_without_a_name() {
    let app = app_with(|dependencies| dependencies).await;
    assert_eq!(post(&app, None, "[9]").await.0, 401);
    let status = client(app).await.book_room(booking(&[9])).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "say who you are: x-user"));
}

/// A session whose commit fails, as when somebody else was faster.
fn unlucky(dependencies: depends::Builder) -> depends::Builder {
    dependencies.value(CurrentUser("alice".to_owned())).resolve_with(|context: Context| async move {
        let session = Arc::new(Mutex::new(Some(context.value::<SqlitePool>()?.begin().await?)));
        let ended = Arc::clone(&session);
        context.on_end(async move |_| {
            ended.lock().await.take();
            Err(Status::aborted("somebody else was faster").into())
        });
        Ok(Session(session))
    })
}

#[tokio::test]
async fn a_commit_that_fails_is_what_the_caller_is_told_over_every_protocol() {
    let app = app_with(unlucky).await;
    let (status, document) = post(&app, None, "[9]").await;
    assert_eq!(status, 409, "{document}");
    assert!(document.contains("somebody else was faster") && !document.contains("hours"), "{document}");
    let status = client(app).await.book_room(booking(&[9])).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "somebody else was faster"));
}

/// A session on which its request waits for ever, so that its client loses patience.
#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    let (held, (told, mut outcomes)) = (Arc::clone(&hold), tokio::sync::mpsc::channel(8));
    let app = app_with(move |dependencies| {
        dependencies.resolve_with(move |context: Context| {
            let (held, told) = (Arc::clone(&held), told.clone());
            async move {
                context.on_end(async move |outcome| Ok(told.send(outcome).await?));
                held.acquire().await?.forget();
                Ok(CurrentUser("alice".to_owned()))
            }
        })
    })
    .await;
    let mut client = client(app.clone()).await;
    let mut impatient = Request::new(booking(&[9]));
    impatient.set_timeout(std::time::Duration::from_millis(50));
    assert!(client.book_room(impatient).await.is_err());
    assert_eq!(outcomes.recv().await, Some(depends::Outcome::Cancelled));
    hold.add_permits(1);
    assert_eq!(post(&app, None, "[10]").await, (200, r#"{"hours":[10]}"#.to_owned()));
    assert_eq!(outcomes.recv().await, Some(depends::Outcome::Success));
}
