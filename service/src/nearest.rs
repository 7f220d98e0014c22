//! Which known names are close to one that is not known, for "did you mean" in messages.
//!
//! It does not know what the names stand for: configuration keys and model names use it alike.

/// A beginning of fewer letters says too little.
const SHORTEST_BEGINNING: usize = 4;

/// Returns at most `limit` candidates that a typing mistake could have turned into `name`, closest first.
///
/// A candidate also counts when `name` is close to its last `/` segment, so that `gpt-4o-mni` finds
/// `openai/gpt-4o-mini`, and when it begins with `name`, so that `local/smollm` finds `local/smollm2-135m-instruct`.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>, limit: usize) -> Vec<&'c str> {
    let wanted = name.to_ascii_lowercase();
    // A third of the letters may be wrong, two in a short name.
    let tolerance = (wanted.chars().count() / 3).max(2);
    let mut close: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let lowered = candidate.to_ascii_lowercase();
            let whole = distance(&wanted, &lowered);
            let last = lowered.rsplit('/').next().map_or(whole, |segment| distance(&wanted, segment));
            let begun = wanted.len() >= SHORTEST_BEGINNING && lowered.starts_with(&wanted);
            let best = if begun { 1 } else { whole.min(last) };
            // Nothing of the name left over means that they have nothing in common.
            (best <= tolerance && best < wanted.chars().count()).then_some((best, candidate))
        })
        .collect();
    close.sort_unstable();
    close.dedup();
    close.truncate(limit);
    close.into_iter().map(|(_, candidate)| candidate).collect()
}

/// The optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, &left) in from.iter().enumerate() {
        let mut current = Vec::with_capacity(to.len() + 1);
        current.push(row + 1);
        for (column, &right) in to.iter().enumerate() {
            let substituted = last[column] + usize::from(left != right);
            let mut best = substituted.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && left == to[column - 1] && from[row - 1] == right;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = last;
        last = current;
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swapped_or_missing_letter_still_finds_the_name() {
        assert_eq!(nearest("lisetn", ["listen", "workers"], 1), ["listen"]);
        assert_eq!(nearest("worker", ["listen", "workers"], 1), ["workers"]);
    }

    #[test]
    fn the_model_part_alone_finds_the_whole_name() {
        assert_eq!(nearest("gpt-4o-mni", ["openai/gpt-4o-mini", "local/tiny"], 2), ["openai/gpt-4o-mini"]);
    }

    #[test]
    fn the_beginning_of_a_name_finds_the_whole() {
        assert_eq!(
            nearest("local/smol", ["local/smollm2-135m-instruct", "openai/x"], 2),
            ["local/smollm2-135m-instruct"]
        );
        assert!(nearest("loc", ["local/smollm2-135m-instruct"], 1).is_empty());
    }

    #[test]
    fn a_name_with_nothing_in_common_finds_nothing() {
        assert!(nearest("zz", ["listen"], 3).is_empty());
    }

    #[test]
    fn distance_counts_each_kind_of_edit_once() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "acb"), 1);
        assert_eq!(distance("abc", "abd"), 1);
        assert_eq!(distance("abc", "ab"), 1);
    }
}
