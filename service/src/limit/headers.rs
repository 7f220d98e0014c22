//! Where a caller stands, as headers: those that OpenAI's SDKs know, and those that the IETF is about to standardise.
//! On gRPC they are the metadata of the answer.
//!
//! Sources: <https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>;
//! <https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10>.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::{MetadataMap, MetadataValue};

use super::refusal::Refusal;
use super::standing::{Figure, Measure, Standing};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
/// Who counts: `shared` (all replicas together) or `replica` (each for itself).
const SCOPE: HeaderName = HeaderName::from_static("sabir-ratelimit-scope");

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Every header of this file, for web pages that want to read them.
pub(crate) const EXPOSED: [&str; 9] = [
    "ratelimit-policy",
    "ratelimit",
    "sabir-ratelimit-scope",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];

/// Writes where the caller stands. Of two rates of the same measure, the tighter is there.
pub(crate) fn write(standing: &Standing, headers: &mut HeaderMap) {
    if standing.is_empty() {
        return;
    }
    let scope = if standing.shared { "shared" } else { "replica" };
    headers.insert(SCOPE, HeaderValue::from_static(scope));
    for (measure, figure, names) in
        [(Measure::Requests, standing.requests, REQUESTS), (Measure::Tokens, standing.tokens, TOKENS)]
    {
        let Some(figure) = figure else { continue };
        if let Some(remaining) = number(headers.get(&names[1]))
            && remaining <= figure.remaining
        {
            continue;
        }
        put(headers, &names, measure, figure);
    }
}

/// Adds to the metadata of an answer where the caller stands.
pub(crate) fn annotate(standing: &Standing, metadata: &mut MetadataMap) {
    if !standing.is_empty() {
        let mut headers = std::mem::take(metadata).into_headers();
        write(standing, &mut headers);
        *metadata = MetadataMap::from_headers(headers);
    }
}

