//! Budgets as the contract has them, from and to what the store keeps.

use sabir_proto::v1::budget::{Period, SubjectKind};
use sabir_proto::v1::{Budget, BudgetState};
use sabir_store::{BudgetPeriod, Subject};

use crate::api::time::timestamp;

/// The subject of this kind and name; `None` if there is none such.
pub(super) fn parse_subject(kind: SubjectKind, name: &str) -> Option<Subject> {
    let kind = match kind {
        SubjectKind::Unspecified => return None,
        SubjectKind::Everyone => "everyone",
        SubjectKind::Team => "team",
        SubjectKind::User => "user",
        SubjectKind::Key => "key",
        SubjectKind::External => "external",
        SubjectKind::Model => "model",
    };
    Subject::parse(kind, name)
}

fn kind_of(subject: &Subject) -> SubjectKind {
    match subject {
        Subject::Everyone => SubjectKind::Everyone,
        Subject::Team(_) => SubjectKind::Team,
        Subject::User(_) => SubjectKind::User,
        Subject::Key(_) => SubjectKind::Key,
        Subject::External(_) => SubjectKind::External,
        Subject::Model(_) => SubjectKind::Model,
    }
}

pub(super) fn period_of(period: Period) -> BudgetPeriod {
    match period {
        Period::Unspecified | Period::None => BudgetPeriod::Total,
        Period::Day => BudgetPeriod::Day,
        Period::Week => BudgetPeriod::Week,
        Period::Month => BudgetPeriod::Month,
    }
}

fn period_message(period: BudgetPeriod) -> Period {
    match period {
        BudgetPeriod::Total => Period::None,
        BudgetPeriod::Day => Period::Day,
        BudgetPeriod::Week => Period::Week,
        BudgetPeriod::Month => Period::Month,
    }
}

/// The thresholds in ascending order. The contract's bounds keep them from 1 to 100.
pub(super) fn warn_percents(percents: &[u32]) -> Vec<u8> {
    let mut percents: Vec<u8> = percents.iter().filter_map(|percent| u8::try_from(*percent).ok()).collect();
    percents.sort_unstable();
    percents
}

pub(super) fn budget_message(budget: &sabir_store::Budget, state: Option<&sabir_store::BudgetState>) -> Budget {
    Budget {
        id: budget.id.to_string(),
        subject_kind: kind_of(&budget.subject).into(),
        subject: budget.subject.name(),
        amount_nanos: Some(budget.amount_nanos),
        period: period_message(budget.period).into(),
        hard: Some(budget.hard),
        warn_percents: budget.warn_percents.iter().copied().map(u32::from).collect(),
        create_time: Some(timestamp(budget.created_at_micros)),
        state: state.map(|state| state_message(budget.amount_nanos, state)),
    }
}

fn state_message(amount: i64, state: &sabir_store::BudgetState) -> BudgetState {
    let ends = state.span.ends_at_micros;
    BudgetState {
        start_time: ends.map(|_| timestamp(state.span.starts_at_micros)),
        reset_time: ends.map(timestamp),
        spent_nanos: state.spent_nanos,
        reserved_nanos: state.reserved_nanos,
        remaining_nanos: amount.saturating_sub(state.spent_nanos).saturating_sub(state.reserved_nanos).max(0),
        leased_nanos: state.leased_nanos,
        orphaned_nanos: state.orphaned_nanos,
    }
}

#[cfg(test)]
mod tests {
    use sabir_store::Span;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_budget_survives_the_contract() {
        let subjects = [
            Subject::Everyone,
            Subject::Team(Uuid::from_u128(1)),
            Subject::User(Uuid::from_u128(2)),
            Subject::Key(Uuid::from_u128(3)),
            Subject::external("https://issuer", "alice"),
            Subject::Model("openai/gpt".to_owned()),
        ];
        for (number, subject) in subjects.into_iter().enumerate() {
            let budget = sabir_store::Budget {
                id: Uuid::from_u128(9),
                subject,
                amount_nanos: 100,
                period: BudgetPeriod::ALL[number % 4],
                hard: false,
                warn_percents: vec![50, 90],
                created_at_micros: 1_000_001,
            };
            let message = budget_message(&budget, None);
            assert_eq!(parse_subject(message.subject_kind(), &message.subject), Some(budget.subject));
            assert_eq!(period_of(message.period()), budget.period);
            assert_eq!(warn_percents(&[90, 50]), budget.warn_percents);
        }
        assert_eq!(parse_subject(SubjectKind::Team, "7"), None);
    }

    #[test]
    fn what_remains_is_what_is_neither_spent_nor_reserved() {
        let state = sabir_store::BudgetState {
            span: Span { starts_at_micros: 0, ends_at_micros: None },
            spent_nanos: 60,
            reserved_nanos: 30,
            leased_nanos: 40,
            orphaned_nanos: 5,
        };
        assert_eq!(state_message(100, &state).remaining_nanos, 10);
        assert_eq!(state_message(80, &state).remaining_nanos, 0);
        assert_eq!(state_message(80, &state).reset_time, None);
    }
}
