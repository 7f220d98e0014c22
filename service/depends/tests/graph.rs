//! Claims about the graph: one value for each request, however it is asked for; circles are errors; what the application
//! shares; what stands in for what.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use depends::{Context, Dependencies, Dependency, Error, RequestExt};
use futures_util::future::{join_all, join3};
use tonic::{Code, Status};

use crate::support::{DONE, Notes, app, builder, call, call_with, request};

/// Notes that it is resolved, and takes some time.
struct Pool(usize);

impl Dependency for Pool {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        let notes = context.value::<Notes>()?;
        tokio::task::yield_now().await;
        notes.note("pool");
        Ok(Self(notes.count("pool")))
    }
}

struct Session(Arc<Pool>);

impl Dependency for Session {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        let pool = context.get::<Pool>().await?;
        context.value::<Notes>()?.note("session");
        Ok(Self(pool))
    }
}

struct Accounts {
    session: Arc<Session>,
    pool: Arc<Pool>,
}

impl Dependency for Accounts {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        let (session, pool) = futures_util::future::join(context.get(), context.get()).await;
        Ok(Self { session: session?, pool: pool? })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_is_resolved_once_for_each_request_also_when_many_ask_at_the_same_time() {
    let notes = Notes::default();
    let dependencies = builder(&notes).build();
    let app = app(&dependencies, |request| async move {
        let context = request.context()?;
        // From tasks on several threads, and in this one.
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let context = context.clone();
                tokio::spawn(async move { context.get::<Accounts>().await })
            })
            .collect();
        let here = request.depends::<Session>().await?;
        for accounts in join_all(tasks).await {
            let accounts = accounts.expect("no panic")?;
            assert!(Arc::ptr_eq(&accounts.session, &here));
            assert!(Arc::ptr_eq(&accounts.pool, &here.0) && Arc::ptr_eq(&accounts.session.0, &here.0));
        }
        DONE()
    });
    for round in 1..=200 {
        call(&app).await.unwrap();
        assert_eq!((notes.count("pool"), notes.count("session")), (round, round));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_at_the_same_time_share_nothing() {
    struct Name(String);
    impl Dependency for Name {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            tokio::task::yield_now().await;
            Ok(Self(context.head()?.metadata().get("x-name").unwrap().to_str().unwrap().to_owned()))
        }
    }
    let app = app(&Dependencies::builder().build(), |request| async move {
        let name = request.depends::<Name>().await?;
        Ok(vec![name.0.clone().into_bytes().into()])
    });
    let calls = (0..500).map(|number| {
        let app = app.clone();
        tokio::spawn(async move {
            let mut request = request();
            request.headers_mut().insert("x-name", number.into());
            assert_eq!(call_with(&app, request).await.unwrap()[0], number.to_string());
        })
    });
    for call in join_all(calls).await {
        call.unwrap();
    }
}

#[tokio::test]
async fn an_error_is_resolved_once_too_and_every_asker_is_told() {
    struct Broken;
    impl Dependency for Broken {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            context.value::<Notes>()?.note("broken");
            tokio::task::yield_now().await;
            Err(std::io::Error::other("no route to 10.0.0.7").into())
        }
    }
    struct Above;
    impl Dependency for Above {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            context.get::<Broken>().await?;
            Ok(Self)
        }
    }
    let notes = Notes::default();
    let app = app(&builder(&notes).build(), |request| async move {
        let context = request.context()?;
        let (one, two, three) = join3(context.get::<Broken>(), context.get::<Above>(), context.get::<Broken>()).await;
        assert!(one.is_err() && three.is_err());
        let error = two.err().expect("it needs what is broken");
        assert_eq!(error.path(), "Above -> Broken");
        Err(error.into())
    });
    let status = call(&app).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Internal, "the dependency Broken failed"));
    assert_eq!(notes.all(), ["broken"]);
}

#[tokio::test]
async fn a_status_is_what_the_caller_is_told() {
    struct User;
    impl Dependency for User {
        async fn resolve(_: &Context) -> Result<Self, Error> {
            Err(Status::unauthenticated("who are you?").into())
        }
    }
    let app = app(&Dependencies::builder().build(), |request| async move {
        request.depends::<User>().await?;
        DONE()
    });
    let status = call(&app).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "who are you?"));
}

/// Three that ask for each other in a circle, and one that asks for one of them.
struct First;
struct Second;
struct Third;
struct Outside;

impl Dependency for First {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        tokio::task::yield_now().await;
        context.get::<Second>().await.map(|_| Self)
    }
}

impl Dependency for Second {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        tokio::task::yield_now().await;
        context.get::<Third>().await.map(|_| Self)
    }
}

