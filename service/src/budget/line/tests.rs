//! A line with a database that is only a pair of books: who gets what, who waits, who is refused.

use sabir_store::{BudgetPeriod, LeaseBook, LeaseGrant, PeriodBook, Span, Subject, exchange};

use super::*;

const KEEP: Duration = Duration::from_secs(15);

/// A database for one budget, seen from one replica; others may hold something too.
struct Books {
    amount: i64,
    period: PeriodBook,
    lease: LeaseBook,
    idle_elsewhere: i64,
    ends_at_micros: Option<i64>,
}

impl Books {
    fn new(amount: i64) -> Self {
        let (period, lease) = (PeriodBook::default(), LeaseBook::default());
        Self { amount, period, lease, idle_elsewhere: 0, ends_at_micros: None }
    }

    fn answer(&mut self, report: &LeaseReport) -> LeaseAnswer {
        exchange(Some(self.amount), &mut self.period, &mut self.lease, report);
        LeaseAnswer::Granted(LeaseGrant {
            span: Span { starts_at_micros: 0, ends_at_micros: self.ends_at_micros },
            now_micros: 0,
            granted_nanos: self.lease.granted_nanos,
            amount_nanos: self.amount,
            hard: true,
            spent_nanos: self.period.spent_nanos,
            room_nanos: self.period.room(self.amount),
            idle_elsewhere_nanos: self.idle_elsewhere,
            crossed: Vec::new(),
        })
    }

    /// Sends what is due, as the keeper does. Answers how many reports there were.
    fn keep(&mut self, line: &Arc<Line>, now: Instant) -> usize {
        let reports = line.reports(now, KEEP, false);
        for report in &reports {
            let answer = self.answer(report);
            line.apply(report, answer, now);
        }
        reports.len()
    }
}

fn budget(amount: i64) -> Budget {
    Budget {
        id: Uuid::now_v7(),
        subject: Subject::Everyone,
        amount_nanos: amount,
        period: BudgetPeriod::Total,
        hard: true,
        warn_percents: vec![50],
        created_at_micros: 0,
    }
}

fn line(amount: i64) -> Arc<Line> {
    Line::new(Arc::new(budget(amount)), Uuid::now_v7())
}

fn waits(line: &Arc<Line>, amount: i64, now: Instant) -> oneshot::Receiver<Answer> {
    match line.reserve(amount, now) {
        Attempt::Wait(answer) => answer,
        _ => panic!("the database has to be asked"),
    }
}

fn holds(line: &Arc<Line>, amount: i64, now: Instant) -> Hold {
    match line.reserve(amount, now) {
        Attempt::Held(hold) => hold,
        _ => panic!("there is room"),
    }
}

fn denied(mut answer: oneshot::Receiver<Answer>) -> Denied {
    answer.try_recv().unwrap().unwrap_err()
}

fn granted(mut answer: oneshot::Receiver<Answer>) -> Hold {
    answer.try_recv().unwrap().unwrap().unwrap()
}

#[test]
fn a_call_that_comes_while_the_database_is_asked_is_served_by_the_next_answer() {
    let (line, mut books, now) = (line(1_000), Books::new(1_000), Instant::now());
    let first = waits(&line, 100, now);
    let report = line.reports(now, KEEP, false).remove(0);
    let second = waits(&line, 800, now);
    let answer = books.answer(&report);
    line.apply(&report, answer, now);
    let _first = granted(first);
    assert!(line.is_pressing());
    assert_eq!(books.keep(&line, now), 1, "what is there is asked for without a pause");
    let _second = granted(second);

    let third = waits(&line, 101, now);
    books.keep(&line, now + Duration::from_millis(20));
    assert!(matches!(denied(third), Denied::Spent { .. }), "now there is nothing left");
}

#[test]
fn what_is_there_and_cannot_be_had_in_time_is_not_called_spent() {
    let (line, mut books, now) = (line(1_000), Books::new(1_000), Instant::now());
    let first = waits(&line, 100, now);
    let report = line.reports(now, KEEP, false).remove(0);
    let second = waits(&line, 800, now);
    let answer = books.answer(&report);
    line.apply(&report, answer, now + PATIENCE);
    let _first = granted(first);
    assert!(matches!(denied(second), Denied::Away));
}

