//! What every database claims about budgets, their books, and the history of the price table.

use std::{future::Future, sync::Arc, time::Duration};

use uuid::Uuid;

use super::identity::sample_audit;
use crate::{
    AuditFilter, AuditStore, Budget, BudgetPeriod, BudgetStore, ChangeStore, ImportRule, LeaseAnswer, LeaseGrant,
    LeaseReport, NewPrices, Page, PriceStore, Subject,
};

const ALL: Page = Page { after: None, limit: 1_000 };

/// As long as a lease may be kept in a test that does not wait for its end, in microseconds.
const LONG: i64 = 60_000_000;

/// Checks every claim, each on an empty store of its own.
pub async fn budget_store<Store, Fresh, Ready>(fresh: Fresh)
where
    Store: BudgetStore + PriceStore + AuditStore + ChangeStore + 'static,
    Fresh: Fn() -> Ready,
    Ready: Future<Output = Store>,
{
    budgets_come_back_as_they_were_written(&fresh().await).await;
    every_change_is_audited_and_moves_the_generation(&fresh().await).await;
    what_is_leased_can_be_spent_and_given_back(&fresh().await).await;
    a_report_that_comes_twice_or_late_changes_nothing(&fresh().await).await;
    what_a_dead_replica_held_is_charged_until_it_says_otherwise(&fresh().await).await;
    a_threshold_is_told_of_once(&fresh().await).await;
    a_budget_that_is_gone_has_no_books(&fresh().await).await;
    two_hundred_at_once_never_get_more_than_there_is(Arc::new(fresh().await)).await;
    the_latest_prices_are_in_force_as_the_rule_says(&fresh().await).await;
}

/// A budget of this amount for everyone, without an end.
pub fn sample_budget(amount_nanos: i64) -> Budget {
    Budget {
        id: Uuid::now_v7(),
        subject: Subject::Everyone,
        amount_nanos,
        period: BudgetPeriod::Total,
        hard: true,
        warn_percents: vec![50, 90],
        created_at_micros: 1_790_000_000_000_000,
    }
}

/// The first report of a new lease, which asks for so much.
pub fn sample_report(budget: &Budget, needed_nanos: i64) -> LeaseReport {
    LeaseReport {
        lease_id: Uuid::now_v7(),
        budget_id: budget.id,
        replica_id: Uuid::now_v7(),
        period_starts_at_micros: None,
        sequence: 1,
        spent_nanos: 0,
        reserved_nanos: 0,
        held_nanos: 0,
        needed_nanos,
        wanted_nanos: 0,
    }
}

async fn create(store: &impl BudgetStore, budget: &Budget) {
    store.create_budget(budget, &sample_audit("budget")).await.unwrap();
}

async fn exchange(store: &impl BudgetStore, report: &LeaseReport) -> LeaseGrant {
    exchange_for(store, report, LONG).await
}

async fn exchange_for(store: &impl BudgetStore, report: &LeaseReport, keep_micros: i64) -> LeaseGrant {
    match store.exchange_leases(std::slice::from_ref(report), keep_micros).await.unwrap().as_slice() {
        [LeaseAnswer::Granted(grant)] => grant.clone(),
        other => unreachable!("{other:?}"),
    }
}

/// Spent, reserved, leased, orphaned.
async fn books(store: &impl BudgetStore, budget: &Budget) -> (i64, i64, i64, i64) {
    let state = store.budget_states(&[budget.id]).await.unwrap()[0].unwrap();
    (state.spent_nanos, state.reserved_nanos, state.leased_nanos, state.orphaned_nanos)
}

