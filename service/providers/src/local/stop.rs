//! Stop strings, found also when they lie across several tokens.
//!
//! Text is held back only while it could still be the beginning of a stop string.

/// Looks for stop strings in text that comes in pieces.
pub(crate) struct StopStrings {
    stops: Vec<String>,
    held: String,
}

impl StopStrings {
    /// `stops` must not hold an empty string.
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new() }
    }

    /// Takes a piece, returns the text that may be shown, and whether a stop string was met. Its text ends before it.
    pub(crate) fn push(&mut self, piece: &str) -> (String, bool) {
        self.held.push_str(piece);
        let first = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(start) = first {
            self.held.truncate(start);
            return (std::mem::take(&mut self.held), true);
        }
        let certain = self.held.len() - self.undecided();
        let rest = self.held.split_off(certain);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, once it is known that nothing follows.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes at the end of the held text that begin a stop string.
    fn undecided(&self) -> usize {
        let longest = self.stops.iter().map(|stop| stop.len() - 1).max().unwrap_or(0).min(self.held.len());
        let begins_stop = |length: &usize| {
            let start = self.held.len() - length;
            self.held.is_char_boundary(start) && self.stops.iter().any(|stop| stop.starts_with(&self.held[start..]))
        };
        (1..=longest).rev().find(begins_stop).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let mut strings = StopStrings::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
        let mut shown = Vec::new();
        for piece in pieces {
            let (text, stopped) = strings.push(piece);
            shown.push(text);
            if stopped {
                return (shown, true);
            }
        }
        shown.push(strings.finish());
        (shown, false)
    }

    #[test]
    fn a_stop_string_across_pieces_is_found_and_not_shown() {
        assert_eq!(run(&["END"], &["one E", "N", "D two"]), (vec!["one ".into(), "".into(), "".into()], true));
    }

    #[test]
    fn text_is_held_back_only_while_it_could_be_a_stop_string() {
        let (shown, stopped) = run(&["\n\n"], &["a\n", "b\n", "c"]);
        assert_eq!((shown, stopped), (vec!["a".into(), "\nb".into(), "\nc".into(), "".into()], false));
    }

    #[test]
    fn without_stop_strings_nothing_is_held() {
        assert_eq!(run(&[], &["a", "b"]).0, ["a", "b", ""]);
    }

    #[test]
    fn the_earliest_of_several_wins() {
        assert_eq!(run(&["b", "ab"], &["xab"]), (vec!["x".into()], true));
    }

    #[test]
    fn text_held_at_the_end_is_not_lost() {
        assert_eq!(run(&["END"], &["the EN"]).0.concat(), "the EN");
    }

    #[test]
    fn multibyte_text_is_cut_between_characters() {
        assert_eq!(
            run(&["é!"], &["caf", "é", "é", "!x"]),
            (vec!["caf".into(), "".into(), "é".into(), "".into()], true)
        );
    }
}
