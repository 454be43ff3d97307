//! Which network addresses a stream may go to (THREATS 19).
//!
//! A name that a person types is resolved, and **every** address behind it is judged. Plain RTMP and SRT are then sent
//! to the judged address itself, so that a name that changes its answer cannot reach inside. RTMPS needs the name for
//! its certificate: it is judged again at every start and the certificate must match the name, which an inner service
//! cannot offer for a stranger's name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::TargetUrl;
use crate::error::Error;
use crate::text::Message;

/// How long a name may take to resolve.
const LOOKUP: Duration = Duration::from_secs(10);

/// Where an address lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// On the internet.
    Public,
    /// On this machine or its network: only if the admin allows it.
    Private,
    /// Never a place for a stream: metadata services, multicast, reserved and documentation ranges.
    Never,
}

/// Addresses that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// In the order of the resolver, without doubles.
    pub addresses: Vec<SocketAddr>,
    /// One of them is [`Reach::Private`].
    pub private: bool,
}

/// Why a target cannot be used right now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// The name has no address, or the resolver did not answer.
    #[error("no address for {0}")]
    Unknown(String),
    /// An address behind the name is not for streams.
    #[error("{0} is an inner address")]
    Inner(String),
}

impl AddressFault {
    /// What a person is told.
    pub fn message(&self) -> Message {
        match self {
            AddressFault::Unknown(host) => Message::new("live-host-unknown").with("host", host.as_str()),
            AddressFault::Inner(host) => Message::new("live-address-inner").with("host", host.as_str()),
        }
    }
}

impl From<AddressFault> for Error {
    fn from(fault: AddressFault) -> Self {
        Error::field("url", fault.message())
    }
}

/// Resolves a target's name and judges every address behind it.
///
/// # Errors
/// As [`check_host`].
pub async fn check_address(url: &TargetUrl, allow_private: bool) -> Result<Checked, AddressFault> {
    check_host(url.host(), url.port(), allow_private).await
}

/// Resolves a name, or a literal address without brackets, and judges every address behind it.
///
/// # Errors
/// [`AddressFault::Unknown`] may pass with time; [`AddressFault::Inner`] is a refusal.
pub async fn check_host(host: &str, port: u16, allow_private: bool) -> Result<Checked, AddressFault> {
    let unknown = || AddressFault::Unknown(host.to_owned());
    let found = match host.parse::<IpAddr>() {
        Ok(literal) => vec![SocketAddr::new(literal, port)],
        Err(_) => tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| unknown())?
            .map_err(|_| unknown())?
            .collect(),
    };
    judge(host, found, allow_private)
}

/// Judges an address that is written in figures; nothing for a name.
///
/// # Errors
/// [`AddressFault::Inner`].
pub fn check_literal(host: &str, port: u16, allow_private: bool) -> Option<Result<Checked, AddressFault>> {
    let literal = host.parse::<IpAddr>().ok()?;
    Some(judge(host, vec![SocketAddr::new(literal, port)], allow_private))
}

fn judge(host: &str, found: Vec<SocketAddr>, allow_private: bool) -> Result<Checked, AddressFault> {
    let mut checked = Checked { addresses: Vec::with_capacity(found.len()), private: false };
    for address in found {
        match reach(address.ip()) {
            Reach::Public => {}
            Reach::Private if allow_private => checked.private = true,
            Reach::Private | Reach::Never => return Err(AddressFault::Inner(host.to_owned())),
        }
        if !checked.addresses.contains(&address) {
            checked.addresses.push(address);
        }
    }
    if checked.addresses.is_empty() {
        return Err(AddressFault::Unknown(host.to_owned()));
    }
    Ok(checked)
}

