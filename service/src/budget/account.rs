//! A replica's own account with one budget in one period: what it was granted, what calls have reserved of that, and what
//! they have spent. Pure: no clock, no database, no task in it.

/// How many times the demand of the last interval a replica likes to hold, so that calls do not wait.
const AHEAD: i64 = 4;

/// Sums, in nano-dollars, since the lease began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Account {
    granted: i64,
    spent: i64,
    reserved: i64,
    /// What was asked for since the last report, and half of what was before, by which the next slice is measured.
    demand: i64,
    /// Asked for since the last report.
    asked: i64,
}

/// What a report says of an account. See [`sabir_store::LeaseReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) spent: i64,
    pub(crate) reserved: i64,
    pub(crate) held: i64,
    pub(crate) needed: i64,
    pub(crate) wanted: i64,
}

impl Account {
    /// What can be reserved without asking anybody.
    pub(crate) fn free(&self) -> i64 {
        self.granted.saturating_sub(self.spent).saturating_sub(self.reserved).max(0)
    }

    /// What is reserved.
    pub(crate) fn reserved(&self) -> i64 {
        self.reserved
    }

    /// What is spent.
    pub(crate) fn spent(&self) -> i64 {
        self.spent
    }

    /// Whether it holds anything that the database must know of again.
    pub(crate) fn is_open(&self) -> bool {
        self.granted > self.spent || self.reserved > 0
    }

    /// Notes that a call wants so much, by which the next slice is measured.
    pub(crate) fn ask(&mut self, amount: i64) {
        self.asked = self.asked.saturating_add(amount);
    }

    /// Reserves, if there is enough.
    pub(crate) fn reserve(&mut self, amount: i64) -> bool {
        let fits = amount <= self.free();
        if fits {
            self.reserve_anyway(amount);
        }
        fits
    }

    /// Reserves also what was not granted: for budgets that only warn.
    pub(crate) fn reserve_anyway(&mut self, amount: i64) {
        self.reserved = self.reserved.saturating_add(amount);
    }

    /// Ends a reservation at its real cost, which may be more than was reserved.
    pub(crate) fn settle(&mut self, reserved: i64, cost: i64) {
        self.reserved = self.reserved.saturating_sub(reserved).max(0);
        self.spent = self.spent.saturating_add(cost.max(0));
    }

    /// Whether so little is left that the next slice should be fetched now.
    pub(crate) fn is_low(&self) -> bool {
        self.free() < self.demand.max(self.asked) / 2
    }

    /// Begins a report: gives back what is more than `keep_at_most`, than the demand calls for and than the calls that
    /// wait need. From here on that is not spent any more, whether the report arrives or not.
    pub(crate) fn report(&mut self, needs: i64, keep_at_most: i64) -> Figures {
        // Where nothing may be kept, there is nothing to be measured either.
        self.demand = if keep_at_most > 0 { self.asked.max(self.demand / 2) } else { 0 };
        self.asked = 0;
        let ahead = self.demand.saturating_mul(AHEAD).min(keep_at_most.max(0));
        let kept = self.free().min(needs.saturating_add(ahead));
        self.granted = self.spent.saturating_add(self.reserved).saturating_add(kept);
        let needed = (needs - kept).max(0);
        let wanted = ahead - (kept - needs).max(0);
        Figures { spent: self.spent, reserved: self.reserved, held: self.granted, needed, wanted }
    }

    /// Ends a report: this much is granted now.
    pub(crate) fn apply(&mut self, granted: i64) {
        self.granted = granted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_can_be_reserved_and_no_more() {
        let mut account = Account::default();
        assert!(!account.reserve(1));
        account.apply(10);
        assert!(account.reserve(6) && !account.reserve(5) && account.reserve(4));
        account.settle(6, 2);
        assert_eq!((account.free(), account.spent(), account.reserved()), (4, 2, 4));
        account.settle(4, 9);
        assert_eq!((account.free(), account.spent()), (0, 11), "what was spent beyond is a fact");
    }

    #[test]
    fn a_slice_follows_the_demand() {
        let mut account = Account::default();
        account.apply(1_000);
        account.ask(10);
        assert!(account.reserve(10));
        account.settle(10, 10);
        let busy = account.report(0, i64::MAX);
        assert_eq!((busy.spent, busy.held, busy.wanted), (10, 50, 0), "four times the demand is kept");
        account.apply(busy.held);
        assert_eq!(account.report(0, i64::MAX).held, 10 + 20, "half an interval later");
        assert_eq!(account.report(5, 0).held, 15, "what waits is not given back");
        assert_eq!(account.report(0, 0).held, 10, "all else is, where little is left");
        assert!(!account.is_open());
        assert!(account.reserve(0) && !account.reserve(1), "what was given back is not spent");
    }

    proptest::proptest! {
        #[test]
        fn an_account_never_reserves_more_than_it_was_granted(
            steps in proptest::collection::vec((0..5u8, 0..1_000i64, 0..100i64), 0..200)
        ) {
            let mut account = Account::default();
            let (mut granted, mut open) = (0, Vec::new());
            for (step, amount, part) in steps {
                match step {
                    0 => {
                        account.ask(amount);
                        if account.reserve(amount) {
                            open.push(amount);
                        }
                    }
                    1 => if let Some(reserved) = open.pop() {
                        account.settle(reserved, reserved * part / 100);
                    },
                    2 => {
                        let figures = account.report(amount, part * 10);
                        proptest::prop_assert!(figures.held <= granted, "nothing is kept that was not granted");
                        proptest::prop_assert!(figures.held >= figures.spent + figures.reserved);
                        proptest::prop_assert!(figures.held + figures.needed >= figures.spent + figures.reserved + amount);
                        granted = figures.held;
                    }
                    3 => {
                        granted += amount;
                        account.apply(granted);
                    }
                    _ => proptest::prop_assert_eq!(account.free(), granted - account.spent() - account.reserved()),
                }
                proptest::prop_assert!(account.spent() + account.reserved() <= granted);
                proptest::prop_assert_eq!(account.reserved(), open.iter().sum::<i64>());
            }
        }
    }
}
