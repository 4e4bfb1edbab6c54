//! The one message of the hand-off socket: a connection (as ancillary data), who it is from, its key, and the bytes
//! that the router has read from it.
//!
//! `version u8 | family u8 (4, 6) | address 4 or 16 | port u16 | key | the bytes read, to the end`. The socket keeps
//! message boundaries (SOCK_SEQPACKET), so one packet is one connection and half a packet is never seen.

use std::net::{IpAddr, SocketAddr};

use crate::key::RouteKey;

/// The most the router may have read before it hands a connection over. It bounds a request's head.
pub const MAX_READ_AHEAD_BYTES: usize = 64 * 1024;

/// Room for the key (four texts, in the worst case as long as the head itself) beside the bytes read.
pub(crate) const MAX_PACKET_BYTES: usize = 2 * MAX_READ_AHEAD_BYTES + 1024;

const VERSION: u8 = 1;

/// A packet that is none of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PacketError {
    #[error("the hand-off packet is cut short or malformed")]
    Malformed,
    #[error("the hand-off packet has version {0}, not {VERSION}: the router and the service are of different releases")]
    OtherVersion(u8),
}

pub(crate) fn encode(peer: SocketAddr, key: &RouteKey, read: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(128 + read.len());
    packet.push(VERSION);
    match peer.ip() {
        IpAddr::V4(address) => {
            packet.push(4);
            packet.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            packet.push(6);
            packet.extend_from_slice(&address.octets());
        }
    }
    packet.extend_from_slice(&peer.port().to_be_bytes());
    key.encode(&mut packet);
    packet.extend_from_slice(read);
    packet
}

/// The peer, the key, and where in the packet the bytes read begin.
pub(crate) fn decode(packet: &[u8]) -> Result<(SocketAddr, RouteKey, usize), PacketError> {
    let mut rest = packet;
    let version = take::<1>(&mut rest)?[0];
    if version != VERSION {
        return Err(PacketError::OtherVersion(version));
    }
    let address: IpAddr = match take::<1>(&mut rest)?[0] {
        4 => take::<4>(&mut rest)?.into(),
        6 => take::<16>(&mut rest)?.into(),
        _ => return Err(PacketError::Malformed),
    };
    let port = u16::from_be_bytes(take::<2>(&mut rest)?);
    let key = RouteKey::decode(&mut rest).ok_or(PacketError::Malformed)?;
    Ok((SocketAddr::new(address, port), key, packet.len() - rest.len()))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], PacketError> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(PacketError::Malformed)?;
    *rest = left;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Depth, RouteFacts};

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        let facts = RouteFacts::of("GET", Some("b.s3.localhost:4566"), "/k?x", std::iter::empty());
        let key = RouteKey::new(&facts, Depth::Host);
        for peer in ["127.0.0.1:1", "[::1]:65535"] {
            let peer: SocketAddr = peer.parse().unwrap();
            let packet = encode(peer, &key, b"GET /k?x HTTP/1.1\r\n\r\n");
            let (read_peer, read_key, at) = decode(&packet).unwrap();
            assert_eq!((read_peer, &read_key), (peer, &key));
            assert_eq!(&packet[at..], b"GET /k?x HTTP/1.1\r\n\r\n");
        }
    }

    #[test]
    fn another_version_is_named() {
        assert_eq!(decode(&[9, 4]), Err(PacketError::OtherVersion(9)));
    }

    proptest::proptest! {
        #[test]
        fn no_packet_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
            let _ = decode(&bytes);
        }
    }
}
