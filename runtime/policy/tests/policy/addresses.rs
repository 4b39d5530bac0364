//! Every special range, first and last address, and its other spellings.

use std::net::IpAddr;

use servo_policy::AddressClass::{self, *};
use servo_policy::{HttpRules, Rule, address_class, is_allowed};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn c9_every_special_range() {
    let table: &[(AddressClass, &[&str])] = &[
        (
            Public,
            &[
                "1.1.1.1",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "192.0.1.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "223.255.255.255",
                "2606:4700::1111",
                "2a00:1450:4001::1",
                "2000::1",
                "3ffe::1",
                "2001:200::1",
            ],
        ),
        (
            Loopback,
            &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"],
        ),
        (
            Private,
            &[
                "10.0.0.0",
                "10.255.255.255",
                "172.16.0.0",
                "172.31.255.255",
                "192.168.0.0",
                "192.168.255.255",
            ],
        ),
        (
            UniqueLocal,
            &[
                "fc00::",
                "fd00::1",
                "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            ],
        ),
        (
            LinkLocal,
            &[
                "169.254.0.0",
                "169.254.1.1",
                "169.254.255.255",
                "fe80::1",
                "febf::1",
            ],
        ),
        (SiteLocal, &["fec0::1", "feff::1"]),
        (CarrierGrade, &["100.64.0.0", "100.127.255.255"]),
        (Benchmarking, &["198.18.0.0", "198.19.255.255", "2001:2::1"]),
        (
            Metadata,
            &[
                "169.254.169.254",
                "169.254.170.2",
                "169.254.170.23",
                "100.100.100.200",
                "168.63.129.16",
                "192.0.0.192",
                "fd00:ec2::254",
                "fd00:ec2::23",
                "fd20:ce::254",
            ],
        ),
        (Unspecified, &["0.0.0.0", "0.255.255.255", "::"]),
        (
            Multicast,
            &[
                "224.0.0.0",
                "239.255.255.255",
                "ff00::1",
                "ff02::1",
                "ff0e::1",
            ],
        ),
        (Broadcast, &["255.255.255.255"]),
        (
            Documentation,
            &[
                "192.0.2.0",
                "192.0.2.255",
                "198.51.100.7",
                "203.0.113.255",
                "2001:db8::1",
                "3fff::1",
                "3fff:fff::1",
            ],
        ),
        (
            Reserved,
            &[
                "192.0.0.0",
                "192.0.0.170",
                "192.88.99.1",
                "240.0.0.0",
                "255.255.255.254",
                "100::1",
                "2001:1::1",
                "2001:10::1",
                "2001:20::1",
                "5f00::1",
                "64:ff9b:1::1",
                "4000::1",
                "e000::1",
                "fe00::1",
            ],
        ),
    ];
    for (class, addresses) in table {
        for address in *addresses {
            assert_eq!(address_class(ip(address)), *class, "{address}");
        }
    }
}

#[test]
fn c8_translated_forms_are_what_they_carry() {
    // The same IPv4 address in each spelling; 6to4 and Teredo in hexadecimal.
    for (class, mapped_class, v4, hex, inverted) in [
        (Loopback, Loopback, "127.0.0.1", "7f00:1", "80ff:fffe"),
        (
            Metadata,
            Metadata,
            "169.254.169.254",
            "a9fe:a9fe",
            "5601:5601",
        ),
        (Private, Private, "10.1.2.3", "a01:203", "f5fe:fdfc"),
        (
            CarrierGrade,
            CarrierGrade,
            "100.64.0.1",
            "6440:1",
            "9bbf:fffe",
        ),
        (Translated, Public, "8.8.8.8", "808:808", "f7f7:f7f7"),
    ] {
        assert_eq!(
            address_class(ip(&format!("::ffff:{v4}"))),
            mapped_class,
            "mapped {v4}"
        );
        for spelling in [
            format!("::{v4}"),
            format!("::ffff:0:{v4}"),
            format!("64:ff9b::{v4}"),
            format!("2002:{hex}::1"),
            format!("2001:0:4136:e378:8000:63bf:{inverted}"),
        ] {
            assert_eq!(address_class(ip(&spelling)), class, "{spelling}");
        }
    }
}

#[test]
fn private_opens_networks_and_nothing_else() {
    let opened = [
        Loopback,
        Private,
        UniqueLocal,
        LinkLocal,
        SiteLocal,
        CarrierGrade,
        Benchmarking,
        Translated,
    ];
    let never = [
        Metadata,
        Unspecified,
        Multicast,
        Broadcast,
        Documentation,
        Reserved,
    ];
    assert!(is_allowed(Public, false) && is_allowed(Public, true));
    for class in opened {
        assert!(!is_allowed(class, false), "{class:?}");
        assert!(is_allowed(class, true), "{class:?}");
    }
    for class in never {
        assert!(
            !is_allowed(class, false) && !is_allowed(class, true),
            "{class:?}"
        );
    }
}

#[test]
fn e7_metadata_needs_the_literal() {
    let metadata = ip("169.254.169.254");
    for (line, private, admitted) in [
        ("GET http://169.254.169.254/", true, true),
        ("GET http://169.254.169.254/", false, false),
        ("GET http://metadata.internal/", true, false),
        ("GET http://169.254.170.2/", true, false),
    ] {
        let rules = HttpRules::new([(line.parse::<Rule>().unwrap(), private, None)]).unwrap();
        let grant = rules.iter().next().unwrap();
        assert_eq!(
            grant.admits(metadata).is_ok(),
            admitted,
            "{line} private: {private}"
        );
    }
}
