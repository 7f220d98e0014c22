//! What a caller wants of kept answers. Source: RFC 9111, section 5.2.1.

use std::time::Duration;

/// A caller's `cache-control`, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    no_store: bool,
    no_cache: bool,
    max_age: Option<Duration>,
}

impl Control {
    /// Reads the header. What it says beyond this is not for us.
    pub(crate) fn read(header: &str) -> Self {
        let mut control = Self::default();
        for directive in header.split(',').map(str::trim) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            if name.eq_ignore_ascii_case("no-store") {
                control.no_store = true;
            } else if name.eq_ignore_ascii_case("no-cache") {
                control.no_cache = true;
            } else if name.eq_ignore_ascii_case("max-age") {
                // One that cannot be read is as good as none: the answer is taken for too old.
                let seconds = value.trim_matches('"').parse().unwrap_or(0);
                control.max_age = Some(Duration::from_secs(seconds));
            }
        }
        control
    }

    /// Whether an answer may be kept or taken at all.
    pub(crate) fn is_off(self) -> bool {
        self.no_store
    }

    /// Whether only a new answer will do.
    pub(super) fn is_fresh_only(self) -> bool {
        self.no_cache || self.max_age.is_some_and(|age| age.is_zero())
    }

    /// Whether an answer of this age will do.
    pub(super) fn takes(self, age: Duration) -> bool {
        !self.is_fresh_only() && self.max_age.is_none_or(|most| age <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_says_how_old_an_answer_may_be() {
        let second = Duration::from_secs(1);
        for (header, off, young, old) in [
            ("", false, true, true),
            ("no-store", true, true, true),
            ("no-cache", false, false, false),
            ("Max-Age=60, no-transform", false, true, false),
            ("max-age=0", false, false, false),
            ("max-age=x", false, false, false),
            ("private , NO-CACHE", false, false, false),
        ] {
            let control = Control::read(header);
            let found = (control.is_off(), control.takes(second), control.takes(second * 120));
            assert_eq!(found, (off, young, old), "{header:?}");
        }
    }
}
