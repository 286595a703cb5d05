//! One packet of a capture: what of it is TCP.
//!
//! Link layers are Ethernet (with VLAN tags), Linux "cooked" captures, loopback and bare IP; the
//! headers are read by etherparse.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};

use crate::cli::inspect::tcp::Segment;

/// A TCP segment and who exchange it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) segment: Segment<'a>,
    pub(super) ack: Option<u32>,
    pub(super) fin: bool,
    pub(super) rst: bool,
}

/// Why a packet is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Useless {
    /// Not TCP over IP, which is no fault.
    Other,
    /// A fragment of an IP packet, which is not put together.
    Fragment,
    /// Too short for its headers, or malformed.
    Malformed,
    /// A link layer that is not understood.
    LinkType(i32),
}

/// The numbers of link layers (tcpdump.org/linktypes.html).
mod link {
    pub(super) const NULL: i32 = 0;
    pub(super) const ETHERNET: i32 = 1;
    /// Bare IP, as some systems number it in captures.
    pub(super) const RAW_BSD: i32 = 12;
    pub(super) const RAW_OPENBSD: i32 = 14;
    pub(super) const RAW: i32 = 101;
    pub(super) const LOOP: i32 = 108;
    pub(super) const LINUX_SLL: i32 = 113;
    pub(super) const IPV4: i32 = 228;
    pub(super) const IPV6: i32 = 229;
    pub(super) const LINUX_SLL2: i32 = 276;
}

/// Reads a packet of this link layer.
pub(super) fn read(bytes: &[u8], link_type: i32) -> Result<Packet<'_>, Useless> {
    let after = |header: usize| bytes.get(header..).ok_or(Useless::Malformed);
    let sliced = match link_type {
        link::ETHERNET => LaxSlicedPacket::from_ethernet(bytes).map_err(|_| Useless::Malformed)?,
        link::RAW | link::RAW_BSD | link::RAW_OPENBSD | link::IPV4 | link::IPV6 => ip(bytes)?,
        // Four bytes say which family; the version within the IP header says it too.
        link::NULL | link::LOOP => ip(after(4)?)?,
        link::LINUX_SLL => cooked(bytes, 14, after(16)?)?,
        link::LINUX_SLL2 => cooked(bytes, 0, after(20)?)?,
        other => return Err(Useless::LinkType(other)),
    };
    tcp(&sliced)
}

fn ip(bytes: &[u8]) -> Result<LaxSlicedPacket<'_>, Useless> {
    match bytes.first().map(|byte| byte >> 4) {
        Some(4 | 6) => LaxSlicedPacket::from_ip(bytes).map_err(|_| Useless::Malformed),
        _ => Err(Useless::Other),
    }
}

/// A header that has the protocol's number at `at`, and what follows the header.
fn cooked<'a>(bytes: &[u8], at: usize, rest: &'a [u8]) -> Result<LaxSlicedPacket<'a>, Useless> {
    let number = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    let number = u16::from_be_bytes(*number.ok_or(Useless::Malformed)?);
    Ok(LaxSlicedPacket::from_ether_type(EtherType(number), rest))
}

