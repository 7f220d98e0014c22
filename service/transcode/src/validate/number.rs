//! Rules on ordered values: numbers of every type, enum values, durations and points in time.

use std::fmt::Display;

use super::rules::Report;

/// A value that bounds can be laid on.
pub(crate) trait Ordered: Copy + PartialOrd {
    /// Whether it is a number at all: neither infinite nor NaN.
    fn is_finite(self) -> bool {
        true
    }
}

impl Ordered for i64 {}
impl Ordered for u64 {}
impl Ordered for bool {}
/// Seconds and nanoseconds of the same sign, as protobuf has them: their order is that of the time they make.
impl Ordered for (i64, i32) {}
impl Ordered for f64 {
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
}

/// What must hold for a value, with what is reported if it does not.
#[derive(Debug)]
pub(crate) struct Number<T> {
    rules: Box<[Rule<T>]>,
}

#[derive(Debug)]
struct Rule<T> {
    id: Box<str>,
    problem: Box<str>,
    condition: Condition<T>,
}

#[derive(Debug)]
enum Condition<T> {
    Is(T),
    Within {
        low: Option<Bound<T>>,
        high: Option<Bound<T>>,
    },
    /// Not between the two: the lower bound lies above the upper one.
    Outside {
        low: Bound<T>,
        high: Bound<T>,
    },
    OneOf(Box<[T]>),
    NoneOf(Box<[T]>),
    Finite,
}

/// The end of a range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound<T> {
    pub(crate) at: T,
    /// Whether the end itself belongs to the range.
    pub(crate) closed: bool,
}

impl<T: PartialOrd> Bound<T> {
    fn is_above(&self, value: &T) -> bool {
        if self.closed { *value <= self.at } else { *value < self.at }
    }

    fn is_below(&self, value: &T) -> bool {
        if self.closed { *value >= self.at } else { *value > self.at }
    }
}

impl<T: Ordered> Condition<T> {
    #[inline]
    fn holds(&self, value: T) -> bool {
        match self {
            // Comparisons with NaN are false, so NaN is in no range.
            Condition::Within { low, high } => {
                low.as_ref().is_none_or(|low| low.is_below(&value))
                    && high.as_ref().is_none_or(|high| high.is_above(&value))
            }
            Condition::Outside { low, high } => low.is_below(&value) || high.is_above(&value),
            Condition::Is(one) => value == *one,
            Condition::OneOf(list) => list.contains(&value),
            Condition::NoneOf(list) => !list.contains(&value),
            Condition::Finite => value.is_finite(),
        }
    }
}

/// The rules of a number as they are declared.
#[derive(Debug)]
pub(crate) struct Declared<T> {
    pub(crate) constant: Option<T>,
    pub(crate) low: Option<Bound<T>>,
    pub(crate) high: Option<Bound<T>>,
    pub(crate) one_of: Vec<T>,
    pub(crate) none_of: Vec<T>,
    pub(crate) finite: bool,
}

