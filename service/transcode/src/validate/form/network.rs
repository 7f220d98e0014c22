//! Names of hosts and IP addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A name of labels, the last of which is not a number (RFC 1123, section 2.1).
pub(super) fn is_hostname(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// A part of a host's name (RFC 1034, section 3.5).
pub(super) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

pub(super) fn is_ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

/// An address, with or without a zone (RFC 4007, section 11).
pub(super) fn is_ipv6(text: &str) -> bool {
    let address = match text.split_once('%') {
        Some((_, "")) => return false,
        Some((address, _)) => address,
        None => text,
    };
    address.parse::<Ipv6Addr>().is_ok()
}

/// An address and the length of its prefix; `bare` if the bits behind the prefix have to be zero (RFC 4632, section 3.1).
pub(super) fn is_ipv4_prefix(text: &str, bare: bool) -> bool {
    let Some((address, length)) = prefix(text, 32) else {
        return false;
    };
    let host_bits = u32::MAX.checked_shr(length).unwrap_or(0);
    address.parse::<Ipv4Addr>().is_ok_and(|address| !bare || address.to_bits() & host_bits == 0)
}

/// The same for IPv6 (RFC 4291, section 2.3). A zone has no prefix.
pub(super) fn is_ipv6_prefix(text: &str, bare: bool) -> bool {
    let Some((address, length)) = prefix(text, 128) else {
        return false;
    };
    let host_bits = u128::MAX.checked_shr(length).unwrap_or(0);
    address.parse::<Ipv6Addr>().is_ok_and(|address| !bare || address.to_bits() & host_bits == 0)
}

fn prefix(text: &str, longest: u32) -> Option<(&str, u32)> {
    let (address, length) = text.split_once('/')?;
    Some((address, decimal(length, longest)?))
}

/// A name or an address, and a port.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(is_ipv6),
        None => is_hostname(host) || is_ipv4(host),
    };
    is_host && decimal(port, 65_535).is_some()
}

/// A number without leading zeros.
fn decimal(text: &str, largest: u32) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?.filter(|number| *number <= largest)
}
