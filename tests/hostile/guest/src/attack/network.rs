//! Behaviours that want out.

use std::time::Duration;

use servo_driver::{Context, Failure, Report, http};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Network,
};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::OutgoingDatagram;
use wasip2::sockets::udp_create_socket::create_udp_socket;

use super::note;
use crate::Findings;

pub(super) fn http(cx: &Context, url: &str, count: u32, at_once: u32) -> Result<Findings, Failure> {
    let client = cx.http().retry(http::Retry::none());
    if at_once <= 1 {
        let (mut answered, mut refused) = (0, 0);
        let mut last = None;
        for _ in 0..count {
            match client.get(url).send() {
                Ok(_) => answered += 1,
                Err(error) => {
                    refused += 1;
                    last = Some(error);
                }
            }
        }
        if let Some(error) = last {
            return Err(Failure::failed(format!("{answered} of {count}: {error}")));
        }
        return Ok(counts(answered, refused));
    }
    let request = client.get(url).prepare()?;
    let mut batch = http::Batch::new(&client);
    let (mut answered, mut refused, mut started) = (0, 0, 0);
    loop {
        while started < count && batch.len() < at_once as usize {
            batch.start(&request, started);
            started += 1;
        }
        match batch.next(None) {
            Some(done) if done.outcome.is_ok() => answered += 1,
            Some(_) => refused += 1,
            None => return Ok(counts(answered, refused)),
        }
    }
}

fn counts(answered: u32, refused: u32) -> Findings {
    let mut found = note("answered", answered);
    found.extend(note("refused", refused));
    found
}

pub(super) fn sockets(address: (u8, u8, u8, u8), port: u16) -> Findings {
    let network = instance_network();
    let remote = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address });
    let own = IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: 0,
        address: (127, 0, 0, 1),
    });
    let mut found = vec![];
    match create_tcp_socket(IpAddressFamily::Ipv4) {
        Ok(socket) => {
            let connected = socket.start_connect(&network, remote).and_then(|()| {
                socket.subscribe().block();
                socket.finish_connect()
            });
            found.extend(note("tcp", format!("{:?}", connected.err())));
        }
        Err(error) => found.extend(note("tcp", format!("{error:?}"))),
    }
    match create_tcp_socket(IpAddressFamily::Ipv4) {
        Ok(socket) => {
            let bound = socket
                .start_bind(&network, own)
                .and_then(|()| socket.finish_bind())
                .and_then(|()| socket.start_listen())
                .and_then(|()| socket.finish_listen());
            found.extend(note("listen", format!("{:?}", bound.err())));
        }
        Err(error) => found.extend(note("listen", format!("{error:?}"))),
    }
    for (how, connects, names) in [
        ("udp-connect", true, false),
        ("udp-send-to", false, true),
        ("udp-connect-and-send", true, true),
    ] {
        let sent = datagram(&network, own, remote, connects, names);
        found.extend(note(how, format!("{sent:?}")));
    }
    found
}

/// Sends a datagram: through a stream to one address, or with an address of
/// its own, or both.
fn datagram(
    network: &Network,
    own: IpSocketAddress,
    remote: IpSocketAddress,
    connects: bool,
    names: bool,
) -> Result<u64, ErrorCode> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4)?;
    let bound = socket
        .start_bind(network, own)
        .and_then(|()| socket.finish_bind());
    // One that is not bound by itself is bound when it is connected.
    let streams = match socket.stream(connects.then_some(remote)) {
        Ok(streams) => streams,
        Err(error) => return Err(bound.err().unwrap_or(error)),
    };
    let room = streams.1.check_send()?;
    let datagram = OutgoingDatagram {
        data: b"out".to_vec(),
        remote_address: names.then_some(remote),
    };
    streams.1.send(&[datagram]).map(|sent| sent.min(room))
}

/// Listens as far as it may, tells how far that was, and waits for visitors.
pub(super) fn listen(cx: &Context, port: u16) -> Result<Findings, Failure> {
    let network = instance_network();
    let own = IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port,
        address: (127, 0, 0, 1),
    });
    let socket = create_tcp_socket(IpAddressFamily::Ipv4);
    let listening = socket.and_then(|socket| {
        socket.start_bind(&network, own)?;
        socket.finish_bind()?;
        socket.start_listen()?;
        socket.finish_listen()?;
        Ok(socket)
    });
    let told = format!("{:?}", listening.as_ref().err());
    cx.progress(Report::percent(1.0).message(told))?;
    cx.wait(Duration::from_secs(3600))?;
    drop(listening);
    Ok(note("listened", port))
}

pub(super) fn lookup(name: &str) -> Findings {
    let answer = resolve_addresses(&instance_network(), name).and_then(|answers| {
        answers.subscribe().block();
        answers.resolve_next_address()
    });
    note("lookup", format!("{answer:?}"))
}
