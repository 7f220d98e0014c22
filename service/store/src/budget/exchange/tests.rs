//! Properties of the books, over all histories that replicas, networks and crashes can make.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const AMOUNT: i64 = 1_000;
const REPLICAS: usize = 3;

/// What can happen.
#[derive(Debug, Clone)]
enum Event {
    /// A call reserves, if it can.
    Reserve(usize, i64),
    /// The oldest call of the replica ends, having cost this part of what it reserved, in percent.
    Settle(usize, i64),
    /// The replica reports, keeps so much beyond its reservations, and asks. The answer may be lost on the way.
    Report { replica: usize, keep: i64, needed: i64, wanted: i64, lost: bool },
    /// An administrator's view: the lease has not been heard of.
    Orphan(usize),
    /// The process is killed and another takes its place.
    Kill(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let replica = 0..REPLICAS;
    let event = prop_oneof![
        4 => (replica.clone(), 1..200i64).prop_map(|(replica, amount)| Event::Reserve(replica, amount)),
        4 => (replica.clone(), 0..=100i64).prop_map(|(replica, part)| Event::Settle(replica, part)),
        6 => (replica.clone(), 0..100i64, 0..200i64, 0..400i64, any::<bool>())
            .prop_map(|(replica, keep, needed, wanted, lost)| Event::Report { replica, keep, needed, wanted, lost }),
        1 => replica.clone().prop_map(Event::Orphan),
        1 => replica.prop_map(Event::Kill),
    ];
    prop::collection::vec(event, 0..200)
}

/// A replica's side of a lease.
#[derive(Default)]
struct Replica {
    granted: i64,
    spent: i64,
    reserved: Vec<i64>,
    book: LeaseBook,
}

impl Replica {
    fn reserved(&self) -> i64 {
        self.reserved.iter().sum()
    }
}

proptest! {
    #[test]
    fn no_history_spends_more_than_the_amount(events in events()) {
        let mut period = PeriodBook::default();
        let mut replicas: Vec<Replica> = (0..REPLICAS).map(|_| Replica::default()).collect();
        let mut dead: Vec<LeaseBook> = Vec::new();
        let mut really_spent = 0;
        for event in events {
            match event {
                Event::Reserve(at, amount) => {
                    let replica = &mut replicas[at];
                    if replica.spent + replica.reserved() + amount <= replica.granted {
                        replica.reserved.push(amount);
                    }
                }
                Event::Settle(at, part) => {
                    let replica = &mut replicas[at];
                    if !replica.reserved.is_empty() {
                        let cost = replica.reserved.remove(0) * part / 100;
                        replica.spent += cost;
                        really_spent += cost;
                    }
                }
                Event::Report { replica, keep, needed, wanted, lost } => {
                    let replica = &mut replicas[replica];
                    replica.granted = replica.granted.min(replica.spent + replica.reserved() + keep);
                    let report = LeaseReport {
                        lease_id: Uuid::nil(), budget_id: Uuid::nil(), replica_id: Uuid::nil(),
                        period_starts_at_micros: None, sequence: 0, spent_nanos: replica.spent,
                        reserved_nanos: replica.reserved(), held_nanos: replica.granted,
                        needed_nanos: needed, wanted_nanos: wanted,
                    };
                    let room = period.room(AMOUNT) + replica.book.granted_nanos - replica.granted;
                    exchange(Some(AMOUNT), &mut period, &mut replica.book, &report);
                    prop_assert!(replica.book.granted_nanos >= replica.granted + needed.min(room), "what is needed and there is granted");
                    if !lost {
                        replica.granted = replica.book.granted_nanos;
                    }
                }
                Event::Orphan(at) => { settle(&mut period, &mut replicas[at].book); }
                Event::Kill(at) => {
                    let mut killed = std::mem::take(&mut replicas[at]);
                    settle(&mut period, &mut killed.book);
                    // What was under way when it was killed may have cost as much as was reserved.
                    really_spent += killed.reserved();
                    dead.push(killed.book);
                }
            }
            prop_assert!(really_spent <= AMOUNT, "spent {really_spent}");
            prop_assert!(period.committed_nanos <= AMOUNT);
            prop_assert!(period.spent_nanos <= period.committed_nanos);
            let books = || replicas.iter().map(|replica| &replica.book).chain(&dead);
            prop_assert_eq!(books().map(|book| book.granted_nanos).sum::<i64>(), period.committed_nanos);
            prop_assert_eq!(books().map(|book| book.spent_nanos).sum::<i64>(), period.spent_nanos);
        }
        // When all is reported or settled, nothing is missing from the books.
        for replica in &mut replicas {
            really_spent += replica.reserved();
            settle(&mut period, &mut replica.book);
        }
        prop_assert!(really_spent <= period.spent_nanos);
    }
}

#[test]
fn what_was_spent_beyond_the_grant_is_a_fact() {
    let mut period = PeriodBook { committed_nanos: AMOUNT, spent_nanos: 900 };
    let mut lease = LeaseBook { granted_nanos: 100, ..LeaseBook::default() };
    let report = LeaseReport {
        lease_id: Uuid::nil(),
        budget_id: Uuid::nil(),
        replica_id: Uuid::nil(),
        period_starts_at_micros: None,
        sequence: 1,
        spent_nanos: 130,
        reserved_nanos: 0,
        held_nanos: 130,
        needed_nanos: 10,
        wanted_nanos: 10,
    };
    exchange(Some(AMOUNT), &mut period, &mut lease, &report);
    assert_eq!(period, PeriodBook { committed_nanos: 1_030, spent_nanos: 1_030 });
    assert_eq!(lease, LeaseBook { granted_nanos: 130, spent_nanos: 130, reserved_nanos: 0 });
    // A budget that only warns grants all the same.
    exchange(None, &mut period, &mut lease, &report);
    assert_eq!((lease.granted_nanos, period.room(AMOUNT)), (150, 0));
}
