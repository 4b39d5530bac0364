//! The host's memory for a response of 10 GB that is read slowly.
//!
//! So many streams are open at once in a process of their own, this program
//! started anew, and the server that fills them is here, in the parent: what
//! the kernel keeps for a connection is not the process's memory, and what
//! either program allocates shows in its own figure only. A reader takes a
//! piece whenever all others have taken theirs, so the server is always ahead
//! and every buffer between the two is as full as it gets. The baseline is the
//! same number of exchanges that are over, with their connections kept.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt;
use servo_egress::{CallMeter, Gate, Owner, SystemResolver, Timeouts, empty};
use servo_policy::{Budget, HttpRules, Rule};

use crate::memory::{resident_kib, said};
use crate::table::Table;

/// The argument that makes this program one of the measured processes.
pub(crate) const CHILD: &str = "--streams";

const STREAMS: u64 = 64;

/// Pieces that each reader takes: the body is far from its end.
const PIECES: usize = 200;

const LENGTH: u64 = 10_000_000_000;

/// What one stream may take (design, section 11).
const BAR: u64 = 256 << 10;

pub(crate) fn figures(table: &mut Table) {
    let server = serve();
    let take = |reading: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([CHILD, reading, &server.to_string()]);
        said(&mut command).bytes
    };
    let (slowly, over) = (take("slowly"), take("over"));
    table.memory(
        format!("a 10 GB response read slowly, each of {STREAMS}"),
        slowly.saturating_sub(over) / STREAMS,
        "all of a process with as many kept connections",
        over,
        Some(BAR),
    );
}

/// Begins a body of 10 GB for `/endless` and answers everything else briefly.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Ends with the connection.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&piece[..read]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        if !head.starts_with(b"GET /endless") {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nover")?;
            head.clear();
            continue;
        }
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n"
        )?;
        let data = vec![b'x'; 1 << 20];
        loop {
            stream.write_all(&data)?;
        }
    }
}

/// Processes the arguments after [`CHILD`], and prints the resident memory.
pub(crate) fn run(arguments: &[String]) {
    let [reading, server] = arguments else {
        panic!("{arguments:?}");
    };
    let slowly = reading == "slowly";
    let path = if slowly { "endless" } else { "over" };
    let url = format!("http://{server}/{path}");
    let budget = Budget {
        requests: u64::MAX,
        request_rate: u32::MAX,
        concurrent_requests: u32::MAX,
        response_bytes: 2 * LENGTH,
        ..Budget::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let gate = Gate::new(Arc::new(SystemResolver)).unwrap();
        let rule: Rule = format!("GET http://{server}/").parse().unwrap();
        let rules = HttpRules::new([(rule, true, None)]).unwrap();
        let owner = Owner {
            tenant: "local".to_owned(),
            servo: "bench".to_owned(),
            driver: "none".to_owned(),
            ..Owner::default()
        };
        let lane = gate.lane(owner, rules).unwrap();
        let meter = CallMeter::new(&budget);
        let mut bodies = Vec::new();
        for _ in 0..STREAMS {
            let request = Request::get(&url).body(empty()).unwrap();
            let sent = lane.send(request, &meter, Timeouts::default()).await;
            bodies.push(sent.unwrap().into_body());
        }
        let mut most = resident_kib();
        for _ in 0..PIECES {
            for body in &mut bodies {
                if let Some(frame) = body.frame().await {
                    frame.unwrap();
                }
            }
            most = most.max(resident_kib());
        }
        println!("{most} 0");
    });
}