async fn budgets_come_back_as_they_were_written(store: &impl BudgetStore) {
    assert_eq!(store.list_budgets(None, ALL).await.unwrap(), []);
    let subjects = [
        Subject::Everyone,
        Subject::Team(Uuid::now_v7()),
        Subject::User(Uuid::now_v7()),
        Subject::Key(Uuid::now_v7()),
        Subject::external("https://issuer.example", "o'brien; DROP TABLE budget"),
        Subject::Model("openai/gpt-4o \"é\" 日本 🦀".to_owned()),
    ];
    let mut budgets = Vec::new();
    for (number, subject) in subjects.into_iter().enumerate() {
        let budget = Budget {
            subject,
            period: BudgetPeriod::ALL[number % BudgetPeriod::ALL.len()],
            hard: number % 2 == 0,
            warn_percents: (0..number as u8).map(|step| step * 20).collect(),
            ..sample_budget(if number == 0 { crate::MAX_AMOUNT_NANOS } else { number as i64 - 1 })
        };
        create(store, &budget).await;
        budgets.insert(0, budget);
    }
    assert_eq!(store.list_budgets(None, ALL).await.unwrap(), budgets);
    assert_eq!(store.list_budgets(None, Page { after: Some(budgets[1].id), limit: 2 }).await.unwrap(), budgets[2..4]);
    for budget in &budgets {
        assert_eq!(store.budget(budget.id).await.unwrap().as_ref(), Some(budget));
        let of_subject = store.list_budgets(Some(&budget.subject), ALL).await.unwrap();
        assert_eq!(of_subject, std::slice::from_ref(budget));
        let state = store.budget_states(&[budget.id]).await.unwrap()[0].unwrap();
        assert_eq!(state.span.ends_at_micros.is_none(), budget.period == BudgetPeriod::Total);
        assert_eq!(books(store, budget).await, (0, 0, 0, 0));
    }
    let changed = Budget { amount_nanos: 77, hard: !budgets[2].hard, warn_percents: vec![1], ..budgets[2].clone() };
    assert!(store.update_budget(&changed, &sample_audit("budget")).await.unwrap());
    assert_eq!(store.budget(changed.id).await.unwrap(), Some(changed.clone()));
    assert!(store.delete_budget(changed.id, &sample_audit("budget")).await.unwrap());
    assert!(!store.delete_budget(changed.id, &sample_audit("budget")).await.unwrap());
    assert!(!store.update_budget(&changed, &sample_audit("budget")).await.unwrap());
    assert_eq!(store.budget(changed.id).await.unwrap(), None);
    let states = store.budget_states(&[changed.id, budgets[0].id]).await.unwrap();
    assert_eq!((states[0].is_some(), states[1].is_some()), (false, true));
}

async fn every_change_is_audited_and_moves_the_generation(store: &(impl BudgetStore + AuditStore + ChangeStore)) {
    let budget = sample_budget(10);
    let audits = async || store.list_audit(&AuditFilter::default(), ALL).await.unwrap().len();
    let mut generation = store.generations().await.unwrap().budgets;
    let mut moved = async |expected: bool| {
        let now = store.generations().await.unwrap().budgets;
        assert_eq!(now != generation, expected);
        generation = now;
    };
    create(store, &budget).await;
    moved(true).await;
    exchange(store, &sample_report(&budget, 1)).await;
    moved(false).await;
    store.update_budget(&budget, &sample_audit("budget")).await.unwrap();
    moved(true).await;
    store.delete_budget(budget.id, &sample_audit("budget")).await.unwrap();
    moved(true).await;
    assert_eq!(audits().await, 3);
    store.delete_budget(budget.id, &sample_audit("budget")).await.unwrap();
    moved(false).await;
    assert_eq!(audits().await, 3);
}

async fn what_is_leased_can_be_spent_and_given_back(store: &impl BudgetStore) {
    let budget = Budget { period: BudgetPeriod::Month, ..sample_budget(1_000) };
    create(store, &budget).await;
    let first = sample_report(&budget, 100);
    let grant = exchange(store, &LeaseReport { wanted_nanos: 80, ..first.clone() }).await;
    assert_eq!((grant.granted_nanos, grant.room_nanos, grant.spent_nanos), (180, 820, 0));
    let span = grant.span;
    assert!(span.starts_at_micros <= grant.now_micros && grant.now_micros < span.ends_at_micros.unwrap());
    assert_eq!(books(store, &budget).await, (0, 0, 180, 0));

    let second = sample_report(&budget, 820);
    let grant = exchange(store, &second).await;
    assert_eq!((grant.granted_nanos, grant.room_nanos, grant.idle_elsewhere_nanos), (820, 0, 180));
    assert_eq!(exchange(store, &sample_report(&budget, 1)).await.granted_nanos, 0, "nothing is left");

    // 70 are spent, 30 reserved, the rest is given back.
    let report = LeaseReport {
        period_starts_at_micros: Some(span.starts_at_micros),
        sequence: 2,
        spent_nanos: 70,
        reserved_nanos: 30,
        held_nanos: 100,
        needed_nanos: 0,
        ..first
    };
    let grant = exchange(store, &report).await;
    assert_eq!((grant.granted_nanos, grant.spent_nanos, grant.room_nanos), (100, 70, 80));
    assert_eq!(books(store, &budget).await, (70, 30, 850, 0));
    assert_eq!(exchange(store, &sample_report(&budget, 50)).await.granted_nanos, 50);

    // Less than what is out already: nobody gets more, and nothing is taken away.
    let less = Budget { amount_nanos: 10, ..budget.clone() };
    store.update_budget(&less, &sample_audit("budget")).await.unwrap();
    let report = LeaseReport { sequence: 3, needed_nanos: 5, ..report };
    assert_eq!(exchange(store, &report).await.granted_nanos, 100);

    // A budget that only warns grants whatever is asked for.
    store.update_budget(&Budget { hard: false, ..less }, &sample_audit("budget")).await.unwrap();
    let grant = exchange(store, &LeaseReport { sequence: 4, ..report }).await;
    assert_eq!((grant.granted_nanos, grant.hard, grant.amount_nanos), (105, false, 10));
}