fn tcp<'a>(packet: &LaxSlicedPacket<'a>) -> Result<Packet<'a>, Useless> {
    let net = packet.net.as_ref().ok_or(Useless::Other)?;
    let (from, to, declared, headers): (IpAddr, IpAddr, usize, usize) = match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let size = header.slice().len();
            let total = usize::from(header.total_len());
            let (from, to) = (header.source_addr(), header.destination_addr());
            (from.into(), to.into(), total, size)
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let size = ip.extensions().slice().len();
            let total = usize::from(header.payload_length());
            let (from, to) = (header.source_addr(), header.destination_addr());
            (from.into(), to.into(), total, size)
        }
        LaxNetSlice::Arp(_) => return Err(Useless::Other),
    };
    let payload = net.ip_payload_ref().ok_or(Useless::Other)?;
    if payload.fragmented {
        return Err(Useless::Fragment);
    }
    let Some(TransportSlice::Tcp(tcp)) = &packet.transport else {
        return Err(
            match (
                payload.ip_number == etherparse::IpNumber::TCP,
                &packet.stop_err,
            ) {
                (true, Some(_)) => Useless::Malformed,
                _ => Useless::Other,
            },
        );
    };
    let missing = match payload.incomplete {
        // What the kernel will cut into packets only later has a length of zero.
        true if declared > 0 => declared.saturating_sub(headers + payload.payload.len()),
        _ => 0,
    };
    Ok(Packet {
        from: SocketAddr::new(from, tcp.source_port()),
        to: SocketAddr::new(to, tcp.destination_port()),
        segment: Segment {
            seq: tcp.sequence_number(),
            syn: tcp.syn(),
            payload: tcp.payload(),
            missing: missing as u64,
        },
        ack: tcp.ack().then(|| tcp.acknowledgment_number()),
        fin: tcp.fin(),
        rst: tcp.rst(),
    })
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::{Useless, link, read};

    fn builder() -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
        PacketBuilder::ethernet2([1; 6], [2; 6])
    }

    fn v4() -> Vec<u8> {
        let mut bytes = Vec::new();
        let packet = builder()
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(1000, 80, 7, 512)
            .ack(9);
        packet.write(&mut bytes, b"hello").unwrap();
        bytes
    }

    fn payload(bytes: &[u8], link_type: i32) -> (String, String, Vec<u8>, u64) {
        let packet = read(bytes, link_type).unwrap();
        assert_eq!((packet.segment.seq, packet.ack), (7, Some(9)));
        let segment = packet.segment;
        (
            packet.from.to_string(),
            packet.to.to_string(),
            segment.payload.to_owned(),
            segment.missing,
        )
    }

    #[test]
    fn link_layers() {
        let ethernet = v4();
        let expected = (
            "10.0.0.1:1000".to_owned(),
            "10.0.0.2:80".to_owned(),
            b"hello".to_vec(),
            0,
        );
        assert_eq!(payload(&ethernet, link::ETHERNET), expected);
        let ip = &ethernet[14..];
        for (link_type, header) in [
            (link::RAW, vec![]),
            (link::IPV4, vec![]),
            (link::NULL, vec![2, 0, 0, 0]),
            (link::LOOP, vec![0, 0, 0, 2]),
            (link::LINUX_SLL, [&[0; 14][..], &[8, 0]].concat()),
            (link::LINUX_SLL2, [&[8, 0][..], &[0; 18]].concat()),
        ] {
            assert_eq!(
                payload(&[&header, ip].concat(), link_type),
                expected,
                "{link_type}"
            );
        }
        let mut tagged = ethernet.clone();
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        assert_eq!(payload(&tagged, link::ETHERNET), expected);
        assert_eq!(read(&ethernet, 105).unwrap_err(), Useless::LinkType(105));
    }

    #[test]
    fn ipv6_and_padding() {
        let mut bytes = Vec::new();
        let packet = builder()
            .ipv6([1; 16], [2; 16], 64)
            .tcp(1000, 80, 7, 512)
            .ack(9);
        packet.write(&mut bytes, b"hello").unwrap();
        // Ethernet pads short frames: that is no payload.
        bytes.extend([0; 6]);
        let (from, _, hello, missing) = payload(&bytes, link::ETHERNET);
        assert_eq!((hello, missing), (b"hello".to_vec(), 0));
        assert_eq!(from, "[101:101:101:101:101:101:101:101]:1000");
    }

    #[test]
    fn what_a_capture_cut_off_is_counted() {
        let bytes = v4();
        for cut in 1..=5 {
            let (.., payload, missing) = payload(&bytes[..bytes.len() - cut], link::ETHERNET);
            assert_eq!((payload.len(), missing), (5 - cut, cut as u64));
        }
        assert_eq!(
            read(&bytes[..bytes.len() - 6], link::ETHERNET).unwrap_err(),
            Useless::Malformed
        );
    }

    #[test]
    fn what_is_not_tcp_is_passed_over() {
        let mut bytes = Vec::new();
        let packet = builder().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2);
        packet.write(&mut bytes, b"hello").unwrap();
        assert_eq!(read(&bytes, link::ETHERNET).unwrap_err(), Useless::Other);
        assert_eq!(read(b"", link::ETHERNET).unwrap_err(), Useless::Malformed);
        assert_eq!(read(b"\x20", link::RAW).unwrap_err(), Useless::Other);
    }
}
