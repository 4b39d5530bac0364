//! Where a connection may lead: every special range in every form, the
//! spellings of an address, and the networks that a rule names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::common::*;
use http::Request;
use servo_audit::{Auditor, Capability, Reason, Verdict};
use servo_egress::{SendError, empty};
use servo_policy::{HttpGrant, HttpRules, Rule};

/// Listens on every address of this machine.
async fn everywhere() -> Server {
    Server::on("0.0.0.0:0", |stream, seen| async move {
        answer_all(stream, &seen, |_| OK.into()).await
    })
    .await
}

fn networks(line: &str, networks: &[&str]) -> HttpRules {
    let rule: Rule = line.parse().expect(line);
    HttpRules::new([HttpGrant {
        networks: networks.iter().map(|net| net.parse().unwrap()).collect(),
        ..HttpGrant::from((rule, false, None))
    }])
    .unwrap()
}

fn denied_by_address(auditor: &Auditor) -> u64 {
    let counters = auditor.counters();
    counters.of(Capability::Http, Verdict::Denied, Reason::Address)
}

/// The forms in which a translator, a tunnel or an old stack takes an IPv4
/// address out of an IPv6 one.
fn forms(ip: Ipv4Addr) -> [IpAddr; 6] {
    let [a, b, c, d] = ip.octets().map(u16::from);
    let (high, low) = (a << 8 | b, c << 8 | d);
    [
        IpAddr::V4(ip),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low).into(),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low).into(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into(),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into(),
        // Teredo: the client's address is written upside down.
        Ipv6Addr::new(0x2001, 0, 0x808, 0x808, 0, 0, !high, !low).into(),
    ]
}

#[tokio::test]
async fn c9_every_special_range_in_every_form() {
    const INSIDE: [[u8; 4]; 12] = [
        [127, 0, 0, 1],
        [127, 255, 255, 254],
        [10, 0, 0, 1],
        [10, 255, 255, 255],
        [172, 16, 0, 1],
        [172, 31, 255, 255],
        [192, 168, 0, 1],
        [169, 254, 1, 1],
        [100, 64, 0, 1],
        [100, 127, 255, 255],
        [198, 18, 0, 1],
        [198, 19, 255, 255],
    ];
    const NOBODYS: [[u8; 4]; 14] = [
        [169, 254, 169, 254],
        [169, 254, 170, 2],
        [168, 63, 129, 16],
        [0, 0, 0, 0],
        [0, 1, 2, 3],
        [192, 0, 0, 1],
        [192, 0, 2, 1],
        [192, 88, 99, 1],
        [198, 51, 100, 1],
        [203, 0, 113, 1],
        [224, 0, 0, 1],
        [239, 255, 255, 255],
        [240, 0, 0, 1],
        [255, 255, 255, 255],
    ];
    let server = everywhere().await;
    let line = format!("GET http://a.test:{}/", server.port());
    let url = format!("http://a.test:{}/", server.port());
    let both = [false, true];
    let inside = INSIDE.iter().map(|ip| (*ip, &both[..1]));
    let nobodys = NOBODYS.iter().map(|ip| (*ip, &both[..]));
    for (ip, granted) in inside.chain(nobodys) {
        for form in forms(Ipv4Addr::from(ip)) {
            for private in granted {
                let names = Scripted::new(&[&[&form.to_string()]]);
                let rules = rules(std::slice::from_ref(&line), *private);
                let (lane, _, auditor) = recorded(names.clone(), rules);
                let error = send(&lane, get(&url)).await.err();
                assert!(
                    matches!(error, Some(SendError::AddressDenied(_))),
                    "{form} private={private}: {error:?}"
                );
                assert_eq!((names.questions(), denied_by_address(&auditor)), (1, 1));
            }
        }
    }
    assert_eq!(server.opened(), 0);
}