#[test]
fn the_first_call_waits_and_those_after_it_do_not() {
    let (line, mut books, now) = (line(10_000), Books::new(10_000), Instant::now());
    let first = waits(&line, 100, now);
    assert!(line.is_pressing());
    assert_eq!(books.keep(&line, now), 1);
    let mut first = granted(first);
    let second = holds(&line, 100, now);
    assert_eq!(line.standing().remaining_nanos, 10_000 - 200);
    first.cost = 30;
    drop((first, second));
    assert_eq!(line.standing().remaining_nanos, 10_000 - 30, "a reservation that is dropped costs nothing");
    // Nothing is reported in a hurry, and everything a little later.
    assert_eq!(books.keep(&line, now), 0);
    assert_eq!(books.keep(&line, now + Duration::from_millis(300)), 1);
    assert_eq!(books.period.spent_nanos, 30);
    assert!(books.period.committed_nanos > 30, "a slice is kept for the calls to come");
    assert_eq!(books.keep(&line, now + Duration::from_secs(2)), 1);
    assert_eq!(books.period, PeriodBook { committed_nanos: 30, spent_nanos: 30 }, "and given back when none come");
    assert_eq!(books.keep(&line, now + Duration::from_secs(60)), 0, "who holds nothing says nothing");
}

#[test]
fn nobody_waits_for_news_while_there_is_plenty() {
    let (line, mut books, now) = (line(1_000_000), Books::new(1_000_000), Instant::now());
    let first = waits(&line, 100, now);
    books.keep(&line, now);
    granted(first).cost = 30;
    let later = |millis| now + Duration::from_millis(millis);
    drop(holds(&line, 10, later(900)));
    assert_eq!(books.keep(&line, later(900)), 0);
    assert_eq!(books.keep(&line, later(1_000)), 1);
    assert_eq!(books.period.spent_nanos, 30);
}

#[test]
fn calls_are_served_in_their_order_until_it_is_spent() {
    let (line, mut books, now) = (line(250), Books::new(250), Instant::now());
    let calls: Vec<_> = (0..4).map(|_| waits(&line, 100, now)).collect();
    books.keep(&line, now);
    let mut calls = calls.into_iter();
    let mut first = granted(calls.next().unwrap());
    let second = granted(calls.next().unwrap());
    for call in calls {
        let Denied::Spent { needed_nanos, standing, .. } = denied(call) else { panic!("it is spent") };
        assert_eq!((needed_nanos, standing.remaining_nanos), (100, 50));
    }
    // For a moment others are refused without a question, though not those for which there is enough.
    assert!(matches!(line.reserve(100, now), Attempt::Denied(_)));
    drop(holds(&line, 50, now));
    first.cost = 100;
    drop(first);
    drop(second);
    drop(holds(&line, 100, now));
    let later = now + Duration::from_millis(300);
    let last = waits(&line, 200, later);
    books.keep(&line, later);
    assert!(matches!(denied(last), Denied::Spent { .. }));
    assert!(books.period.committed_nanos <= 250);
    assert_eq!(line.standing().warned_percent, None);
    assert_eq!(line.standing().remaining_nanos, 150);
}

#[test]
fn a_call_that_goes_away_while_it_waits_leaves_nothing_behind() {
    let (line, mut books, now) = (line(1_000), Books::new(1_000), Instant::now());
    drop(waits(&line, 700, now));
    let stays = waits(&line, 800, now);
    books.keep(&line, now);
    drop(granted(stays));
    let gone = waits(&line, 1_000, now + Duration::from_secs(1));
    let reports = line.reports(now + Duration::from_secs(1), KEEP, false);
    drop(gone);
    for report in &reports {
        let answer = books.answer(report);
        line.apply(report, answer, now);
    }
    assert_eq!(line.standing().remaining_nanos, 1_000);
}

