//! Forms of text that are known by name: addresses, hosts, identifiers.
//!
//! Each is defined by a standard that is cited where it is checked. An empty text is reported apart from a wrong one.

mod network;
mod uri;

/// A form known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Email,
    Hostname,
    Ip,
    Ipv4,
    Ipv6,
    Uri,
    UriReference,
    Address,
    Uuid,
    TrimmedUuid,
    IpWithPrefixLength,
    Ipv4WithPrefixLength,
    Ipv6WithPrefixLength,
    IpPrefix,
    Ipv4Prefix,
    Ipv6Prefix,
    HostAndPort,
    Ulid,
    ProtobufName,
    DottedProtobufName,
    HeaderName { strict: bool },
    HeaderValue { strict: bool },
}

impl Form {
    /// The form that a field of `StringRules.well_known` names.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "email" => Self::Email,
            "hostname" => Self::Hostname,
            "ip" => Self::Ip,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "uri" => Self::Uri,
            "uri_ref" => Self::UriReference,
            "address" => Self::Address,
            "uuid" => Self::Uuid,
            "tuuid" => Self::TrimmedUuid,
            "ip_with_prefixlen" => Self::IpWithPrefixLength,
            "ipv4_with_prefixlen" => Self::Ipv4WithPrefixLength,
            "ipv6_with_prefixlen" => Self::Ipv6WithPrefixLength,
            "ip_prefix" => Self::IpPrefix,
            "ipv4_prefix" => Self::Ipv4Prefix,
            "ipv6_prefix" => Self::Ipv6Prefix,
            "host_and_port" => Self::HostAndPort,
            "ulid" => Self::Ulid,
            "protobuf_fqn" => Self::ProtobufName,
            "protobuf_dot_fqn" => Self::DottedProtobufName,
            _ => return None,
        })
    }

    pub(crate) fn fits(self, text: &str) -> bool {
        match self {
            Self::Email => is_email(text),
            Self::Hostname => network::is_hostname(text),
            Self::Ip => network::is_ipv4(text) || network::is_ipv6(text),
            Self::Ipv4 => network::is_ipv4(text),
            Self::Ipv6 => network::is_ipv6(text),
            Self::Uri => uri::is_uri(text),
            Self::UriReference => uri::is_reference(text),
            Self::Address => network::is_hostname(text) || network::is_ipv4(text) || network::is_ipv6(text),
            Self::Uuid => is_uuid(text),
            Self::TrimmedUuid => text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
            Self::IpWithPrefixLength => network::is_ipv4_prefix(text, false) || network::is_ipv6_prefix(text, false),
            Self::Ipv4WithPrefixLength => network::is_ipv4_prefix(text, false),
            Self::Ipv6WithPrefixLength => network::is_ipv6_prefix(text, false),
            Self::IpPrefix => network::is_ipv4_prefix(text, true) || network::is_ipv6_prefix(text, true),
            Self::Ipv4Prefix => network::is_ipv4_prefix(text, true),
            Self::Ipv6Prefix => network::is_ipv6_prefix(text, true),
            Self::HostAndPort => network::is_host_and_port(text),
            Self::Ulid => is_ulid(text),
            Self::ProtobufName => text.split('.').all(is_identifier),
            Self::DottedProtobufName => text.strip_prefix('.').is_some_and(|name| name.split('.').all(is_identifier)),
            Self::HeaderName { strict } => is_header_name(text, strict),
            Self::HeaderValue { strict } => is_header_value(text, strict),
        }
    }

    /// The id of the rule that `text` breaks, and what is wrong.
    pub(crate) fn describe(self, text: &str) -> (&'static str, String) {
        let (id, empty, name) = match self {
            Self::Email => ("string.email", "string.email_empty", "an e-mail address"),
            Self::Hostname => ("string.hostname", "string.hostname_empty", "the name of a host"),
            Self::Ip => ("string.ip", "string.ip_empty", "an IP address"),
            Self::Ipv4 => ("string.ipv4", "string.ipv4_empty", "an IPv4 address"),
            Self::Ipv6 => ("string.ipv6", "string.ipv6_empty", "an IPv6 address"),
            Self::Uri => ("string.uri", "string.uri_empty", "a URI"),
            Self::UriReference => ("string.uri_ref", "string.uri_ref", "a URI or a relative reference"),
            Self::Address => ("string.address", "string.address_empty", "the name of a host or an IP address"),
            Self::Uuid => ("string.uuid", "string.uuid_empty", "a UUID"),
            Self::TrimmedUuid => ("string.tuuid", "string.tuuid_empty", "a UUID without hyphens"),
            Self::IpWithPrefixLength => {
                ("string.ip_with_prefixlen", "string.ip_with_prefixlen_empty", "an IP address with a prefix length")
            }
            Self::Ipv4WithPrefixLength => (
                "string.ipv4_with_prefixlen",
                "string.ipv4_with_prefixlen_empty",
                "an IPv4 address with a prefix length",
            ),
            Self::Ipv6WithPrefixLength => (
                "string.ipv6_with_prefixlen",
                "string.ipv6_with_prefixlen_empty",
                "an IPv6 address with a prefix length",
            ),
            Self::IpPrefix => ("string.ip_prefix", "string.ip_prefix_empty", "an IP prefix"),
            Self::Ipv4Prefix => ("string.ipv4_prefix", "string.ipv4_prefix_empty", "an IPv4 prefix"),
            Self::Ipv6Prefix => ("string.ipv6_prefix", "string.ipv6_prefix_empty", "an IPv6 prefix"),
            Self::HostAndPort => ("string.host_and_port", "string.host_and_port_empty", "a host and a port"),
            Self::Ulid => ("string.ulid", "string.ulid_empty", "a ULID"),
            Self::ProtobufName => {
                ("string.protobuf_fqn", "string.protobuf_fqn_empty", "the full name of a protobuf element")
            }
            Self::DottedProtobufName => (
                "string.protobuf_dot_fqn",
                "string.protobuf_dot_fqn_empty",
                "the full name of a protobuf element with a leading dot",
            ),
            Self::HeaderName { .. } => (
                "string.well_known_regex.header_name",
                "string.well_known_regex.header_name_empty",
                "the name of an HTTP header",
            ),
            Self::HeaderValue { .. } => (
                "string.well_known_regex.header_value",
                "string.well_known_regex.header_value",
                "the value of an HTTP header",
            ),
        };
        (if text.is_empty() { empty } else { id }, format!("must be {name}"))
    }
}