/// Adds to the metadata of a refusal where the caller stands, and when to try again: over gRPC no layer would say it in
/// a header.
pub(crate) fn write_headers(refusal: &Refusal, metadata: &mut MetadataMap) {
    annotate(&refusal.standing, metadata);
    if let Some(pause) = refusal.retry_after {
        let seconds = u64::try_from(pause.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
        metadata.insert("retry-after", MetadataValue::from(seconds.max(1)));
    }
}

fn put(headers: &mut HeaderMap, names: &[HeaderName; 3], measure: Measure, figure: Figure) {
    let Figure { whose, per_minute, burst, remaining, reset } = figure;
    headers.insert(&names[0], burst.into());
    headers.insert(&names[1], remaining.into());
    if let Some(reset) = value(format_args!("{}", GoDuration(reset))) {
        headers.insert(&names[2], reset);
    }

    // One policy for each measure: a tighter one of the same name takes its place.
    let (unit, seconds) = (measure.name(), reset.as_secs() + u64::from(reset.subsec_nanos() > 0));
    let window = 60 * u64::from(burst).div_ceil(u64::from(per_minute).max(1)).max(1);
    let policy = value(format_args!("\"{whose}-{unit}\";q={burst};w={window};qu=\"{unit}\""));
    let state = value(format_args!("\"{whose}-{unit}\";r={remaining};t={seconds}"));
    for (name, member) in [(&POLICY, policy), (&STATE, state)] {
        if let Some(member) = member {
            replace(headers, name, unit, member);
        }
    }
}

/// Adds a member to a list of which each has a header of its own, in the place of the one for the same measure.
fn replace(headers: &mut HeaderMap, name: &HeaderName, measure: &str, member: HeaderValue) {
    let is_of_measure = |value: &HeaderValue| {
        let policy = value.to_str().ok().and_then(|value| value.strip_prefix('"')?.split_once('"'));
        policy.is_some_and(|(policy, _)| policy.ends_with(measure))
    };
    if headers.get_all(name).iter().any(is_of_measure) {
        let all = headers.get_all(name).iter();
        let others: Vec<HeaderValue> = all.filter(|value| !is_of_measure(value)).cloned().collect();
        headers.remove(name);
        for value in others {
            headers.append(name, value);
        }
    }
    headers.append(name, member);
}

/// The text as a header's value, written where it costs no memory of its own; `None` for a text that is far too long for
/// figures and names of kinds.
fn value(text: fmt::Arguments<'_>) -> Option<HeaderValue> {
    let mut buffer = [0; 160];
    let mut rest = &mut buffer[..];
    rest.write_fmt(text).ok()?;
    let left = rest.len();
    HeaderValue::from_bytes(&buffer[..buffer.len() - left]).ok()
}

fn number(value: Option<&HeaderValue>) -> Option<u64> {
    value?.to_str().ok()?.parse().ok()
}

/// A duration as OpenAI writes it: `6m0s`, `1.5s`, `20ms`, `0s`.
struct GoDuration(Duration);

impl fmt::Display for GoDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not `as_millis`: numbers of 128 bits take long to divide and to write.
        let (seconds, rest) = (self.0.as_secs(), self.0.subsec_nanos().div_ceil(1_000_000));
        let (seconds, rest) = if rest == 1_000 { (seconds + 1, 0) } else { (seconds, rest) };
        if seconds == 0 && rest > 0 {
            return write!(formatter, "{rest}ms");
        }
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        if hours > 0 {
            write!(formatter, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(formatter, "{minutes}m")?;
        }
        write!(formatter, "{}", seconds % 60)?;
        match rest {
            0 => {}
            rest if rest % 100 == 0 => write!(formatter, ".{}", rest / 100)?,
            rest if rest % 10 == 0 => write!(formatter, ".{:02}", rest / 10)?,
            rest => write!(formatter, ".{rest:03}")?,
        }
        formatter.write_str("s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(whose: &'static str, remaining: u64) -> Figure {
        Figure { whose, per_minute: 60, burst: 60, remaining, reset: Duration::from_millis(1_500) }
    }

    fn texts(headers: &HeaderMap, name: &str) -> Vec<String> {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn both_families_say_the_same() {
        let mut headers = HeaderMap::new();
        let standing = Standing { requests: Some(figure("key", 7)), tokens: Some(figure("team", 9)), shared: true };
        write(&standing, &mut headers);
        assert_eq!(texts(&headers, "x-ratelimit-limit-requests"), ["60"]);
        assert_eq!(texts(&headers, "x-ratelimit-remaining-tokens"), ["9"]);
        assert_eq!(texts(&headers, "x-ratelimit-reset-requests"), ["1.5s"]);
        let policies = ["\"key-requests\";q=60;w=60;qu=\"requests\"", "\"team-tokens\";q=60;w=60;qu=\"tokens\""];
        assert_eq!(texts(&headers, "ratelimit-policy"), policies);
        assert_eq!(texts(&headers, "ratelimit"), ["\"key-requests\";r=7;t=2", "\"team-tokens\";r=9;t=2"]);
        assert_eq!(texts(&headers, "sabir-ratelimit-scope"), ["shared"]);
    }

    #[test]
    fn the_tighter_of_two_stays() {
        let mut headers = HeaderMap::new();
        for (whose, remaining) in [("key", 7), ("model", 3), ("everyone", 5)] {
            write(&Standing { requests: Some(figure(whose, remaining)), ..Standing::default() }, &mut headers);
        }
        assert_eq!(texts(&headers, "x-ratelimit-remaining-requests"), ["3"]);
        assert_eq!(texts(&headers, "ratelimit"), ["\"model-requests\";r=3;t=2"]);
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (millis, text) in [
            (0, "0s"),
            (20, "20ms"),
            (1_000, "1s"),
            (1_230, "1.23s"),
            (1_007, "1.007s"),
            (360_000, "6m0s"),
            (3_600_500, "1h0m0.5s"),
        ] {
            assert_eq!(GoDuration(Duration::from_millis(millis)).to_string(), text);
        }
        // What is left of a millisecond counts as a whole one.
        for (nanos, text) in [(1, "1ms"), (999_000_001, "1s"), (1_999_999_999, "2s")] {
            assert_eq!(GoDuration(Duration::from_nanos(nanos)).to_string(), text);
        }
    }
}
