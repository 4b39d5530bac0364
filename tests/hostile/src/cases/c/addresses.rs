//! C, what a host leads to: spellings of addresses, and the answers of a resolver.

use serde_json::json;

use super::{raw, request, rule, with};
use crate::expect::{Told, assert_denied, assert_told};
use crate::host::HostUnderTest;
use crate::server::{OK, Server, answer_all};
use crate::stage::Stage;

/// This machine in spellings that a careless parser takes for an address.
pub async fn c8_addresses_in_disguise<H: HostUnderTest>() {
    let server = Server::on("0.0.0.0:0", |stream, heard| async move {
        answer_all(stream, &heard, |_| OK.into()).await
    })
    .await;
    let grants = rule(&format!("GET http://api.example:{}/", server.port()));
    for host in [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[fe80::1%25lo]",
        "[fe80::1%lo]",
        "localhost",
        "①②⑦.0.0.1",
    ] {
        let stage = Stage::<H>::new();
        let ask = request(&format!("{host}:{}", server.port()), "/");
        let step = stage.run(raw(&[ask]), grants.clone()).await;
        let told = step.note("0");
        assert!(!told.starts_with("status"), "{host}: {told}");
        assert_eq!(stage.names.asked(), Vec::<String>::new(), "{host}");
    }
    assert_eq!(server.opened(), 0);
}

/// A name that is allowed and leads inside, one address of each range.
pub async fn c9_names_that_lead_inside<H: HostUnderTest>() {
    let server = Server::on("0.0.0.0:0", |stream, heard| async move {
        answer_all(stream, &heard, |_| OK.into()).await
    })
    .await;
    let stage = Stage::<H>::new();
    let driver = stage.driver().await;
    let line = format!("GET http://a.test:{}/", server.port());
    let ask = raw(&[request(&format!("a.test:{}", server.port()), "/")]);
    let mut asked = 0;
    for (private, addresses) in [
        (
            false,
            &[
                "127.0.0.1",
                "127.8.8.8",
                "::1",
                "::ffff:127.0.0.1",
                "64:ff9b::7f00:1",
                "2002:7f00:1::1",
                "10.1.2.3",
                "172.16.0.1",
                "192.168.1.1",
                "169.254.1.1",
                "fe80::1",
                "fd12::1",
                "fec0::1",
                "100.64.0.1",
                "198.18.0.1",
                "64:ff9b::808:808",
            ][..],
        ),
        // These stay shut for a rule that says `private` too.
        (
            true,
            &[
                "169.254.169.254",
                "fd00:ec2::254",
                "::ffff:169.254.169.254",
                "0.0.0.0",
                "::",
                "224.0.0.1",
                "ff02::1",
                "255.255.255.255",
                "240.0.0.1",
                "192.0.0.1",
                "192.0.2.1",
            ],
        ),
    ] {
        for address in addresses {
            asked += 1;
            stage.names.answer("a.test", &[&[address]]);
            let grants = json!({ "http": [{ "rule": line, "private": private }] });
            let config = json!({ "behaviour": ask });
            let step = stage.bind(&driver, config, grants).measure().await;
            let told = step.note("0");
            assert_told(told, Told::Address);
            assert_eq!(stage.names.asked().len(), asked, "{address}");
            assert_denied(&stage, "http", "address", asked);
            assert_eq!(server.opened(), 0, "{address}");
        }
    }
}

/// The name answers with something good first, and something else after.
pub async fn c10_the_vetted_address_is_the_one_dialled<H: HostUnderTest>() {
    let first = Server::ok().await;
    let second = Server::on(
        &format!("127.0.0.2:{}", first.port()),
        |stream, heard| async move { answer_all(stream, &heard, |_| OK.into()).await },
    )
    .await;
    let stage = Stage::<H>::new();
    let host = format!("a.test:{}", first.port());
    stage
        .names
        .answer("a.test", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let grants = rule(&format!("GET http://{host}/"));
    let requests: Vec<_> = (0..3).map(|_| request(&host, "/")).collect();
    let step = stage.run(raw(&requests), grants.clone()).await;
    assert_eq!(step.used.requests, 3);
    // One lookup, one connection: the second answer was never asked for.
    assert_eq!(stage.names.asked().len(), 1);
    assert_eq!((first.opened(), second.opened()), (1, 0));

    // With a connection each there is a lookup each, and each is vetted.
    let stage = Stage::<H>::new();
    stage
        .names
        .answer("a.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let fresh = with(
        &request(&host, "/"),
        "headers",
        json!([["connection", "close"]]),
    );
    let step = stage.run(raw(&[fresh.clone(), fresh]), grants).await;
    assert!(step.note("0").starts_with("status 200"));
    assert_told(step.note("1"), Told::Address);
    assert_eq!((first.opened(), second.opened()), (2, 0));
    assert_denied(&stage, "http", "address", 1);
}
