//! A path template, flattened: its pieces in order, and which of them each variable spans.

use http_path_template::{Grammar, PathTemplate, Segment};
use percent_encoding::percent_decode_str;

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(Box<str>),
    /// `*`: one segment that is not empty.
    Single,
    /// `**`: any number of segments, none included. At most one in a template.
    Rest,
}

/// A path segment is percent-encoded wrongly, or not UTF-8 once decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path is not percent-encoded UTF-8")]
pub(crate) struct BadEncoding;

#[derive(Debug)]
pub(super) struct Template {
    pub(super) pieces: Vec<Piece>,
    pub(super) verb: Option<Box<str>>,
    /// Field path, first piece, number of pieces.
    variables: Vec<(Box<str>, usize, usize)>,
}

impl Template {
    pub(super) fn parse(template: &str) -> Result<Self, String> {
        // The grammar wants `**` last, but the transcoders in use take segments behind it too. It is parsed as `*` and put
        // back: pieces and slashes correspond one to one.
        let rest = template.find("**").map(|at| template[..at].matches('/').count().saturating_sub(1));
        let strict = template.replacen("**", "*", 1);
        if strict.contains("**") {
            return Err("there may be one `**` in a path".to_owned());
        }
        let parsed = PathTemplate::parse(&strict, Grammar::default()).map_err(|error| error.to_string())?;
        let mut pieces = Vec::new();
        let mut variables = Vec::new();
        for segment in parsed.segments() {
            if let Segment::Variable(variable) = segment {
                let first = pieces.len();
                for inner in variable.segments() {
                    pieces.push(piece(&inner)?);
                }
                variables.push((variable.field_path().into(), first, pieces.len() - first));
            } else {
                pieces.push(piece(segment)?);
            }
        }
        if let Some(at) = rest
            && let Some(piece) = pieces.get_mut(at)
        {
            *piece = Piece::Rest;
        }
        Ok(Self { pieces, verb: parsed.verb().map(Into::into), variables })
    }

    /// The field paths of the variables, in order.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|(path, ..)| &**path)
    }

    /// The pieces that each variable spans, in the same order.
    pub(super) fn spans(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.variables.iter().map(|(_, first, count)| *first..first + count)
    }

    /// The text of each variable in a raw path that is known to match.
    ///
    /// A variable of one segment is decoded whole. In one of several segments `%2F` stays as it is, so that a slash in
    /// a segment is not taken for one between segments (google/api/http.proto, "Path template syntax"), unless `fully`.
    pub(super) fn captures(&self, path: &str, fully: bool) -> Result<Vec<String>, BadEncoding> {
        if self.variables.is_empty() {
            return Ok(Vec::new());
        }
        let path = match &self.verb {
            Some(verb) => path.strip_suffix(&**verb).and_then(|path| path.strip_suffix(':')).unwrap_or(path),
            None => path,
        };
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let mut values = Vec::with_capacity(self.variables.len());
        let rest = self.pieces.iter().position(|piece| *piece == Piece::Rest).unwrap_or(self.pieces.len());
        // What stands behind `**` is counted from the end of the path.
        let place = |piece: usize| {
            if piece > rest { (segments.len() + piece).saturating_sub(self.pieces.len()) } else { piece }
        };
        for (_, first, count) in &self.variables {
            let last = first + count;
            let single = matches!(self.pieces[*first..last], [Piece::Single | Piece::Literal(_)]);
            let spanned = segments.get(place(*first)..place(last)).unwrap_or_default();
            if single {
                values.push(decode(spanned.first().copied().unwrap_or_default())?);
                continue;
            }
            let decoded: Result<Vec<String>, _> =
                spanned.iter().map(|segment| if fully { decode(segment) } else { decode_but_slash(segment) }).collect();
            values.push(decoded?.join("/"));
        }
        Ok(values)
    }
}

fn piece(segment: &Segment<'_>) -> Result<Piece, String> {
    match segment {
        Segment::Literal(text) => Ok(Piece::Literal(decode(text).map_err(|error| error.to_string())?.into())),
        Segment::Single => Ok(Piece::Single),
        _ => Err("this kind of segment is not part of google.api.http".to_owned()),
    }
}

/// Decodes a segment; a `%` that is not followed by two hexadecimal digits is an error.
pub(crate) fn decode(segment: &str) -> Result<String, BadEncoding> {
    check_escapes(segment)?;
    percent_decode_str(segment).decode_utf8().map(Into::into).map_err(|_| BadEncoding)
}

fn decode_but_slash(segment: &str) -> Result<String, BadEncoding> {
    check_escapes(segment)?;
    let mut out = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some(at) = rest.to_ascii_uppercase().find("%2F") {
        out.push_str(&decode(&rest[..at])?);
        out.push_str(&rest[at..at + 3]);
        rest = &rest[at + 3..];
    }
    out.push_str(&decode(rest)?);
    Ok(out)
}

pub(crate) fn check_escapes(text: &str) -> Result<(), BadEncoding> {
    let bytes = text.as_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'%') {
        let digits = bytes.get(at + 1..at + 3).ok_or(BadEncoding)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(BadEncoding);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures(template: &str, path: &str) -> Vec<String> {
        Template::parse(template).unwrap().captures(path, false).unwrap()
    }

    #[test]
    fn variables_are_decoded_once() {
        assert_eq!(captures("/v1/{id}", "/v1/a%2Fb"), ["a/b"]);
        assert_eq!(captures("/v1/{id}", "/v1/a%252Fb"), ["a%2Fb"]);
        assert_eq!(captures("/v1/{id=**}", "/v1/a/b%2fc/d%20e"), ["a/b%2fc/d e"]);
        assert_eq!(Template::parse("/v1/{id=**}").unwrap().captures("/v1/a%2Fb/c", true).unwrap(), ["a/b/c"]);
        assert_eq!(captures("/v1/{id=**}", "/v1"), [""]);
        assert_eq!(captures("/v1/{id=**}/x/{last}", "/v1/a/b/x/c"), ["a/b", "c"]);
        assert_eq!(captures("/v1/{id=a/**/b}:do", "/v1/a/1/2/b:do"), ["a/1/2/b"]);
        assert_eq!(captures("/v1/**/{last}", "/v1/c"), ["c"]);
        assert_eq!(captures("/v1/{name=a/*/b/*}:do", "/v1/a/1/b/2:do"), ["a/1/b/2"]);
        assert_eq!(captures("/v1/{a}/x/{b.c}", "/v1/1/x/2"), ["1", "2"]);
        assert_eq!(captures("/v1/{id}", "/v1/a+b"), ["a+b"]);
    }

    #[test]
    fn a_second_rest_is_refused() {
        assert!(Template::parse("/v1/**/a/**").is_err());
        assert!(Template::parse("/v1/***").is_err());
    }

    #[test]
    fn bad_escapes_are_refused() {
        let template = Template::parse("/v1/{id}").unwrap();
        for path in ["/v1/%", "/v1/%2", "/v1/%zz", "/v1/%ff"] {
            assert_eq!(template.captures(path, false), Err(BadEncoding), "{path}");
        }
    }
}