async fn a_report_that_comes_twice_or_late_changes_nothing(store: &impl BudgetStore) {
    let budget = sample_budget(1_000);
    create(store, &budget).await;
    let first = sample_report(&budget, 100);
    exchange(store, &first).await;
    let second = LeaseReport { sequence: 2, spent_nanos: 40, held_nanos: 100, needed_nanos: 200, ..first.clone() };
    assert_eq!(exchange(store, &second).await.granted_nanos, 300);
    let expected = books(store, &budget).await;
    assert_eq!(expected, (40, 0, 260, 0));
    let answers = store.exchange_leases(&[second.clone(), first.clone(), second], LONG).await.unwrap();
    assert_eq!(answers, [LeaseAnswer::Late, LeaseAnswer::Late, LeaseAnswer::Late]);
    assert_eq!(books(store, &budget).await, expected);
    // The answer to the second was lost: the replica never spent what it was granted, and says what it holds.
    let third = LeaseReport { sequence: 3, spent_nanos: 40, held_nanos: 100, needed_nanos: 1, ..first };
    assert_eq!(exchange(store, &third).await.granted_nanos, 101);
    assert_eq!(books(store, &budget).await, (40, 0, 61, 0));
}

async fn what_a_dead_replica_held_is_charged_until_it_says_otherwise(store: &(impl BudgetStore + AuditStore)) {
    let budget = Budget { warn_percents: Vec::new(), ..sample_budget(1_000) };
    create(store, &budget).await;
    let (dead, alive) = (sample_report(&budget, 100), sample_report(&budget, 100));
    exchange_for(store, &dead, 1).await;
    exchange(store, &alive).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let settled = store.settle_orphans().await.unwrap();
    assert_eq!(settled.len(), 1);
    assert_eq!((settled[0].lease_id, settled[0].charged_nanos), (dead.lease_id, 100));
    assert_eq!(settled[0].replica_id, dead.replica_id);
    assert_eq!(store.settle_orphans().await.unwrap(), [], "an orphan is settled once");
    assert_eq!(books(store, &budget).await, (100, 0, 100, 100));
    let audits = store.list_audit(&AuditFilter::default(), ALL).await.unwrap();
    let told = audits.iter().filter(|entry| entry.action == "Budgets/SettleOrphan");
    assert_eq!(told.count(), 1);

    // It was only out of reach, and has spent 30.
    let back = LeaseReport { sequence: 2, spent_nanos: 30, held_nanos: 100, needed_nanos: 0, ..dead };
    assert_eq!(exchange(store, &back).await.granted_nanos, 100);
    assert_eq!(books(store, &budget).await, (30, 0, 170, 0));
    let done = LeaseReport { sequence: 3, held_nanos: 30, ..back };
    exchange_for(store, &done, 1).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(store.settle_orphans().await.unwrap(), [], "who holds nothing leaves nothing behind");
    assert_eq!(books(store, &budget).await, (30, 0, 100, 0));
    assert_eq!(store.forget_periods(i64::MAX).await.unwrap(), 0, "a period without an end is not forgotten");
}

async fn a_threshold_is_told_of_once(store: &(impl BudgetStore + AuditStore)) {
    let budget = sample_budget(1_000);
    create(store, &budget).await;
    let first = sample_report(&budget, 1_000);
    assert!(exchange(store, &first).await.crossed.is_empty());
    let spent = async |sequence: i64, spent_nanos: i64| {
        let report = LeaseReport { sequence, spent_nanos, held_nanos: 1_000, needed_nanos: 0, ..first.clone() };
        exchange(store, &report).await.crossed
    };
    assert!(spent(2, 499).await.is_empty());
    assert_eq!(spent(3, 500).await, [50]);
    assert!(spent(4, 899).await.is_empty());
    assert_eq!(spent(5, 1_000).await, [90]);
    assert!(spent(6, 1_000).await.is_empty());
    let audits = store.list_audit(&AuditFilter::default(), ALL).await.unwrap();
    let told: Vec<_> = audits.iter().filter(|entry| entry.action == "Budgets/Warn").collect();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|entry| entry.target == format!("budget {}", budget.id)));
}

