//! URIs, after the grammar of RFC 3986, appendix A, and RFC 6874 for zones.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;

/// A URI: a scheme and what follows.
pub(super) fn is_uri(text: &str) -> bool {
    match text.split_once(':') {
        Some((scheme, rest)) => is_scheme(scheme) && is_rest(rest, true),
        None => false,
    }
}

/// A URI, or a reference relative to one.
pub(super) fn is_reference(text: &str) -> bool {
    is_uri(text) || is_rest(text, false)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// `//authority/path?query#fragment`, each part but the path optional.
fn is_rest(text: &str, has_scheme: bool) -> bool {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (hierarchy, query) = text.split_once('?').unwrap_or((text, ""));
    if !is_of(fragment, b":@/?") || !is_of(query, b":@/?") {
        return false;
    }
    match hierarchy.strip_prefix("//") {
        Some(rest) => {
            let at = rest.find('/').unwrap_or(rest.len());
            is_authority(&rest[..at]) && is_of(&rest[at..], b":@/")
        }
        None => {
            // Without a scheme, a colon in the first segment would make one.
            let first = hierarchy.split('/').next().unwrap_or_default();
            is_of(hierarchy, b":@/") && (has_scheme || !first.contains(':'))
        }
    }
}

fn is_authority(text: &str) -> bool {
    let host_and_port = match text.rsplit_once('@') {
        Some((user, _)) if !is_of(user, b":") => return false,
        Some((_, rest)) => rest,
        None => text,
    };
    let (is_host, port) = match host_and_port.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((literal, after)) => (is_literal(literal), after),
            None => return false,
        },
        None => {
            let at = host_and_port.find(':').unwrap_or(host_and_port.len());
            (is_registered_name(&host_and_port[..at]), &host_and_port[at..])
        }
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    is_host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Percent-encoded octets of a name are UTF-8 (section 3.2.2).
fn is_registered_name(text: &str) -> bool {
    is_of(text, b"") && percent_decode_str(text).decode_utf8().is_ok()
}

/// What stands in brackets: an IPv6 address, perhaps with a zone, or an address of a version to come.
fn is_literal(text: &str) -> bool {
    if let Some(future) = text.strip_prefix(['v', 'V']) {
        let digits_and_rest = future.split_once('.');
        return digits_and_rest.is_some_and(|(digits, rest)| {
            !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !rest.is_empty()
                && !rest.contains('%')
                && is_of(rest, b":")
        });
    }
    let (address, is_zone) = match text.split_once("%25") {
        Some((address, zone)) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
            let is_text = percent_decode_str(zone).decode_utf8().is_ok();
            (address, !zone.is_empty() && zone.bytes().all(plain) && is_of(zone, b"") && is_text)
        }
        None => (text, true),
    };
    is_zone && address.parse::<Ipv6Addr>().is_ok()
}

/// Whether a text is of unreserved characters, sub-delimiters, percent-encoded octets, and those of `others`.
fn is_of(text: &str, others: &[u8]) -> bool {
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => tail,
            (b'%', _) => return false,
            (byte, tail) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => tail,
            (byte, tail) if others.contains(byte) => tail,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_are_uris() {
        for text in [
            "ftp://ftp.is.co.za/rfc/rfc1808.txt",
            "http://www.ietf.org/rfc/rfc2396.txt",
            "ldap://[2001:db8::7]/c=GB?objectClass?one",
            "mailto:John.Doe@example.com",
            "news:comp.infosystems.www.servers.unix",
            "tel:+1-816-555-1212",
            "telnet://192.0.2.16:80/",
            "urn:oasis:names:specification:docbook:dtd:xml:4.1.2",
            "http://[fe80::1%25en0]/",
            "http://[v1.a:b]/",
            "a:",
            "a://",
            "http://user:pass@host:/",
            "http://%C3%A4/",
        ] {
            assert!(is_uri(text), "{text}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_no_uri() {
        for text in [
            "http://[fe80::1%25]/",
            "http://[::1]x",
            "http://a:b@c@d/",
            "http://%FF/",
            "a:%",
            "a:%4",
            "a:\"",
            "a:[",
            "a:b c",
            "a:ä",
            "http://h:8a",
            ":a",
            "-a:b",
            "a:#b#c",
            "http://[v.a]/",
            "http://[1.2.3.4]/",
        ] {
            assert!(!is_uri(text), "{text}");
        }
    }
}