#[test]
fn a_call_waits_for_what_others_hold_in_vain_but_not_for_ever() {
    let (line, mut books, now) = (line(100), Books::new(100), Instant::now());
    books.period.committed_nanos = 60;
    books.idle_elsewhere = 60;
    let mut call = waits(&line, 100, now);
    books.keep(&line, now);
    assert!(call.try_recv().is_err(), "the others may give it back");
    books.period.committed_nanos -= 60;
    books.idle_elsewhere = 0;
    books.keep(&line, now + Duration::from_millis(100));
    let hold = granted(call);
    books.idle_elsewhere = 60;
    let call = waits(&line, 50, now);
    books.keep(&line, now + PATIENCE);
    assert!(matches!(denied(call), Denied::Spent { .. }));
    drop(hold);
}

#[test]
fn calls_that_wait_for_a_database_that_is_away_are_told_so() {
    let (line, now) = (line(100), Instant::now());
    let mut call = waits(&line, 100, now);
    line.fail(now);
    assert!(call.try_recv().is_err(), "it may come back");
    line.fail(now + PATIENCE);
    assert_eq!(denied(call), Denied::Away);
}

#[test]
fn an_answer_that_is_lost_grants_nothing() {
    let (line, mut books, now) = (line(1_000), Books::new(1_000), Instant::now());
    let call = waits(&line, 100, now);
    for report in line.reports(now, KEEP, false) {
        books.answer(&report);
    }
    let later = now + Duration::from_millis(300);
    assert_eq!(books.keep(&line, later), 1, "asked again");
    drop(granted(call));
    let reports = line.reports(later, KEEP, true);
    for report in &reports {
        let answer = books.answer(report);
        line.apply(report, answer, later);
    }
    assert_eq!(books.period, PeriodBook::default(), "at the end everything is given back");
}

#[test]
fn a_new_period_begins_with_a_new_lease_and_the_old_one_is_brought_to_its_end() {
    let (line, mut books, now) = (line(1_000), Books::new(1_000), Instant::now());
    books.ends_at_micros = Some(1_000_000);
    let call = waits(&line, 1_000, now);
    books.keep(&line, now);
    let mut old = granted(call);
    assert_eq!(line.standing().remaining_nanos, 0);
    assert!(line.standing().resets_in.unwrap() <= Duration::from_secs(1));
    let next = now + Duration::from_secs(2);
    let mut next_books = Books::new(1_000);
    let call = waits(&line, 1_000, next);
    let reports = line.reports(next, KEEP, false);
    let fresh: Vec<_> = reports.into_iter().filter(|report| report.period_starts_at_micros.is_none()).collect();
    assert_eq!(fresh.len(), 1, "the old lease may have to tell what it holds, but asks for nothing");
    let answer = next_books.answer(&fresh[0]);
    line.apply(&fresh[0], answer, next);
    drop(granted(call));
    old.cost = 400;
    drop(old);
    let reports = line.reports(next + Duration::from_millis(300), KEEP, false);
    let past = reports.iter().find(|report| report.period_starts_at_micros == Some(0) && report.spent_nanos == 400);
    assert!(past.is_some_and(|past| past.held_nanos == 400), "{reports:?}");
}

#[test]
fn a_budget_that_only_warns_makes_nobody_wait() {
    let mut books = Books::new(100);
    let line = Line::new(Arc::new(Budget { hard: false, ..budget(100) }), Uuid::now_v7());
    let now = Instant::now();
    let mut hold = holds(&line, 1_000, now);
    hold.cost = 900;
    drop(hold);
    assert_eq!(books.keep(&line, now), 1);
    assert_eq!(books.period.spent_nanos, 900);
    assert_eq!(line.standing().warned_percent, Some(50));
}

#[test]
fn a_budget_that_is_removed_holds_for_nobody() {
    let (line, now) = (line(100), Instant::now());
    let mut call = waits(&line, 1_000, now);
    let reports = line.reports(now, KEEP, false);
    line.apply(&reports[0], LeaseAnswer::Gone, now);
    assert!(matches!(call.try_recv().unwrap(), Ok(None)));
    assert!(matches!(line.reserve(1_000, now), Attempt::Free));
}
