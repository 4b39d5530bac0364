//! D: sockets, names and listeners, which no grant gives.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::{TcpStream, UdpSocket};

use crate::components::importing;
use crate::expect::{assert_denied, assert_text};
use crate::host::{Ended, HostUnderTest, Listener};
use crate::server::Server;
use crate::stage::Stage;

fn sockets(address: SocketAddr) -> Value {
    json!({ "do": "sockets", "ip": [127, 0, 0, 1], "port": address.port() })
}

/// Every kind of socket towards a server that a rule allows to be asked.
pub async fn d1_sockets_reach_nobody<H: HostUnderTest>() {
    let server = Server::ok().await;
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, server.port()))
        .await
        .unwrap();
    let stage = Stage::<H>::new();
    // A grant for requests is none for sockets.
    let grants = json!({ "http": server.grant() });
    let step = stage.run(sockets(server.address), grants).await;
    for (what, answer) in step.notes() {
        assert!(answer.contains("access-denied"), "{what}: {answer}");
    }
    assert_eq!(step.notes().len(), 5);
    assert_eq!(server.opened(), 0);
    nothing_came(&datagrams);
    assert_eq!(stage.names.asked(), Vec::<String>::new());
    if !stage.host.counts_limits() {
        return;
    }
    assert!(stage.host.denied("sockets") >= 5);
    let records = stage.records.refusals();
    assert!(!records.is_empty());
    for record in &records {
        assert_eq!(
            (&*record.capability, &*record.verdict),
            ("sockets", "denied")
        );
        assert_eq!((&*record.tenant, &*record.driver), ("acme", "measure"));
    }
}

/// Older names of the same, and modules that would adapt them.
pub async fn d2_older_names_of_sockets_are_refused<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for (index, import) in [
        "wasi:sockets/tcp@0.1.0",
        "wasi:sockets/tcp@0.3.0",
        "wasi:sockets/types@0.3.0-rc-2025-09-16",
        "wasi-snapshot-preview1",
        "wasi-unstable",
        "wasi:socket/tcp@0.2.0",
    ]
    .into_iter()
    .enumerate()
    {
        let Err(why) = stage.host.load(&importing(&[import])).await else {
            panic!("{import} was loaded");
        };
        assert!(why.contains(import), "{import}: {why}");
        if index == 0 {
            assert_text("d2", &why);
        }
    }
}

/// A name that carries a message.
pub async fn d3_no_name_is_looked_up<H: HostUnderTest>() {
    for name in ["secret.attacker.example", "localhost", "127.0.0.1"] {
        let stage = Stage::<H>::new();
        let lookup = json!({ "do": "lookup", "name": name });
        let step = stage.run(lookup, json!({})).await;
        assert!(step.note("lookup").contains("Err"), "{:?}", step.end);
        assert_eq!(stage.names.asked(), Vec::<String>::new());
        if stage.host.counts_limits() {
            assert_denied(&stage, "sockets", "not-granted", 1);
        }
    }
}

/// A guest that listens, as far as it comes, while somebody knocks.
pub async fn d4_nobody_can_be_let_in<H: HostUnderTest>() {
    // A port that is free, since it was just given back.
    let port = Server::ok().await.port() ^ 1;
    let stage = Stage::<H>::new();
    let listen = json!({ "do": "listen", "port": port });
    let bound = stage.behaving(listen, json!({})).await;
    let listener = Arc::<Listener>::default();
    let call = bound.begin(&listener);
    let (step, knocked) = tokio::join!(call.measure(), async {
        listener.began().await;
        let knocked = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        call.cancel();
        knocked
    });
    assert!(knocked.is_err(), "somebody opened");
    assert!(
        matches!(step.end, Ended::Cancelled | Ended::Failed(_)),
        "{:?}",
        step.end
    );
    assert!(
        listener
            .texts()
            .iter()
            .any(|text| text.contains("access-denied")),
        "{:?}",
        listener.texts()
    );
    if stage.host.counts_limits() {
        assert_denied(&stage, "sockets", "not-granted", 1);
    }
}

/// Datagrams: connected, addressed one by one, and both.
pub async fn d5_no_datagram_leaves<H: HostUnderTest>() {
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let stage = Stage::<H>::new();
    let address = datagrams.local_addr().unwrap();
    let step = stage.run(sockets(address), json!({})).await;
    for what in ["udp-connect", "udp-send-to", "udp-connect-and-send"] {
        let answer = step.note(what);
        assert!(answer.contains("access-denied"), "{what}: {answer}");
    }
    nothing_came(&datagrams);
}

fn nothing_came(datagrams: &UdpSocket) {
    let nothing = datagrams.try_recv(&mut [0; 16]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}
