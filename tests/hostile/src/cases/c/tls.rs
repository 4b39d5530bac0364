//! C, who is spoken to: certificates, identities, sessions and connections.

use serde_json::{Value, json};

use super::{raw, request, to, with};
use crate::expect::{Told, assert_told};
use crate::host::HostUnderTest;
use crate::server::Server;
use crate::stage::Stage;
use crate::tls::{Authority, Handshake, TlsServer, self_signed};

fn secure(server: &TlsServer) -> Value {
    json!({ "scheme": "https", "authority": server.authority(), "path": "/" })
}

/// A rule for the server with the authority that it trusts.
fn trusting(server: &TlsServer, authority: Option<&Authority>) -> Value {
    let rule = format!("GET https://{}/", server.authority());
    let mut grant = json!({ "rule": rule, "private": true });
    if let Some(authority) = authority {
        grant["ca"] = json!(authority.file());
    }
    json!({ "http": [grant] })
}

/// Certificates that are over, of another name, of another authority, and of
/// none; and never a second try without.
pub async fn c20_bad_certificates_are_refused<H: HostUnderTest>() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = ours.server(|_| {}).await;
    let stage = Stage::<H>::new();
    let step = stage
        .run(raw(&[secure(&good)]), trusting(&good, Some(&ours)))
        .await;
    assert!(step.note("0").starts_with("status 200"), "{:?}", step.end);

    let old = ours
        .server(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1))
        .await;
    let early = ours
        .server(|params| params.not_before = rcgen::date_time_ymd(2090, 1, 1))
        .await;
    let name = rcgen::SanType::DnsName("b.test".try_into().unwrap());
    let other_name = ours
        .server(|params| params.subject_alt_names = vec![name])
        .await;
    let itself = self_signed().await;
    for (what, server, authority) in [
        ("over", &old, Some(&ours)),
        ("not yet begun", &early, Some(&ours)),
        ("another name", &other_name, Some(&ours)),
        ("self-signed", &itself, Some(&ours)),
        ("self-signed, the system trusted", &itself, None),
        ("another authority", &good, Some(&theirs)),
        ("the system trusted", &good, None),
    ] {
        let stage = Stage::<H>::new();
        let (opened, heard) = (server.server.opened(), server.server.requests().len());
        let step = stage
            .run(raw(&[secure(server)]), trusting(server, authority))
            .await;
        let told = step.note("0");
        assert_told(told, Told::Certificate);
        assert_eq!(server.server.requests().len(), heard, "{what}");
        // Each try is one connection, and there is one.
        assert_eq!(server.server.opened(), opened + 1, "{what}");
    }
}

/// A server without TLS where the rule says https.
pub async fn c20_there_is_no_fallback_to_plain<H: HostUnderTest>() {
    let authority = Authority::new("ours");
    let plain = Server::ok().await;
    let host = format!("a.test:{}", plain.port());
    let grants = json!({ "http": [{
        "rule": format!("GET https://{host}/"), "private": true, "ca": authority.file(),
    }] });
    let stage = Stage::<H>::new();
    let ask = |scheme: &str| with(&request(&host, "/"), "scheme", json!(scheme));
    let step = stage.run(raw(&[ask("https"), ask("http")]), grants).await;
    assert!(!step.note("0").starts_with("status"), "{:?}", step.end);
    assert_told(step.note("1"), Told::Denied);
    assert_eq!(plain.requests(), Vec::<String>::new());
}

/// A certificate that the host shows for one tenant.
pub async fn c21_the_identity_of_one_tenant_is_not_shown_for_another<H: HostUnderTest>() {
    let authority = Authority::new("ours");
    let server = authority.asking_server().await;
    let (certificate, key) = authority.client("acme");
    let stage = Stage::<H>::new();
    let driver = stage.driver().await;
    let plain = trusting(&server, Some(&authority));
    let mut identified = plain.clone();
    identified["http"][0]["client_certificate"] = json!({ "certificate": certificate, "key": key });
    let config = json!({ "behaviour": raw(&[secure(&server)]) });
    for (tenant, grants) in [
        ("acme", &identified),
        ("globex", &plain),
        ("acme", &identified),
    ] {
        let bound = stage.bind_for(tenant, &driver, config.clone(), grants.clone());
        let step = bound.measure().await;
        assert!(step.note("0").starts_with("status 200"), "{:?}", step.end);
    }
    let shown: Vec<_> = server
        .handshakes()
        .iter()
        .map(|seen| seen.identified)
        .collect();
    assert_eq!(shown.first(), Some(&true));
    assert_eq!(shown.get(1), Some(&false));
}

/// A session that one tenant began is not taken up by another.
pub async fn c22_sessions_are_resumed_by_their_tenant_alone<H: HostUnderTest>() {
    let authority = Authority::new("ours");
    let server = authority.server(|_| {}).await;
    let stage = Stage::<H>::new();
    let driver = stage.driver().await;
    let grants = trusting(&server, Some(&authority));
    // A connection each, so that there is a session to take up.
    let fresh = with(
        &secure(&server),
        "headers",
        json!([["connection", "close"]]),
    );
    let config = json!({ "behaviour": raw(&[fresh]) });
    let acme = stage.bind_for("acme", &driver, config.clone(), grants.clone());
    let globex = stage.bind_for("globex", &driver, config, grants);
    for bound in [&acme, &globex, &acme, &globex] {
        let step = bound.measure().await;
        assert!(step.note("0").starts_with("status 200"), "{:?}", step.end);
    }
    let resumed = |resumed| Handshake {
        resumed,
        identified: false,
    };
    assert_eq!(
        server.handshakes(),
        [resumed(false), resumed(false), resumed(true), resumed(true)]
    );
}

/// Two tenants with the same rule share no connection.
pub async fn c21_connections_belong_to_one_tenant<H: HostUnderTest>() {
    let server = Server::ok().await;
    let stage = Stage::<H>::new();
    let driver = stage.driver().await;
    let grants = json!({ "http": server.grant() });
    let config = json!({ "behaviour": raw(&[to(&server), to(&server)]) });
    let mut opened = 0;
    for tenant in ["acme", "globex"] {
        let bound = stage.bind_for(tenant, &driver, config.clone(), grants.clone());
        let step = bound.measure().await;
        assert!(step.note("1").starts_with("status 200"));
        // Whatever is kept of the one before is of no use to it. (A kept
        // connection may be back too late for a request that follows at once, so
        // how many it opens itself is not told here.)
        assert!(server.opened() > opened, "{tenant}");
        opened = server.opened();
    }
}
