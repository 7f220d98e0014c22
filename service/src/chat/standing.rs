//! How a call's budget stands, as headers of its answer, the same on every protocol.

use tonic::metadata::MetadataMap;

use crate::budget::{Standing, dollars};

/// What is left of the tightest budget that the call counts for, in dollars.
pub(crate) const BUDGET_REMAINING: &str = "sabir-budget-remaining";

/// In how many seconds that budget begins again.
pub(crate) const BUDGET_RESET: &str = "sabir-budget-reset";

/// What the caller or the operator should know: `80% spent`, `unpriced`.
pub(crate) const BUDGET_WARNING: &str = "sabir-budget-warning";

/// Adds the headers. A budget that cannot count the call, because the model has no price, has only the warning.
pub(super) fn add(headers: &mut MetadataMap, standing: Option<Standing>, unpriced: bool) {
    let mut insert = |name: &'static str, text: String| {
        // Digits and plain letters are always a header's value.
        if let Ok(value) = text.try_into() {
            headers.insert(name, value);
        }
    };
    if unpriced {
        insert(BUDGET_WARNING, "unpriced".to_owned());
    }
    let Some(standing) = standing else { return };
    insert(BUDGET_REMAINING, dollars(standing.remaining_nanos));
    if let Some(resets_in) = standing.resets_in {
        insert(BUDGET_RESET, resets_in.as_secs().max(1).to_string());
    }
    if let Some(percent) = standing.warned_percent {
        insert(BUDGET_WARNING, format!("{percent}% spent"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_known_is_not_said() {
        let text =
            |headers: &MetadataMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let mut headers = MetadataMap::new();
        add(&mut headers, None, false);
        assert!(headers.is_empty());
        add(&mut headers, None, true);
        assert_eq!(text(&headers, BUDGET_WARNING).as_deref(), Some("unpriced"));
        let resets_in = Some(Duration::from_millis(2_500));
        let standing = Standing { remaining_nanos: 1_250_000_000, resets_in, warned_percent: Some(80) };
        add(&mut headers, Some(standing), false);
        assert_eq!(text(&headers, BUDGET_REMAINING).as_deref(), Some("1.25"));
        assert_eq!(text(&headers, BUDGET_RESET).as_deref(), Some("2"));
        assert_eq!(text(&headers, BUDGET_WARNING).as_deref(), Some("80% spent"));
    }
}
