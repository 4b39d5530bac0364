//! What an IP address is, whatever it is dressed as.
//!
//! The registries of special addresses (RFC 6890 and its updates) are the
//! source of the tables. Two decisions are ours:
//!
//! - An address that *embeds* an IPv4 address (mapped, compatible, SIIT, 6to4,
//!   NAT64, Teredo) is judged by what it embeds, because a router or the kernel
//!   of this very machine may unpack it. When what it embeds is public, the
//!   mapped form is that public address; every other form is [`Translated`]
//!   and not public, since which device unpacks it is not ours to know.
//! - `private: true` opens networks that an operator runs. It never opens an
//!   address that names no single peer on such a network: 0.0.0.0 reaches this
//!   machine under a name that reviewers overlook, multicast and broadcast
//!   reach many, documentation and reserved ranges reach nobody honest. And it
//!   never opens a metadata service, whose answer is the machine's own
//!   credentials: those addresses need the literal in the rule.
//!
//! [`Translated`]: AddressClass::Translated

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressClass {
    /// A public unicast address.
    Public,
    /// This machine: 127.0.0.0/8, ::1.
    Loopback,
    /// A private network: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16.
    Private,
    /// A unique local address: fc00::/7.
    UniqueLocal,
    /// The link: 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// The former site-local addresses: fec0::/10.
    SiteLocal,
    /// Carrier-grade address translation: 100.64.0.0/10.
    CarrierGrade,
    /// Network benchmarks: 198.18.0.0/15, 2001:2::/48.
    Benchmarking,
    /// An IPv6 address that carries a public IPv4 address.
    Translated,
    /// A cloud's metadata or credential service.
    Metadata,
    /// "This network": 0.0.0.0/8, ::.
    Unspecified,
    /// 224.0.0.0/4, ff00::/8.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// Examples in documents: 192.0.2.0/24 and the like.
    Documentation,
    /// Protocol assignments, future use, and all of IPv6 that is not allotted.
    Reserved,
}

impl AddressClass {
    /// The class in plain words, with an article.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "this machine (loopback)",
            Self::Private => "a private network",
            Self::UniqueLocal => "a unique local network",
            Self::LinkLocal => "the local link",
            Self::SiteLocal => "a site-local network",
            Self::CarrierGrade => "a carrier's internal network (100.64.0.0/10)",
            Self::Benchmarking => "a benchmark network (198.18.0.0/15)",
            Self::Translated => "an IPv4 address inside an IPv6 one",
            Self::Metadata => "a cloud metadata service",
            Self::Unspecified => "the unspecified address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Documentation => "an address for documentation",
            Self::Reserved => "a reserved address",
        }
    }
}

/// May a rule reach an address of this class? `private` is the rule's own flag.
/// [`AddressClass::Metadata`] is never allowed here: only a rule whose host is
/// that very literal reaches it (see [`crate::HttpGrant::admits`]).
pub fn is_allowed(class: AddressClass, private: bool) -> bool {
    match class {
        AddressClass::Public => true,
        AddressClass::Loopback
        | AddressClass::Private
        | AddressClass::UniqueLocal
        | AddressClass::LinkLocal
        | AddressClass::SiteLocal
        | AddressClass::CarrierGrade
        | AddressClass::Benchmarking
        | AddressClass::Translated => private,
        AddressClass::Metadata
        | AddressClass::Unspecified
        | AddressClass::Multicast
        | AddressClass::Broadcast
        | AddressClass::Documentation
        | AddressClass::Reserved => false,
    }
}

/// Classifies an address.
pub fn address_class(ip: IpAddr) -> AddressClass {
    match ip {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) => class_v6(v6),
    }
}

