//! Claims about a server on Postgres: what it wants of the database before it serves, and what callers notice when the
//! database goes away, comes back, is slow, or takes no changes.

mod slow;
mod stopped;
mod trouble;

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{
    Call, Protocol, Server, Upstream,
    identity::{Registrar, required},
    postgres::{Database, OwnServer},
    script,
    server::binary,
};

/// The URL of a database as the server is given it: with a password, which no log may have.
fn with_password(url: &str) -> String {
    url.replace("://postgres@", "://postgres:correct-horse-battery@")
}

/// What the database answers, as soon as it is this. A row may wait for an answer on a connection that is no more: the server
/// gives that up after ten seconds, and writes the row again.
async fn soon_answers(database: &Database, query: &str, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = database.run(query);
        if answer == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{query}: {answer}, not {expected}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_empty_database_is_refused_until_it_is_migrated_and_has_the_usage_then() {
    let database = Database::fresh();
    let upstream = Upstream::start();
    let config = Server::config_for(&upstream.base_url());
    let url = with_password(database.url());
    let (status, log) = Server::refuse_with(&config, &[("DATABASE_URL", &url)]);
    assert!(!status.success() && log.contains("run `sabir migrate`"), "{log}");
    assert_eq!(
        database.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0",
        "serving changes nothing"
    );

    let migrate = || {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary("sabir"));
        command.arg("migrate").current_dir(folder.path()).env_clear().env("DATABASE_URL", &url).output().unwrap()
    };
    // The second time there is nothing to do, which is no error.
    for _ in 0..2 {
        let done = migrate();
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success() && !said.contains("correct-horse"), "{said}");
    }
    let server = Server::start_with(&config, &[("DATABASE_URL", &url)]).await;
    for protocol in Protocol::ALL {
        protocol.unary(server.address(), &Call::say("scripted/echo", "Hi")).await.unwrap();
    }
    let rows = "SELECT string_agg(protocol || ' ' || model_asked || ' ' || outcome || ' ' || prompt_tokens, ', ' \
                ORDER BY started_at) FROM usage_log";
    let row = |protocol: &str| format!("{protocol} scripted/echo complete 11");
    soon_answers(&database, rows, &["grpc", "grpc-web", "rest"].map(row).join(", ")).await;
}