#[tokio::test]
async fn c9_ranges_of_ipv6() {
    let server = everywhere().await;
    let line = format!("GET http://a.test:{}/", server.port());
    for (address, private) in [
        ("::1", false),
        ("fc00::1", false),
        ("fd00::1", false),
        ("fdff:ffff::1", false),
        ("fe80::1", false),
        ("febf::1", false),
        ("fec0::1", false),
        ("64:ff9b:1::808:808", false),
        ("2002:808:808::1", false),
        ("2001:2::1", false),
        ("fd00:ec2::254", true),
        ("::", true),
        ("ff02::1", true),
        ("ff0e::1", true),
        ("2001:db8::1", true),
        ("3fff::1", true),
        ("100::1", true),
        ("2001:10::1", true),
        ("4000::1", true),
        ("::7f00:1", false),
    ] {
        let names = Scripted::new(&[&[address]]);
        let lane = lane(names.clone(), rules(std::slice::from_ref(&line), private));
        let error = send(&lane, get(&format!("http://a.test:{}/", server.port())));
        let error = error.await.err();
        assert!(
            matches!(error, Some(SendError::AddressDenied(_))),
            "{address}: {error:?}"
        );
        assert_eq!(names.questions(), 1, "{address}");
    }
    assert_eq!(server.opened(), 0);
}

#[tokio::test]
async fn c8_spellings_of_an_address() {
    let server = everywhere().await;
    let port = server.port();
    let names = Scripted::new(&[&["127.0.0.1"]]);
    let lines = [
        format!("GET http://127.0.0.1:{port}/"),
        format!("GET http://169.254.169.254:{port}/"),
        format!("GET http://*.a.test:{port}/"),
    ];
    let lane = lane(names.clone(), rules(&lines, true));
    for host in [
        "2130706433",
        "0177.0.0.1",
        "017700000001",
        "0x7f.0.0.1",
        "0x7f000001",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "127.0.0.1.",
        "0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:169.254.169.254]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[fe80::1%25eth0]",
        "[fe80::1%lo]",
        "127.0.0.1%00.a.test",
        "①②⑦.0.0.1",
    ] {
        // What is not even a URI never becomes a request.
        let Ok(request) = Request::get(format!("http://{host}:{port}/")).body(empty()) else {
            continue;
        };
        let sent = send(&lane, request).await;
        // A trailing dot is the one other spelling of a host that means the same.
        if host == "127.0.0.1." {
            continue;
        }
        let error = sent.err();
        assert!(
            matches!(error, Some(SendError::Denied(_))),
            "{host}: {error:?}"
        );
    }
    assert!(server.opened() <= 1);
    assert_eq!(names.questions(), 0);
}

#[tokio::test]
async fn c9_a_named_network_is_reached_and_no_other() {
    let server = everywhere().await;
    let port = server.port();
    let url = format!("http://a.test:{port}/");
    let line = format!("GET {url}");
    let of = |addresses: &[&str], allowed: &[&str]| {
        recorded(Scripted::new(&[addresses]), networks(&line, allowed))
    };
    let (lane, _, _) = of(&["10.0.0.1", "127.7.0.1", "127.8.0.1"], &["127.8.0.0/16"]);
    assert!(send(&lane, get(&url)).await.is_ok());
    assert_eq!(server.opened(), 1);
    for (address, network) in [
        ("127.9.0.1", "127.8.0.0/16"),
        ("10.8.0.1", "127.8.0.0/16"),
        // A network opens no form of an address that somebody else takes apart.
        ("::1", "127.0.0.0/8"),
        ("169.254.169.254", "169.254.0.0/16"),
        ("0.0.0.0", "0.0.0.0/0"),
        ("224.0.0.1", "0.0.0.0/0"),
        ("255.255.255.255", "0.0.0.0/0"),
    ] {
        let (lane, _, auditor) = of(&[address], &[network]);
        let error = send(&lane, get(&url)).await.err();
        assert!(
            matches!(error, Some(SendError::AddressDenied(_))),
            "{address}: {error:?}"
        );
        assert_eq!(denied_by_address(&auditor), 1);
    }
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn c10_a_name_that_leaves_its_network_is_not_followed() {
    let server = everywhere().await;
    let url = format!("http://a.test:{}/", server.port());
    let names = Scripted::new(&[&["127.8.0.1"], &["127.9.0.1"]]);
    let rules = networks(&format!("GET {url}"), &["127.8.0.0/16"]);
    let lane = lane(names.clone(), rules);
    let fresh = || {
        Request::get(&url)
            .header("connection", "close")
            .body(empty())
            .unwrap()
    };
    text(send(&lane, fresh()).await.unwrap()).await.unwrap();
    let error = send(&lane, fresh()).await.unwrap_err();
    assert!(matches!(error, SendError::AddressDenied(_)), "{error}");
    assert_eq!((names.questions(), server.opened()), (2, 1));
}