impl Dependency for Third {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        tokio::task::yield_now().await;
        context.get::<First>().await.map(|_| Self)
    }
}

impl Dependency for Outside {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        context.get::<First>().await.map(|_| Self)
    }
}

#[tokio::test]
async fn a_circle_is_an_error_that_names_the_way_round() {
    let app = app(&Dependencies::builder().build(), |request| async move {
        request.depends::<Outside>().await?;
        DONE()
    });
    let status = call(&app).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(status.message(), "the dependencies form a circle: Third -> First -> Second -> Third");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_circle_that_is_entered_at_every_point_at_once_is_an_error_and_no_deadlock() {
    let app = app(&Dependencies::builder().build(), |request| async move {
        let context = request.context()?;
        let spawn = |context: Context, which: usize| {
            tokio::spawn(async move {
                match which % 3 {
                    0 => context.get::<First>().await.map(drop),
                    1 => context.get::<Second>().await.map(drop),
                    _ => context.get::<Third>().await.map(drop),
                }
            })
        };
        let tasks: Vec<_> = (0..9).map(|which| spawn(context.clone(), which)).collect();
        let (one, two, three) = join3(context.get::<Third>(), context.get::<First>(), context.get::<Second>()).await;
        let here = [one.err(), two.err(), three.err()];
        for error in here.into_iter().chain(join_all(tasks).await.into_iter().map(|task| task.unwrap().err())) {
            let message = Status::from(error.expect("a circle")).message().to_owned();
            assert!(message.starts_with("the dependencies form a circle: "), "{message}");
            assert_eq!(message.matches(" -> ").count(), 3, "{message}");
        }
        DONE()
    });
    for _ in 0..300 {
        tokio::time::timeout(Duration::from_secs(10), call(&app)).await.expect("no deadlock").unwrap();
    }
}

#[tokio::test]
async fn when_the_first_asker_goes_away_the_next_begins_anew() {
    struct Slow;
    impl Dependency for Slow {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            let notes = context.value::<Notes>()?;
            notes.note("begun");
            tokio::time::sleep(Duration::from_millis(30)).await;
            notes.note("done");
            Ok(Self)
        }
    }
    let notes = Notes::default();
    let app = app(&builder(&notes).build(), |request| async move {
        let context = request.context()?;
        let first = tokio::time::timeout(Duration::from_millis(5), context.get::<Slow>());
        let (first, second) = futures_util::future::join(first, context.get::<Slow>()).await;
        assert!(first.is_err());
        second?;
        DONE()
    });
    call(&app).await.unwrap();
    assert_eq!(notes.all(), ["begun", "begun", "done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_singleton_is_resolved_once_for_all_requests_though_the_first_one_goes_away() {
    struct Registry(Arc<Pool>);
    impl Dependency for Registry {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            context.value::<Notes>()?.note("registry");
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(Self(context.get::<Pool>().await?))
        }
    }
    let notes = Notes::default();
    let dependencies = builder(&notes).singleton::<Registry>().build();
    let app = app(&dependencies, |request| async move {
        let registry = request.depends::<Registry>().await?;
        assert_eq!(registry.0.0, 1, "what it asked for is the application's as well");
        DONE()
    });
    tokio::time::timeout(Duration::from_millis(5), call(&app)).await.unwrap_err();
    for answer in join_all((0..32).map(|_| call(&app))).await {
        answer.unwrap();
    }
    assert_eq!(notes.all(), ["registry", "pool"]);
    assert!(Arc::ptr_eq(&dependencies.get::<Registry>().await.unwrap(), &dependencies.get().await.unwrap()));
}

#[tokio::test]
async fn a_singleton_that_failed_is_tried_again_and_those_who_waited_are_told_together() {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    struct Database;
    impl Dependency for Database {
        async fn resolve(_: &Context) -> Result<Self, Error> {
            let tries = TRIES.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            match tries {
                0 => Err(Status::unavailable("the database is away").into()),
                1 => panic!("the driver is broken"),
                _ => Ok(Self),
            }
        }
    }
    let dependencies = Dependencies::builder().singleton::<Database>().build();
    let app = app(&dependencies, |request| async move {
        request.depends::<Database>().await?;
        DONE()
    });
    let begun = Instant::now();
    for answer in join_all((0..50).map(|_| call(&app))).await {
        assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let status = call(&app).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Internal, "the dependency Database: it panicked"));
    call(&app).await.unwrap();
    assert_eq!(TRIES.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn singletons_in_a_circle_are_an_error_and_may_not_need_a_request() {
    struct Chicken;
    struct Egg;
    struct Nosy;
    impl Dependency for Chicken {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            context.get::<Egg>().await.map(|_| Self)
        }
    }
    impl Dependency for Egg {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            context.get::<Chicken>().await.map(|_| Self)
        }
    }
    impl Dependency for Nosy {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            context.head().map(|_| Self)
        }
    }
    let dependencies = Dependencies::builder().singleton::<Chicken>().singleton::<Egg>().singleton::<Nosy>().build();
    let app = app(&dependencies, |request| async move {
        let context = request.context()?;
        let (chicken, egg, nosy) = join3(context.get::<Chicken>(), context.get::<Egg>(), context.get::<Nosy>()).await;
        for error in [chicken.err().unwrap(), egg.err().unwrap()] {
            assert!(Status::from(error).message().starts_with("the dependencies form a circle: "));
        }
        Err(nosy.err().unwrap().into())
    });
    let status = tokio::time::timeout(Duration::from_secs(10), call(&app)).await.unwrap().unwrap_err();
    assert_eq!(status.message(), "the dependency Nosy: it needs a request, and is asked for outside of one");
}

