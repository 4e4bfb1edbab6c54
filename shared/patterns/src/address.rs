//! IP addresses and blocks as patterns compare them.
//!
//! A block starts at the address that is written, not at the block's first: `10.0.0.7/24` is 10.0.0.7 to 10.0.0.255.
//! A mask must leave at least one bit free.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An address; the two families never equal each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    V4(u32),
    V6(u128),
}

/// Reads a literal address. Each part of an IPv4 address may have leading zeros and is decimal all the same.
pub fn parse(text: &str) -> Option<Address> {
    if looks_like_v4(text) {
        let mut parts = [0u8; 4];
        for (part, text) in parts.iter_mut().zip(text.split('.')) {
            let digits = text.trim_start_matches('0');
            *part = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        }
        return Some(Address::V4(u32::from(Ipv4Addr::from(parts))));
    }
    if !looks_like_v6(text) {
        return None;
    }
    let address: Ipv6Addr = text.parse().ok()?;
    Some(match address.to_ipv4_mapped() {
        Some(v4) => Address::V4(v4.into()),
        None => Address::V6(address.into()),
    })
}

fn looks_like_v4(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 3
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn looks_like_v6(text: &str) -> bool {
    text.contains(':') && text.bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit())
}

/// Reads a block; gives its first and last address, or what is wrong in AWS's words.
pub fn parse_block(text: &str) -> Result<(Address, Address), String> {
    let parts: Vec<&str> = text.split('/').collect();
    let [address, mask] = parts.as_slice() else {
        return Err("Malformed CIDR, one '/' required".to_owned());
    };
    let mask: i32 = mask.parse().map_err(|_| "Malformed CIDR, mask bits must be an integer".to_owned())?;
    let mask = u32::try_from(mask).map_err(|_| "Malformed CIDR, mask bits must not be negative".to_owned())?;
    match parse(address) {
        Some(Address::V4(_)) if mask > 31 => Err("IPv4 mask bits must be < 32".to_owned()),
        Some(Address::V6(_)) if mask > 127 => Err("IPv6 mask bits must be < 128".to_owned()),
        Some(Address::V4(first)) => Ok((Address::V4(first), Address::V4(first | (u32::MAX >> mask)))),
        Some(Address::V6(first)) => Ok((Address::V6(first), Address::V6(first | (u128::MAX >> mask)))),
        None if looks_like_v4(address) || looks_like_v6(address) => Err(format!("Invalid IP address: {address}")),
        None => Err(format!("Nonstandard IP address: {address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_start_at_the_written_address() {
        let block = |text| parse_block(text).unwrap();
        let v4 = |text: &str| parse(text).unwrap();
        assert_eq!(block("10.0.0.0/24"), (v4("10.0.0.0"), v4("10.0.0.255")));
        assert_eq!(block("10.0.0.7/24"), (v4("10.0.0.7"), v4("10.0.0.255")));
        assert_eq!(block("0.0.0.0/0"), (v4("0.0.0.0"), v4("255.255.255.255")));
        assert_eq!(block("2001:db8::/32"), (v4("2001:db8::"), v4("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")));
    }

    #[test]
    fn bad_blocks_are_told() {
        let cases = [
            ("10.0.0.0", "Malformed CIDR, one '/' required"),
            ("10.0.0.0/x", "Malformed CIDR, mask bits must be an integer"),
            ("10.0.0.0/-1", "Malformed CIDR, mask bits must not be negative"),
            ("10.0.0.0/32", "IPv4 mask bits must be < 32"),
            ("::1/128", "IPv6 mask bits must be < 128"),
            ("example.com/8", "Nonstandard IP address: example.com"),
            ("300.0.0.0/8", "Invalid IP address: 300.0.0.0"),
        ];
        for (text, message) in cases {
            assert_eq!(parse_block(text).unwrap_err(), message);
        }
    }

    #[test]
    fn one_address_has_several_writings() {
        assert_eq!(parse("::1"), parse("0:0:0:0:0:0:0:1"));
        assert_eq!(parse("010.0.0.1"), parse("10.0.0.1"));
        assert_eq!(parse("::ffff:a00:1"), parse("10.0.0.1"));
        for text in ["", "10.0.0", "10.0.0.256", "a.b.c.d", "12:30", "localhost"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