async fn a_budget_that_is_gone_has_no_books(store: &impl BudgetStore) {
    let budget = Budget { period: BudgetPeriod::Day, ..sample_budget(1_000) };
    create(store, &budget).await;
    let report = sample_report(&budget, 100);
    exchange(store, &report).await;
    assert_eq!(store.forget_periods(0).await.unwrap(), 0);
    assert_eq!(store.forget_periods(i64::MAX).await.unwrap(), 1);
    assert_eq!(books(store, &budget).await, (0, 0, 0, 0));
    exchange(store, &sample_report(&budget, 100)).await;
    store.delete_budget(budget.id, &sample_audit("budget")).await.unwrap();
    let answers = store.exchange_leases(&[LeaseReport { sequence: 2, ..report }], LONG).await.unwrap();
    assert_eq!(answers, [LeaseAnswer::Gone]);
}

/// 200 calls at once, each of which needs 70 of a budget of 10,000 and spends 69 of them: 142 of them fit at first, and
/// what those leave over lets two more through when it is given back.
async fn two_hundred_at_once_never_get_more_than_there_is<Store: BudgetStore + 'static>(store: Arc<Store>) {
    const NEEDED: i64 = 70;
    let budget = Arc::new(Budget { warn_percents: Vec::new(), ..sample_budget(10_000) });
    create(&*store, &budget).await;
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let (store, budget) = (Arc::clone(&store), Arc::clone(&budget));
            tokio::spawn(async move {
                let report = sample_report(&budget, NEEDED);
                let granted = exchange(&*store, &report).await.granted_nanos;
                (report, granted)
            })
        })
        .collect();
    let mut served = Vec::new();
    let mut rest = 0;
    for call in calls {
        let (report, granted) = call.await.unwrap();
        if granted == NEEDED {
            served.push(report);
        } else {
            rest += granted;
        }
    }
    assert_eq!((served.len(), rest), (142, 10_000 - 142 * NEEDED));
    assert_eq!(books(&*store, &budget).await, (0, 0, 10_000, 0));
    let settled: Vec<_> = served
        .into_iter()
        .map(|report| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let report = LeaseReport {
                    sequence: 2,
                    spent_nanos: NEEDED - 1,
                    held_nanos: NEEDED - 1,
                    needed_nanos: 0,
                    ..report
                };
                exchange(&*store, &report).await
            })
        })
        .collect();
    for call in settled {
        call.await.unwrap();
    }
    assert_eq!(books(&*store, &budget).await, (142 * (NEEDED - 1), 0, rest, 0));
    assert_eq!(exchange(&*store, &sample_report(&budget, 2 * NEEDED)).await.granted_nanos, 2 * NEEDED);
}

async fn the_latest_prices_are_in_force_as_the_rule_says(store: &(impl PriceStore + AuditStore + ChangeStore)) {
    let prices = |source: &str, content: &str| NewPrices {
        checksum: format!("checksum of {content}"),
        source: source.to_owned(),
        content: content.to_owned(),
    };
    let import = async |source: &str, content: &str, rule: ImportRule| {
        store.import_prices(&prices(source, content), rule, None).await.unwrap()
    };
    assert_eq!(store.current_prices().await.unwrap(), None);
    let same = ImportRule::InPlaceOfSameSource;
    assert_eq!(import("built-in", "a", same).await, Some(1));
    assert_eq!(import("built-in", "a", same).await, None, "the same table again");
    assert_eq!(import("built-in", "b", same).await, Some(2), "a newer program's");
    assert_eq!(import("file", "c", ImportRule::IfNew).await, Some(3));
    assert_eq!(import("built-in", "b2", same).await, None, "somebody chose another");
    let before = store.generations().await.unwrap().prices;
    let audit = sample_audit("prices");
    let imported = store.import_prices(&prices("user", "d"), ImportRule::After(3), Some(&audit)).await.unwrap();
    assert_eq!(imported, Some(4));
    assert!(store.generations().await.unwrap().prices > before);
    assert_eq!(store.list_audit(&AuditFilter::default(), ALL).await.unwrap(), [audit]);
    assert_eq!(import("user", "e", ImportRule::After(3)).await, None, "there is a later one");
    assert_eq!(import("file", "c", ImportRule::IfNew).await, None, "the file was in force already");
    assert_eq!(import("user", "a", ImportRule::Always).await, Some(5), "back to an earlier table");

    let current = store.current_prices().await.unwrap().unwrap();
    assert_eq!((current.version, current.content.as_str(), current.source.as_str()), (5, "a", "user"));
    assert_eq!(store.prices(4).await.unwrap().unwrap().content, "d");
    assert_eq!(store.prices(9).await.unwrap(), None);
    let versions = async |before: Option<i64>, limit: u32| {
        let listed = store.list_prices(before, limit).await.unwrap();
        assert!(listed.iter().all(|version| version.content.is_empty() && !version.checksum.is_empty()));
        listed.into_iter().map(|version| version.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(None, 2).await, [5, 4]);
    assert_eq!(versions(Some(4), 10).await, [3, 2, 1]);
}