#[tokio::test]
async fn what_nobody_provides_is_an_error_that_names_it() {
    struct Settings;
    impl Dependency for Settings {}
    struct Needy;
    impl Dependency for Needy {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            context.get::<Settings>().await?;
            context.value::<String>().map(|_| Self)
        }
    }
    let handler = |request: tonic::Request<()>| async move {
        request.depends::<Needy>().await?;
        DONE()
    };
    let status = call(&app(&Dependencies::builder().build(), handler)).await.unwrap_err();
    assert_eq!(status.message(), "the dependency Settings: nobody provides it");
    let status = call(&app(&Dependencies::builder().value(Settings).build(), handler)).await.unwrap_err();
    assert_eq!(status.message(), "the dependency String: nobody provides it");
    let given = Dependencies::builder().value(Settings).shared(Arc::new(String::new())).build();
    call(&app(&given, handler)).await.unwrap();
}

#[tokio::test]
async fn tests_put_something_else_in_the_place_of_a_dependency() {
    let handler = |request: tonic::Request<()>| async move {
        let session = request.depends::<Session>().await?;
        Ok(vec![session.0.0.to_string().into_bytes().into()])
    };
    let notes = Notes::default();
    // A value, also below the one that is asked for.
    let answer = call(&app(&builder(&notes).value(Pool(7)).build(), handler)).await.unwrap();
    assert_eq!(answer[0], "7");
    assert_eq!(notes.all(), ["session"]);
    // A function, called for each request.
    let fake = builder(&notes).resolve_with(|context: Context| async move {
        let path = context.head()?.path().len();
        Ok(Pool(path))
    });
    assert_eq!(call(&app(&fake.build(), handler)).await.unwrap()[0], "20");
    // A function in the place of a singleton is called once.
    let fakes = Notes::default();
    let noted = fakes.clone();
    let fake = builder(&notes).singleton::<Pool>().resolve_with(move |_| {
        noted.note("fake");
        async { Ok(Pool(3)) }
    });
    let app = app(&fake.build(), handler);
    for _ in 0..3 {
        assert_eq!(call(&app).await.unwrap()[0], "3");
    }
    assert_eq!(fakes.all(), ["fake"]);
}

#[tokio::test]
async fn the_head_of_a_request_is_there_for_dependencies() {
    struct Seen;
    impl Dependency for Seen {
        async fn resolve(context: &Context) -> Result<Self, Error> {
            let head = context.head()?;
            assert_eq!(head.path(), "/rooms.v1.Rooms/Book");
            assert_eq!(head.metadata().get("x-name").unwrap(), "7");
            assert_eq!(head.extensions().get::<u8>(), Some(&9));
            assert_eq!(head.deadline(), Some(head.received() + Duration::from_millis(1500)));
            assert_eq!(head.remote_addr(), None);
            Ok(Self)
        }
    }
    let app = app(&Dependencies::builder().build(), |request| async move {
        request.depends::<Seen>().await?;
        DONE()
    });
    let mut request = request();
    request.headers_mut().insert("x-name", 7.into());
    request.headers_mut().insert("grpc-timeout", "1500m".parse().unwrap());
    request.extensions_mut().insert(9_u8);
    call_with(&app, request).await.unwrap();
}

#[tokio::test]
async fn without_the_layer_the_error_says_so() {
    let status = tonic::Request::new(()).depends::<Pool>().await.err().unwrap();
    assert_eq!(status.message(), "the service has no DependsLayer around it");
}
