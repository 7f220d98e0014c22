//! Where a caller stands, as headers: those that OpenAI's SDKs know, and those that the IETF is about to standardise.
//! On gRPC they are the metadata of the answer.
//!
//! Sources: <https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>;
//! <https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10>.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::standing::{Figure, Measure, Standing};

static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static STATE: HeaderName = HeaderName::from_static("ratelimit");
/// Who counts: `shared` (all replicas together) or `replica` (each for itself).
static SCOPE: HeaderName = HeaderName::from_static("sabir-ratelimit-scope");

static REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
static TOKENS: [HeaderName; 3] = [
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

/// Writes where the caller stands.
pub(super) fn write(standing: &Standing, headers: &mut HeaderMap) {
    if standing.is_empty() {
        return;
    }
    let (mut policy, mut state) = (Text::<160>::new(), Text::<160>::new());
    for (measure, figure, names) in
        [(Measure::Requests, standing.requests, &REQUESTS), (Measure::Tokens, standing.tokens, &TOKENS)]
    {
        let Some(Figure { whose, per_minute, burst, remaining, reset }) = figure else { continue };
        headers.insert(&names[0], burst.into());
        headers.insert(&names[1], remaining.into());
        put(headers, &names[2], &go_duration(reset));

        // One policy for each measure: the tightest.
        let (unit, seconds) = (measure.name(), reset.as_secs().saturating_add((reset.subsec_nanos() > 0).into()));
        let window = 60 * u64::from(burst).div_ceil(u64::from(per_minute).max(1)).max(1);
        for list in [&mut policy, &mut state] {
            list.push(if list.is_empty() { "\"" } else { ", \"" }).push(whose).push("-").push(unit);
        }
        policy.push("\";q=").number(burst.into()).push(";w=").number(window).push(";qu=\"").push(unit).push("\"");
        state.push("\";r=").number(remaining).push(";t=").number(seconds);
    }
    put(headers, &POLICY, &policy);
    put(headers, &STATE, &state);
    let scope = if standing.shared { "shared" } else { "replica" };
    headers.insert(&SCOPE, HeaderValue::from_static(scope));
}

fn put<const ROOM: usize>(headers: &mut HeaderMap, name: &'static HeaderName, text: &Text<ROOM>) {
    // Figures and names of kinds are always a header's value.
    if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
        headers.insert(name, value);
    }
}

/// A short text, written where it costs no memory of its own: these are written for every call.
#[derive(Debug)]
struct Text<const ROOM: usize> {
    bytes: [u8; ROOM],
    length: usize,
}

impl<const ROOM: usize> Text<ROOM> {
    fn new() -> Self {
        Self { bytes: [0; ROOM], length: 0 }
    }

    /// Appends; what goes beyond the room, which no figures and names of kinds do, is cut.
    fn push(&mut self, text: &str) -> &mut Self {
        let room = &mut self.bytes[self.length..];
        let length = text.len().min(room.len());
        room[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length += length;
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.push(itoa::Buffer::new().format(number))
    }

    fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A duration as OpenAI writes it: `6m0s`, `1.5s`, `20ms`, `0s`. What is left of a millisecond counts as a whole one.
fn go_duration(duration: Duration) -> Text<40> {
    // Not `as_millis`: numbers of 128 bits take long to divide and to write.
    let (seconds, rest) = (duration.as_secs(), u64::from(duration.subsec_nanos().div_ceil(1_000_000)));
    let (seconds, rest) = if rest == 1_000 { (seconds.saturating_add(1), 0) } else { (seconds, rest) };
    let mut text = Text::new();
    if seconds == 0 && rest > 0 {
        text.number(rest).push("ms");
        return text;
    }
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    if hours > 0 {
        text.number(hours).push("h");
    }
    if hours > 0 || minutes > 0 {
        text.number(minutes).push("m");
    }
    text.number(seconds % 60);
    if rest > 0 {
        text.push(".");
        for (digit, smaller) in [(rest / 100, rest % 100), (rest / 10 % 10, rest % 10), (rest % 10, 0)] {
            text.number(digit);
            if smaller == 0 {
                break;
            }
        }
    }
    text.push("s");
    text
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
        let policies = r#""key-requests";q=60;w=60;qu="requests", "team-tokens";q=60;w=60;qu="tokens""#;
        assert_eq!(texts(&headers, "ratelimit-policy"), [policies]);
        assert_eq!(texts(&headers, "ratelimit"), [r#""key-requests";r=7;t=2, "team-tokens";r=9;t=2"#]);
        assert_eq!(texts(&headers, "sabir-ratelimit-scope"), ["shared"]);
    }

    #[test]
    fn the_longest_figures_have_room() {
        let most =
            Figure { whose: "everyone", per_minute: 1, burst: u32::MAX, remaining: u64::MAX, reset: Duration::MAX };
        let mut headers = HeaderMap::new();
        write(&Standing { requests: Some(most), tokens: Some(most), shared: false }, &mut headers);
        let both = [texts(&headers, "ratelimit-policy"), texts(&headers, "ratelimit")].concat();
        assert!(both[0].ends_with("qu=\"tokens\"") && both[1].ends_with(&format!(";t={}", u64::MAX)), "{both:?}");
        assert!(texts(&headers, "x-ratelimit-reset-tokens")[0].ends_with('s'));
    }

    fn written(duration: Duration) -> String {
        String::from_utf8(go_duration(duration).as_bytes().to_vec()).unwrap()
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
            assert_eq!(written(Duration::from_millis(millis)), text);
        }
        // What is left of a millisecond counts as a whole one.
        for (nanos, text) in [(1, "1ms"), (999_000_001, "1s"), (1_999_999_999, "2s")] {
            assert_eq!(written(Duration::from_nanos(nanos)), text);
        }
    }
}