/// Where an address lies, looking through addresses that only carry another one.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        // Metadata services outside link-local: Alibaba, and Azure's wire server on a public address.
        [100, 100, 100, 200] | [168, 63, 129, 16] => Reach::Never,
        [10, ..] | [127, ..] | [192, 168, ..] => Reach::Private,
        [172, b, ..] if (16..32).contains(&b) => Reach::Private,
        [100, b, ..] if (64..128).contains(&b) => Reach::Private,
        // Benchmark range; tunnels and proxies hand it out as a stand-in address.
        [198, 18 | 19, ..] => Reach::Private,
        // "This network", link-local with its metadata service, protocol assignments, documentation, 6to4 relay.
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [192, 0, 2, _] | [192, 88, 99, _] => Reach::Never,
        [198, 51, 100, _] | [203, 0, 113, _] => Reach::Never,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => Reach::Never,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if address == Ipv6Addr::LOCALHOST {
        return Reach::Private;
    }
    let s = address.segments();
    let low = || v4_of(s[6], s[7]);
    match s {
        // ::ffff:a.b.c.d
        [0, 0, 0, 0, 0, 0xffff, ..] => reach_v4(low()),
        // NAT64, the well-known prefix and the local ones.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => reach_v4(low()),
        [0x64, 0xff9b, 1, ..] => reach_v4(low()).max(Reach::Private),
        // 6to4 carries its IPv4 address in the second and third group.
        [0x2002, high, low, ..] => reach_v4(v4_of(high, low)),
        // Metadata services of Amazon and Google inside the unique local range.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => Reach::Never,
        [0xfc00..=0xfdff, ..] => Reach::Private,
        // Protocol assignments with Teredo and ORCHID, documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Never,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Never,
    }
}

fn v4_of(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address_has_its_reach() {
        use Reach::{Never, Private, Public};
        for (address, expected) in [
            ("8.8.8.8", Public),
            ("142.250.4.1", Public),
            ("172.15.0.1", Public),
            ("172.32.0.1", Public),
            ("100.63.0.1", Public),
            ("100.128.0.1", Public),
            ("198.17.0.1", Public),
            ("127.0.0.1", Private),
            ("127.255.1.2", Private),
            ("10.1.2.3", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("100.127.255.255", Private),
            ("198.18.0.1", Private),
            ("0.0.0.0", Never),
            ("0.1.2.3", Never),
            ("169.254.169.254", Never),
            ("100.100.100.200", Never),
            ("168.63.129.16", Never),
            ("192.0.0.192", Never),
            ("192.0.2.1", Never),
            ("198.51.100.7", Never),
            ("203.0.113.9", Never),
            ("192.88.99.1", Never),
            ("224.0.0.1", Never),
            ("239.255.255.255", Never),
            ("240.0.0.1", Never),
            ("255.255.255.255", Never),
            ("2607:f8b0::1", Public),
            ("2a00:1450:4001::1", Public),
            ("::1", Private),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fd00:ec2::254", Never),
            ("fd20:ce::254", Never),
            ("::", Never),
            ("::7f00:1", Never),
            ("fe80::1", Never),
            ("febf::1", Never),
            ("fec0::1", Never),
            ("ff02::1", Never),
            ("2001:db8::1", Never),
            ("3fff::1", Never),
            ("2001::1", Never),
            ("2001:20::1", Never),
            ("100::1", Never),
            ("5f00::1", Never),
            ("::ffff:8.8.8.8", Public),
            ("::ffff:127.0.0.1", Private),
            ("::ffff:169.254.169.254", Never),
            ("64:ff9b::8.8.8.8", Public),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::169.254.169.254", Never),
            ("64:ff9b:1::8.8.8.8", Private),
            ("2002:808:808::1", Public),
            ("2002:7f00:1::1", Private),
            ("2002:a9fe:a9fe::1", Never),
        ] {
            assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn one_inner_address_among_public_ones_refuses_the_name() {
        let found = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = found(&["8.8.8.8:1935", "10.0.0.1:1935"]);
        assert_eq!(judge("x", mixed.clone(), false), Err(AddressFault::Inner("x".into())));
        assert!(judge("x", mixed, true).unwrap().private);
        let metadata = found(&["8.8.8.8:1935", "169.254.169.254:1935"]);
        assert_eq!(judge("x", metadata, true), Err(AddressFault::Inner("x".into())));
        assert_eq!(judge("x", vec![], true), Err(AddressFault::Unknown("x".into())));
        let twice = judge("x", found(&["8.8.8.8:1935", "8.8.8.8:1935"]), false).unwrap();
        assert_eq!((twice.addresses.len(), twice.private), (1, false));
    }

    #[tokio::test]
    async fn odd_spellings_of_loopback_are_seen_through() {
        for host in ["127.1", "2130706433", "0x7f000001", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
            let url = TargetUrl::parse(&format!("rtmp://{host}/live")).unwrap();
            let checked = check_address(&url, false).await;
            assert!(checked.is_err(), "{host}: {checked:?}");
        }
        let url = TargetUrl::parse("rtmp://127.0.0.1:1935/live").unwrap();
        assert!(check_address(&url, true).await.unwrap().private);
    }
}
