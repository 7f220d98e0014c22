//! Text as HTML. It knows nothing of what the pages say.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a segment of a link must not hold as it is (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A template whose `{name}`s are replaced by these values, in one pass: braces in a value are left alone.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut pieces = template.split('{');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('}').unwrap_or((piece, ""));
        let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        filled += value.unwrap_or_default();
        filled += rest;
    }
    filled
}

/// Text as it may stand in HTML, also in an attribute between double quotes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Prose as paragraphs, of a class if one is given. Of Markdown it knows what stands between backticks.
pub(super) fn paragraphs(class: &str, text: &str) -> String {
    let open = if class.is_empty() { "<p>".to_owned() } else { format!("<p class=\"{class}\">") };
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(|paragraph| format!("{open}{}</p>\n", prose(paragraph))).collect()
}

/// Prose as HTML: what stands between backticks is code; a backtick without a partner stays.
pub(super) fn prose(text: &str) -> String {
    let html = escape(text);
    let mut parts = html.split('`');
    let mut marked = parts.next().unwrap_or_default().to_owned();
    while let Some(inside) = parts.next() {
        match parts.next() {
            Some(outside) => marked += &format!("<code>{inside}</code>{outside}"),
            None => marked += &format!("`{inside}"),
        }
    }
    marked
}

/// Text as a segment of a link.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