/// Source: <https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address>.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    !local.is_empty() && local.bytes().all(is_local) && domain.split('.').all(network::is_label)
}

/// Source: <https://www.rfc-editor.org/rfc/rfc9562#section-4>.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Source: <https://github.com/ulid/spec#encoding>.
fn is_ulid(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() && !b"ILOUilou".contains(&byte);
    text.len() == 26 && matches!(text.as_bytes()[0], b'0'..=b'7') && text.bytes().all(is_digit)
}

/// Source: <https://protobuf.dev/reference/protobuf/proto3-spec/#identifiers>; a leading underscore is taken too.
fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Source: <https://www.rfc-editor.org/rfc/rfc9110#section-5.1>; HTTP/2's pseudo-headers begin with a colon.
fn is_header_name(text: &str, strict: bool) -> bool {
    if !strict {
        return !text.is_empty() && !text.contains(['\0', '\n', '\r']);
    }
    let name = text.strip_prefix(':').unwrap_or(text);
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_letter)
}

/// Source: <https://www.rfc-editor.org/rfc/rfc9110#section-5.5>.
fn is_header_value(text: &str, strict: bool) -> bool {
    if !strict {
        return !text.contains(['\0', '\n', '\r']);
    }
    !text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_tell_right_from_wrong() {
        let cases: [(&str, &[&str], &[&str]); 14] = [
            ("email", &["a@b", "a.b+c@example.com"], &["a", "@b", "a@", "a@-b", "a b@c", "a@b..c"]),
            ("hostname", &["a", "a-b.example.", "1.a"], &[".", "-a", "a..b", "a.1", "a_b", "ä"]),
            ("ip", &["1.2.3.4", "::1", "fe80::1%eth0"], &["1.2.3", "01.2.3.4", "::g", "fe80::1%", "1.2.3.4/8"]),
            (
                "uri",
                &["a:b", "https://x.org/p?q#f", "https://[::1]:80/"],
                &["/p", "x", "http://a b", "http://[::1", "1a:b"],
            ),
            ("uri_ref", &["/p", "", "?q", "#f", "a/b:c", "//host/p"], &["a b", "1a:b", "%zz", "//h:port"]),
            ("address", &["example.com", "1.2.3.4", "::1"], &["1.2.3.4.5", "-"]),
            ("uuid", &["01234567-89ab-cdef-0123-456789ABCDEF"], &["0123456789abcdef0123456789abcdef", "x"]),
            ("tuuid", &["0123456789abcdef0123456789abcdef"], &["0123456789abcdef0123456789abcde"]),
            ("ip_with_prefixlen", &["10.0.0.7/8", "::1/64"], &["10.0.0.7", "10.0.0.7/33", "10.0.0.7/08", "::1%a/64"]),
            ("ip_prefix", &["10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"], &["10.0.0.7/8", "2001:db8::1/32"]),
            (
                "host_and_port",
                &["a.org:80", "1.2.3.4:0", "[::1]:65535"],
                &["a.org", "a:65536", "::1:80", "a:080", "[::1]"],
            ),
            ("ulid", &["01ARZ3NDEKTSV4RRFFQ69G5FAV"], &["81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU"]),
            ("protobuf_fqn", &["a.B._c1"], &[".a", "a..b", "1a", "a."]),
            ("protobuf_dot_fqn", &[".a.B"], &["a.B", "."]),
        ];
        for (name, right, wrong) in cases {
            let form = Form::named(name).unwrap();
            for text in right {
                assert!(form.fits(text), "{name}: {text}");
            }
            for text in wrong {
                assert!(!form.fits(text), "{name}: {text}");
                assert_eq!(form.describe(text).0, format!("string.{name}"));
            }
            assert!(form.fits("") == (name == "uri_ref"), "{name}");
        }
        assert_eq!(Form::Email.describe("").0, "string.email_empty");
    }

    #[test]
    fn headers_hold_nothing_that_ends_a_line() {
        for (text, strict, loose) in [
            ("content-type", true, true),
            (":path", true, true),
            ("a b", false, true),
            ("a\nb", false, false),
            (":", false, true),
        ] {
            assert_eq!(Form::HeaderName { strict: true }.fits(text), strict, "{text}");
            assert_eq!(Form::HeaderName { strict: false }.fits(text), loose, "{text}");
        }
        assert!(Form::HeaderValue { strict: true }.fits("") && Form::HeaderValue { strict: true }.fits("a\tb"));
        assert!(
            !Form::HeaderValue { strict: true }.fits("a\x07b") && Form::HeaderValue { strict: false }.fits("a\x07b")
        );
        assert!(!Form::HeaderValue { strict: false }.fits("a\rb"));
    }
}