/// Metadata and credential services of the large clouds. The most used one,
/// 169.254.169.254, is shared by AWS, Google, Azure, Oracle, OpenStack and
/// others; 168.63.129.16 (Azure's wire server) lies in public space.
const METADATA_V4: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// First match wins, so a part stands before its whole.
const RANGES_V4: [(Ipv4Net, AddressClass); 16] = [
    (v4(255, 255, 255, 255, 32), AddressClass::Broadcast),
    (v4(0, 0, 0, 0, 8), AddressClass::Unspecified),
    (v4(10, 0, 0, 0, 8), AddressClass::Private),
    (v4(100, 64, 0, 0, 10), AddressClass::CarrierGrade),
    (v4(127, 0, 0, 0, 8), AddressClass::Loopback),
    (v4(169, 254, 0, 0, 16), AddressClass::LinkLocal),
    (v4(172, 16, 0, 0, 12), AddressClass::Private),
    (v4(192, 0, 0, 0, 24), AddressClass::Reserved),
    (v4(192, 0, 2, 0, 24), AddressClass::Documentation),
    (v4(192, 88, 99, 0, 24), AddressClass::Reserved),
    (v4(192, 168, 0, 0, 16), AddressClass::Private),
    (v4(198, 18, 0, 0, 15), AddressClass::Benchmarking),
    (v4(198, 51, 100, 0, 24), AddressClass::Documentation),
    (v4(203, 0, 113, 0, 24), AddressClass::Documentation),
    (v4(224, 0, 0, 0, 4), AddressClass::Multicast),
    (v4(240, 0, 0, 0, 4), AddressClass::Reserved),
];

/// First match wins; only 2000::/3 is allotted to global unicast, so what is
/// in neither table nor there is reserved.
const RANGES_V6: [(Ipv6Net, AddressClass); 8] = [
    (v6(0xfc00, 0, 0, 7), AddressClass::UniqueLocal),
    (v6(0xfe80, 0, 0, 10), AddressClass::LinkLocal),
    (v6(0xfec0, 0, 0, 10), AddressClass::SiteLocal),
    (v6(0xff00, 0, 0, 8), AddressClass::Multicast),
    (v6(0x2001, 0xdb8, 0, 32), AddressClass::Documentation),
    (v6(0x3fff, 0, 0, 20), AddressClass::Documentation),
    (v6(0x2001, 0x2, 0, 48), AddressClass::Benchmarking),
    (v6(0x2001, 0, 0, 23), AddressClass::Reserved),
];

const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

fn class_v4(ip: Ipv4Addr) -> AddressClass {
    if METADATA_V4.contains(&ip) {
        return AddressClass::Metadata;
    }
    RANGES_V4
        .iter()
        .find(|(net, _)| net.contains(&ip))
        .map_or(AddressClass::Public, |(_, class)| *class)
}

fn class_v6(ip: Ipv6Addr) -> AddressClass {
    if ip.is_unspecified() {
        return AddressClass::Unspecified;
    }
    if ip.is_loopback() {
        return AddressClass::Loopback;
    }
    if METADATA_V6.contains(&ip) {
        return AddressClass::Metadata;
    }
    if let Some(inner) = ip.to_ipv4_mapped() {
        return class_v4(inner);
    }
    if let Some(inner) = embedded(ip) {
        return match class_v4(inner) {
            AddressClass::Public => AddressClass::Translated,
            class => class,
        };
    }
    if let Some((_, class)) = RANGES_V6.iter().find(|(net, _)| net.contains(&ip)) {
        return *class;
    }
    if GLOBAL_V6.contains(&ip) {
        AddressClass::Public
    } else {
        AddressClass::Reserved
    }
}

/// The address by which `ip` is judged: what it embeds, where it embeds one.
pub(crate) fn judged(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) if !v6.is_loopback() && !v6.is_unspecified() => v6
            .to_ipv4_mapped()
            .or_else(|| embedded(v6))
            .map_or(ip, IpAddr::V4),
        _ => ip,
    }
}

/// The IPv4 address that a translator would take out of this one.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let pair = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        // v4-compatible (RFC 4291, deprecated), SIIT (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0, a, b]
        | [0, 0, 0, 0, 0xffff, 0, a, b]
        | [0x64, 0xff9b, 0, 0, 0, 0, a, b] => Some(pair(a, b)),
        // 6to4 (RFC 3056).
        [0x2002, a, b, ..] => Some(pair(a, b)),
        // Teredo (RFC 4380): the client's address, every bit inverted.
        [0x2001, 0, _, _, _, _, a, b] => Some(pair(!a, !b)),
        _ => None,
    }
}
