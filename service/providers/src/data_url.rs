//! `data:` URLs: bytes that a request carries itself.
//!
//! Source: RFC 2397.

/// A `data:` URL whose bytes are in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataUrl<'a> {
    /// What the bytes are, without parameters: `image/png`.
    pub(crate) media_type: &'a str,
    /// The bytes, in base64.
    pub(crate) base64: &'a str,
}

impl<'a> DataUrl<'a> {
    /// Takes a URL apart. `None` if it is no `data:` URL in base64.
    pub(crate) fn parse(url: &'a str) -> Option<Self> {
        let scheme = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:"))?;
        let (head, base64) = url[scheme.len()..].split_once(',')?;
        let (kind, coding) = head.rsplit_once(';')?;
        if !coding.eq_ignore_ascii_case("base64") {
            return None;
        }
        let media_type = kind.split(';').next().unwrap_or_default();
        Some(Self { media_type: if media_type.is_empty() { "text/plain" } else { media_type }, base64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_taken_apart_and_others_are_none() {
        let parse = |url| DataUrl::parse(url).map(|url| (url.media_type, url.base64));
        assert_eq!(parse("data:image/png;base64,iVBO"), Some(("image/png", "iVBO")));
        assert_eq!(parse("DATA:text/plain;charset=utf-8;BASE64,QQ=="), Some(("text/plain", "QQ==")));
        assert_eq!(parse("data:;base64,QQ=="), Some(("text/plain", "QQ==")));
        for other in ["https://h/x.png", "data:text/plain,hello", "data:", "", "dät"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