impl<T: Ordered> Number<T> {
    /// Compiles the rules of the type that rule ids call `kind`; `show` says how a value is written in a text.
    pub(crate) fn new<D: Display>(kind: &str, declared: Declared<T>, show: impl Fn(T) -> D) -> Self {
        let Declared { constant, low, high, one_of, none_of, finite } = declared;
        let list = |values: &[T]| -> String {
            values.iter().map(|value| show(*value).to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut rules = Vec::new();
        let mut add = |id: &str, text: String, condition| {
            rules.push(Rule { id: format!("{kind}.{id}").into(), problem: text.into(), condition });
        };
        if let Some(one) = constant {
            add("const", format!("must be {}", show(one)), Condition::Is(one));
        }
        if low.is_some() || high.is_some() {
            let (id, text) = range(low, high, &show);
            let condition = match (low, high) {
                (Some(low), Some(high)) if high.at < low.at => Condition::Outside { low, high },
                _ => Condition::Within { low, high },
            };
            add(&id, text, condition);
        }
        if !one_of.is_empty() {
            add("in", format!("must be one of {}", list(&one_of)), Condition::OneOf(one_of.into()));
        }
        if !none_of.is_empty() {
            add("not_in", format!("must be none of {}", list(&none_of)), Condition::NoneOf(none_of.into()));
        }
        if finite {
            add("finite", "must be finite".to_owned(), Condition::Finite);
        }
        Self { rules: rules.into() }
    }

    #[inline]
    pub(crate) fn check(&self, value: T, report: &mut impl Report) {
        for Rule { id, problem, condition } in &self.rules {
            if !condition.holds(value) {
                report.broken(id, problem);
            }
        }
    }
}

/// The id and the text of a range.
fn range<T: Ordered, D: Display>(
    low: Option<Bound<T>>,
    high: Option<Bound<T>>,
    show: &impl Fn(T) -> D,
) -> (String, String) {
    let above = |low: Bound<T>| {
        let (id, words) = if low.closed { ("gte", "at least") } else { ("gt", "greater than") };
        (id, format!("{words} {}", show(low.at)))
    };
    let below = |high: Bound<T>| {
        let (id, words) = if high.closed { ("lte", "at most") } else { ("lt", "less than") };
        (id, format!("{words} {}", show(high.at)))
    };
    match (low, high) {
        (Some(low), Some(high)) if high.at < low.at => {
            let ((low, above), (high, below)) = (above(low), below(high));
            (format!("{low}_{high}_exclusive"), format!("must be {below} or {above}"))
        }
        (Some(low), Some(high)) if low.closed && high.closed => {
            ("gte_lte".to_owned(), format!("must be from {} to {}", show(low.at), show(high.at)))
        }
        (Some(low), Some(high)) => {
            let ((low, above), (high, below)) = (above(low), below(high));
            (format!("{low}_{high}"), format!("must be {above} and {below}"))
        }
        (Some(low), None) => {
            let (id, text) = above(low);
            (id.to_owned(), format!("must be {text}"))
        }
        (None, Some(high)) => {
            let (id, text) = below(high);
            (id.to_owned(), format!("must be {text}"))
        }
        (None, None) => Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(declared: Declared<f64>, value: f64) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut report = |id: &str, text: &str| found.push((id.to_owned(), text.to_owned()));
        Number::new("double", declared, |value| value).check(value, &mut report);
        found
    }

    fn between(low: (f64, bool), high: (f64, bool)) -> Declared<f64> {
        let bound = |(at, closed)| Some(Bound { at, closed });
        let (low, high) = (bound(low), bound(high));
        Declared { constant: None, low, high, one_of: vec![], none_of: vec![], finite: false }
    }

    #[test]
    fn ranges_name_both_ends() {
        let closed = || between((0.0, true), (2.0, true));
        assert_eq!(broken(closed(), 2.0), []);
        assert_eq!(broken(closed(), 2.5), [("double.gte_lte".to_owned(), "must be from 0 to 2".to_owned())]);
        assert_eq!(broken(closed(), f64::NAN).len(), 1);
        let open = broken(between((0.0, false), (2.0, true)), 0.0);
        assert_eq!(open, [("double.gt_lte".to_owned(), "must be greater than 0 and at most 2".to_owned())]);
    }

    #[test]
    fn a_lower_bound_above_the_upper_one_excludes_what_lies_between() {
        let gap = || between((10.0, true), (1.0, false));
        assert_eq!(broken(gap(), 0.5), []);
        assert_eq!(broken(gap(), 10.0), []);
        let text = "must be less than 1 or at least 10".to_owned();
        assert_eq!(broken(gap(), 5.0), [("double.gte_lt_exclusive".to_owned(), text)]);
        assert_eq!(broken(gap(), f64::NAN).len(), 1);
    }
}
