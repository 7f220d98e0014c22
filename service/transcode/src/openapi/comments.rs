//! The comments of the proto files, as prose for people who read of the API and not of the files.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor};

/// Every comment of a descriptor pool, by file and place.
#[derive(Debug)]
pub(super) struct Comments {
    texts: HashMap<(String, Vec<i32>), String>,
}

/// A comment in two parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prose {
    /// The first sentence, without its full stop.
    pub(super) summary: Option<String>,
    /// What comes after it.
    pub(super) rest: Option<String>,
}

impl Comments {
    /// Reads the comments of every file; a descriptor set that was written without them has none.
    pub(super) fn of(pool: &DescriptorPool) -> Self {
        let mut texts = HashMap::new();
        for file in pool.files() {
            let Some(source) = &file.file_descriptor_proto().source_code_info else {
                continue;
            };
            for location in &source.location {
                let leading = prose(location.leading_comments());
                let text = if leading.is_empty() { prose(location.trailing_comments()) } else { leading };
                if !text.is_empty() {
                    texts.insert((file.name().to_owned(), location.path.clone()), text);
                }
            }
        }
        Self { texts }
    }

    /// The comment of the element at `path`.
    pub(super) fn text(&self, file: &FileDescriptor, path: &[i32]) -> Option<String> {
        self.texts.get(&(file.name().to_owned(), path.to_vec())).cloned()
    }

    /// The same, with the first sentence apart.
    pub(super) fn parts(&self, file: &FileDescriptor, path: &[i32]) -> Prose {
        self.text(file, path).map(|text| split(&text)).unwrap_or_default()
    }
}

/// The text of a comment: without what is meant for linters, and with the lines of a paragraph joined, since viewers
/// show a line's end as one.
fn prose(comment: &str) -> String {
    let mut out = String::with_capacity(comment.len());
    let mut fenced = false;
    let mut joins = false;
    for line in without_asides(comment).lines() {
        let line = line.strip_prefix(' ').unwrap_or(line).trim_end();
        let word = line.trim_start();
        if word.starts_with("buf:lint:") || word.starts_with("@ignore-comment") {
            continue;
        }
        let fence = word.starts_with("```");
        let stands_alone = fenced || fence || word.is_empty() || line.starts_with("    ") || begins_item(word);
        if !out.is_empty() {
            out.push(if joins && !stands_alone { ' ' } else { '\n' });
        }
        out.push_str(if joins && !stands_alone { word } else { line });
        fenced ^= fence;
        joins = !(fenced || fence || word.is_empty() || word.starts_with('#') || word.starts_with('|'));
    }
    out.trim().to_owned()
}

/// Leaves out `(-- ... --)`, in which Google's API linter is spoken to.
fn without_asides(comment: &str) -> String {
    let mut out = String::with_capacity(comment.len());
    let mut rest = comment;
    while let Some((before, inside)) = rest.split_once("(--") {
        out.push_str(before);
        rest = inside.split_once("--)").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

/// Whether a line begins an item of a list, a heading, a quotation or a row of a table.
fn begins_item(line: &str) -> bool {
    let bullet = ["- ", "* ", "+ ", "#", "> ", "|"].iter().any(|mark| line.starts_with(mark));
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    bullet || (digits > 0 && line[digits..].starts_with(". "))
}

/// The first sentence, and the rest.
fn split(text: &str) -> Prose {
    let paragraph = text.find("\n").unwrap_or(text.len());
    let first = &text[..paragraph];
    let sentence = first.match_indices(". ").find(|&(at, _)| ends_sentence(first, at)).map_or(paragraph, |(at, _)| at);
    let summary = text[..sentence].trim_end_matches('.').trim();
    let rest = text[sentence..].trim_start_matches('.').trim();
    Prose {
        summary: (!summary.is_empty()).then(|| summary.to_owned()),
        rest: (!rest.is_empty()).then(|| rest.to_owned()),
    }
}

/// Whether the full stop at `at` ends a sentence: a capital follows, and it is not that of an abbreviation.
fn ends_sentence(text: &str, at: usize) -> bool {
    let capital = text[at + 2..].chars().next().is_some_and(|next| !next.is_lowercase());
    let word = text[..at].rsplit(' ').next().unwrap_or_default();
    capital && !["e.g", "i.e", "etc", "vs", "cf"].contains(&word.trim_start_matches('('))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_is_the_summary() {
        let parts = split("Lists shelves, e.g. Those of a library. All of them.\n\nAnd more.");
        assert_eq!(parts.summary.as_deref(), Some("Lists shelves, e.g. Those of a library"));
        assert_eq!(parts.rest.as_deref(), Some("All of them.\n\nAnd more."));
        assert_eq!(split("Only this."), Prose { summary: Some("Only this".into()), rest: None });
        assert_eq!(split("A title\n\nand text").rest.as_deref(), Some("and text"));
        assert_eq!(split("").summary, None);
    }

    #[test]
    fn lines_of_a_paragraph_are_joined_and_lists_are_kept() {
        let comment = " One line,\n and its end.\n\n - first\n   goes on\n - second\n\n ```\n a\n  b\n ```\n";
        assert_eq!(prose(comment), "One line, and its end.\n\n- first goes on\n- second\n\n```\na\n b\n```");
    }

    #[test]
    fn linters_are_not_quoted() {
        let comment = " Says hello.\n buf:lint:ignore RPC_NAME\n (-- api-linter: core::0131=disabled\n     aip.dev/not-precedent: so it is --)\n";
        assert_eq!(prose(comment), "Says hello.");
    }
}
