//! What tokens cost: exact integers, rounded up once, in nano-dollars. It knows no table and no budget.

/// Prices are per this many tokens.
const TOKENS: i128 = 1_000_000;

/// The highest price there may be, in nano-dollars per million tokens: a dollar for each token. With it, the cost of a
/// call that fits a usage row cannot leave 64 bits by far.
pub(crate) const MAX_PRICE: i64 = 1_000_000 * 1_000_000_000;

/// What a model costs, in nano-dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Price {
    /// Input that was not cached.
    pub(crate) input: i64,
    /// Input that the provider had cached.
    pub(crate) cached_input: i64,
    /// Output without reasoning.
    pub(crate) output: i64,
    /// The part of the output that was spent on reasoning.
    pub(crate) reasoning: i64,
}

/// How many tokens a call took, as a usage row has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TokenCount {
    /// Input, cached tokens included.
    pub(crate) prompt: u32,
    /// The part of the input that was cached.
    pub(crate) cached: u32,
    /// Output, reasoning included.
    pub(crate) completion: u32,
    /// The part of the output that was spent on reasoning.
    pub(crate) reasoning: u32,
}

impl Price {
    /// What these tokens cost, in nano-dollars, rounded up.
    pub(crate) fn cost(&self, tokens: TokenCount) -> i64 {
        // Providers have been seen to report a part that is larger than its whole; the part is what they bill by.
        let fresh = tokens.prompt.saturating_sub(tokens.cached);
        let plain = tokens.completion.saturating_sub(tokens.reasoning);
        let times = |count: u32, price: i64| i128::from(count) * i128::from(price);
        let sum = times(fresh, self.input)
            + times(tokens.cached, self.cached_input)
            + times(plain, self.output)
            + times(tokens.reasoning, self.reasoning);
        i64::try_from((sum + TOKENS - 1).div_euclid(TOKENS)).unwrap_or(i64::MAX)
    }

    /// The most that a call with so much input and output can cost, however its tokens are told apart.
    pub(crate) fn worst(&self, prompt: u32, completion: u32) -> i64 {
        let dearest = Self {
            input: self.input.max(self.cached_input),
            output: self.output.max(self.reasoning),
            ..Self::default()
        };
        dearest.cost(TokenCount { prompt, completion, ..TokenCount::default() })
    }
}

/// An amount of dollars with up to nine digits after the point, exactly, in nano-dollars: `2.50` is 2,500,000,000.
pub(crate) fn nanos(dollars: &str) -> Option<i64> {
    let (whole, part) = dollars.split_once('.').unwrap_or((dollars, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 9 || !digits(whole) || !digits(part) || dollars.ends_with('.') {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let part: i64 = format!("{part:0<9}").parse().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(part)
}

/// Nano-dollars as an amount of dollars, exactly: [`nanos`] the other way, with two digits after the point at least.
pub(crate) fn dollars(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, mut part) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    let mut digits = 9;
    while digits > 2 && part.is_multiple_of(10) {
        part /= 10;
        digits -= 1;
    }
    format!("{sign}{whole}.{part:0digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(prompt: u32, cached: u32, completion: u32, reasoning: u32) -> TokenCount {
        TokenCount { prompt, cached, completion, reasoning }
    }

    #[test]
    fn every_kind_of_token_has_its_price() {
        // gpt-4o-mini's, with a price for reasoning of its own.
        let price = Price { input: 150_000_000, cached_input: 75_000_000, output: 600_000_000, reasoning: 900_000_000 };
        assert_eq!(price.cost(count(1_000_000, 0, 0, 0)), 150_000_000);
        assert_eq!(price.cost(count(10, 4, 7, 2)), 6 * 150 + 4 * 75 + 5 * 600 + 2 * 900);
        assert_eq!(price.cost(count(0, 4, 0, 2)), 4 * 75 + 2 * 900, "a part that is larger than its whole");
        assert_eq!(price.worst(10, 7), 10 * 150 + 7 * 900);
    }

    #[test]
    fn a_part_of_a_nano_dollar_is_a_whole_one_and_nothing_overflows() {
        let price = Price { input: 1, ..Price::default() };
        assert_eq!(price.cost(count(1, 0, 0, 0)), 1);
        assert_eq!(price.cost(count(1_000_000, 0, 0, 0)), 1);
        assert_eq!(price.cost(count(1_000_001, 0, 0, 0)), 2);
        assert_eq!(price.cost(count(0, 0, u32::MAX, 0)), 0);
        let dearest = Price { input: i64::MAX, cached_input: i64::MAX, output: i64::MAX, reasoning: i64::MAX };
        assert_eq!(dearest.cost(count(u32::MAX, 7, u32::MAX, 7)), i64::MAX);
        let allowed = Price { input: MAX_PRICE, output: MAX_PRICE, ..Price::default() };
        assert_eq!(allowed.cost(count(u32::MAX, 0, u32::MAX, 0)), 2 * i64::from(u32::MAX) * 1_000_000_000);
    }

    #[test]
    fn dollars_are_read_and_written_exactly() {
        for (text, expected) in
            [("0", 0), ("2.50", 2_500_000_000), ("0.000000001", 1), ("9223372036.854775807", i64::MAX)]
        {
            assert_eq!(nanos(text), Some(expected), "{text}");
            assert_eq!(nanos(&dollars(expected)), Some(expected));
        }
        for text in ["", ".", "1.", ".5", "-1", "1e3", "1,5", "0.0000000001", "9223372036.854775808", "+1", " 1"] {
            assert_eq!(nanos(text), None, "{text:?}");
        }
        assert_eq!(
            (dollars(2_500_000_000), dollars(1), dollars(-5)),
            ("2.50".into(), "0.000000001".into(), "-0.000000005".into())
        );
    }
}