/// How many clients call at once, and how often each.
const CLIENTS: usize = 6;
const CALLS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answered_call_is_lost_when_the_database_restarts_under_load() {
    let postgres = OwnServer::start("restarts");
    let database = postgres.database();
    // The servers of tests forget in a crash what they have just acknowledged; those that matter do not.
    database
        .run("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()); END $$");
    sabir_store_postgres::migrate(database.url()).await.unwrap();
    let upstream = Upstream::start();
    for number in 0..CLIENTS * CALLS {
        upstream.script(&format!("load-{number}"), script::echo());
    }
    // A limit that nobody reaches, so that the way of every call leads through what is shared.
    let config = format!(
        "{}{}[limits]\neach_key = {{ requests_per_minute = 1000000 }}\n",
        Server::config_for(&upstream.base_url()),
        required()
    );
    let server = Server::start_with(&config, &[("DATABASE_URL", &with_password(database.url()))]).await;
    let (key, _) = Registrar::at(database.url()).await.key(|_| {}).await;
    // Only what is found out after the server has noticed the new key stays in its memory.
    tokio::time::sleep(Duration::from_secs(1)).await;

    let phase = Arc::new(AtomicUsize::new(0));
    let hurry = Arc::new(AtomicBool::new(false));
    let clients = (0..CLIENTS).map(|client| {
        let (server, key) = (server.address(), key.clone());
        let (phase, hurry) = (Arc::clone(&phase), Arc::clone(&hurry));
        tokio::spawn(async move {
            let protocol = Protocol::ALL[client % 3];
            let (mut answered, mut counts) = (Vec::new(), [(0, 0); 3]);
            for number in (client * CALLS)..((client + 1) * CALLS) {
                let headers = vec![("authorization", format!("Bearer {key}"))];
                let call = Call { headers, ..Call::say(&format!("scripted/load-{number}"), "Hi") };
                let during = phase.load(Ordering::SeqCst);
                match protocol.unary(server, &call).await {
                    Ok(_) => {
                        answered.push(number);
                        counts[during].0 += 1;
                    }
                    Err(failure) => {
                        assert_eq!(failure.code, "UNAVAILABLE", "{protocol:?}: {failure:?}");
                        assert!(failure.http.is_none_or(|status| status == 503), "{protocol:?}: {failure:?}");
                        counts[during].1 += 1;
                    }
                }
                if !hurry.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(40)).await;
                }
            }
            (answered, counts)
        })
    });
    let clients: Vec<_> = clients.collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    phase.store(1, Ordering::SeqCst);
    postgres.stop();
    tokio::time::sleep(Duration::from_secs(2)).await;
    postgres.start_again();
    phase.store(2, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(1)).await;
    hurry.store(true, Ordering::SeqCst);

    let (mut answered, mut counts) = (Vec::new(), [(0, 0); 3]);
    for client in clients {
        let (numbers, of_client) = client.await.unwrap();
        answered.extend(numbers);
        for (sum, more) in counts.iter_mut().zip(of_client) {
            *sum = (sum.0 + more.0, sum.1 + more.1);
        }
    }
    // (answered, refused) before, during and after.
    let [before, during, after] = counts;
    assert!(before.0 > 30 && before.1 == 0, "before, while and after the database was away: {counts:?}");
    assert!(during.0 + during.1 > 30 && after.0 > 30, "before, while and after the database was away: {counts:?}");
    let lost_or_doubled = format!(
        "SELECT count(*) FROM (SELECT number FROM unnest(ARRAY{answered:?}) AS number LEFT JOIN usage \
         ON model_asked = 'scripted/load-' || number AND grpc_code = 0 GROUP BY number HAVING count(id) <> 1) AS wrong"
    );
    soon_answers(&database, &lost_or_doubled, "0").await;
    soon_answers(&database, "SELECT count(*) FROM usage WHERE grpc_code = 0", &answered.len().to_string()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_let_pass_together_what_a_limit_says() {
    const LIMIT: u64 = 30;
    let database = Database::fresh();
    sabir_store_postgres::migrate(database.url()).await.unwrap();
    let upstream = Upstream::start();
    let config = format!(
        "{}{}[limits]\neach_key = {{ requests_per_minute = {LIMIT} }}\n",
        Server::config_for(&upstream.base_url()),
        required()
    );
    let variables = [("DATABASE_URL", database.url())];
    let (one, other) = tokio::join!(Server::start_with(&config, &variables), Server::start_with(&config, &variables));
    let registrar = Registrar::at(database.url()).await;
    for protocol in Protocol::ALL {
        let (key, _) = registrar.key(|_| {}).await;
        let began = Instant::now();
        let calls = (0..80).map(|number| {
            let server = [&one, &other][number % 2].address();
            let headers = vec![("authorization", format!("Bearer {key}"))];
            let call = Call { headers, ..Call::say("scripted/echo", "Hi") };
            tokio::spawn(async move { protocol.unary(server, &call).await })
        });
        let mut passed = 0;
        for call in calls.collect::<Vec<_>>() {
            match call.await.unwrap() {
                Ok(_) => passed += 1,
                Err(failure) => assert_eq!(failure.code, "RESOURCE_EXHAUSTED", "{protocol:?}: {failure:?}"),
            }
        }
        // One comes back every two seconds.
        let most = LIMIT + began.elapsed().as_secs() / 2 + 1;
        assert!((LIMIT..=most).contains(&passed), "{protocol:?}: {passed} passed, not {LIMIT} to {most}");
    }
}
