//! Servers that are killed while they spend.

use std::sync::Mutex;

use sabir_store::{UsageFilter, UsageStore};

use super::*;

/// How long servers are killed and started again.
const STORM: Duration = Duration::from_secs(8);

const CLIENTS: usize = 24;

/// Short, so that what the dead held is soon known.
const LEASE: &str = "lease = \"1s\"";

/// More than is spent before the storm is over, or nearly so.
const AMOUNT: i64 = 4 * DOLLAR;

/// Numbers that look random, the same in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_killed_at_random_never_overspend_and_leave_nothing_behind() {
    weather_the_storm(&World::new(LEASE)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_killed_at_random_never_overspend_and_leave_nothing_behind_on_postgres() {
    weather_the_storm(&World::new(LEASE).on_postgres()).await;
}

async fn weather_the_storm(world: &World) {
    let first = world.server().await;
    let database = world.database(&first);
    let id = budget(first.address(), AMOUNT, json!({})).await;
    // The first keeps the database's folder and is not killed; it serves nobody here.
    let servers = [world.server_on(&database).await, world.server_on(&database).await];
    let addresses = Arc::new(Mutex::new(servers.each_ref().map(Server::address)));
    known_everywhere().await;

    let storm = Arc::new(AtomicI64::new(1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (addresses, storm) = (Arc::clone(&addresses), Arc::clone(&storm));
            tokio::spawn(async move {
                let mut refused = 0;
                while storm.load(Ordering::SeqCst) > 0 {
                    let server = addresses.lock().unwrap()[number % 2];
                    let protocol = Protocol::ALL[number % 3];
                    // A server that is not there makes the call panic: that client has no luck, and tries again.
                    let answer =
                        tokio::spawn(async move { protocol.unary(server, &call("scripted/spend")).await }).await;
                    if !matches!(answer, Ok(Ok(_))) {
                        refused += usize::from(matches!(answer, Ok(Err(failure)) if is_spent(&failure)));
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                refused
            })
        })
        .collect();

    let mut dice = Dice(0x5eed_2026);
    let mut servers = servers.map(Some);
    let mut killed = 0;
    let end = std::time::Instant::now() + STORM;
    // On a busy machine a server takes its time to start.
    while std::time::Instant::now() < end || killed < 4 {
        tokio::time::sleep(Duration::from_millis(200 + dice.below(600))).await;
        let which = usize::try_from(dice.below(2)).unwrap();
        // SIGKILL, as dropping it is.
        drop(servers[which].take());
        killed += 1;
        let again = world.server_on(&database).await;
        addresses.lock().unwrap()[which] = again.address();
        servers[which] = Some(again);
    }
    storm.store(0, Ordering::SeqCst);
    let mut refused = 0;
    for client in clients {
        refused += client.await.unwrap();
    }
    drop(servers);

    let state = settled(first.address(), &id).await;
    let spent = state["spent_nanos"].as_i64().unwrap();
    let orphaned = state["orphaned_nanos"].as_i64().unwrap();
    report(&format!("{killed} kills, {refused} refusals, billed {}, {state}", world.billed()));
    assert!(killed >= 4 && orphaned > 0, "{killed} kills: {state}");
    assert!(world.billed() <= AMOUNT + RESERVATION, "the upstream has billed {}: {state}", world.billed());
    assert!(spent <= AMOUNT && world.billed() <= spent, "{} of {state}", world.billed());
    let cost = match &world.postgres {
        Some(_) => world.cost_of_rows(&first, 1).await,
        None => {
            let store = sabir_store_sqlite::open(&database, sabir_store_sqlite::Config::default()).await.unwrap();
            let rows = store.list(&UsageFilter::default(), u32::MAX).await.unwrap();
            rows.iter().map(|row| row.cost_nanos).sum()
        }
    };
    assert!(cost > 0 && cost <= spent, "usage rows cost {cost}: {state}");
}

#[tokio::test]
async fn a_server_that_stops_in_order_gives_back_what_it_held() {
    let world = World::new("");
    let first = world.server().await;
    let id = budget(first.address(), DOLLAR, json!({})).await;
    let mut second = world.server_on(&first.database()).await;
    for protocol in Protocol::ALL {
        protocol.unary(second.address(), &call("scripted/spend")).await.unwrap();
    }
    assert!(second.terminate().await.success());
    let state = state(first.address(), &id).await;
    assert_eq!((state["spent_nanos"].as_i64(), state["leased_nanos"].as_i64()), (Some(world.billed()), Some(0)));
}

#[expect(clippy::print_stderr, reason = "figures for whoever runs this with --nocapture")]
fn report(line: &str) {
    eprintln!("{line}");
}
