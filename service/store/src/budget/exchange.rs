//! What a report does to the books of a budget, without a database: both databases run this inside of a transaction that
//! has the period's row for itself.
//!
//! The one rule: `committed`, which is everything spent and everything that replicas may yet spend, grows beyond the
//! amount only by what was really spent. A replica that dies can have spent no more than it was granted.

use super::LeaseReport;

/// Which part of what is left a replica gets beyond what it needs at once: one in so many. The slices get smaller as the
/// budget runs out, so that little is left over in one place while it is missing in another.
const SHARE: i64 = 8;

/// The books of a budget's period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeriodBook {
    /// What is spent, and what leases may yet spend.
    pub committed_nanos: i64,
    /// What is spent.
    pub spent_nanos: i64,
}

/// The books of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseBook {
    /// What may be spent since it began.
    pub granted_nanos: i64,
    /// What was spent since it began.
    pub spent_nanos: i64,
    /// What was reserved when it last reported.
    pub reserved_nanos: i64,
}

impl PeriodBook {
    /// What is neither spent nor leased.
    pub fn room(&self, amount: i64) -> i64 {
        amount.saturating_sub(self.committed_nanos).max(0)
    }
}

impl LeaseBook {
    /// What it holds beyond what is reserved.
    pub fn idle(&self) -> i64 {
        self.granted_nanos.saturating_sub(self.spent_nanos).saturating_sub(self.reserved_nanos).max(0)
    }
}

/// Puts a report into the books and grants what there is room for. `amount` is `None` for a budget that only warns, which
/// grants whatever is asked for.
pub fn exchange(amount: Option<i64>, period: &mut PeriodBook, lease: &mut LeaseBook, report: &LeaseReport) {
    let spent = report.spent_nanos.max(0);
    // What was given back is free again; what was spent beyond the grant is a fact.
    let held = report.held_nanos.min(lease.granted_nanos).max(spent);
    move_by(&mut period.committed_nanos, lease.granted_nanos, held);
    // An orphan that reports after all has proof of what it really spent.
    move_by(&mut period.spent_nanos, lease.spent_nanos, spent);

    let (needed, wanted) = (report.needed_nanos.max(0), report.wanted_nanos.max(0));
    let extra = match amount {
        None => needed.saturating_add(wanted),
        Some(amount) => {
            let room = period.room(amount);
            let needed = needed.min(room);
            needed + wanted.min((room - needed) / SHARE)
        }
    };
    let granted = held.saturating_add(extra);
    move_by(&mut period.committed_nanos, held, granted);
    *lease = LeaseBook { granted_nanos: granted, spent_nanos: spent, reserved_nanos: report.reserved_nanos.max(0) };
}

/// Charges a lease that was not heard of with all that it held. Answers how much of that is without proof.
pub fn settle(period: &mut PeriodBook, lease: &mut LeaseBook) -> i64 {
    let unproven = lease.granted_nanos.saturating_sub(lease.spent_nanos).max(0);
    period.spent_nanos = period.spent_nanos.saturating_add(unproven);
    *lease = LeaseBook { spent_nanos: lease.granted_nanos, reserved_nanos: 0, ..*lease };
    unproven
}

/// The thresholds that a period has reached, of these percents of an amount.
pub fn crossing<'a>(percents: &'a [u8], amount: i64, period: &PeriodBook) -> impl Iterator<Item = u8> + use<'a> {
    let reached = i128::from(period.spent_nanos) * 100;
    let amount = i128::from(amount.max(1));
    percents.iter().copied().filter(move |percent| i128::from(*percent) * amount <= reached)
}

fn move_by(total: &mut i64, from: i64, to: i64) {
    *total = total.saturating_add(to.saturating_sub(from));
}

#[cfg(test)]
mod tests;
