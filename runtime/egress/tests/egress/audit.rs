//! Every request leaves exactly one record, however it ends, and no query is in
//! any of them. Every limit that ends one is counted by its key.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::*;
use http_body_util::BodyExt;
use servo_audit::{CallAudit, Capability, Reason, Verdict};
use servo_egress::{CallMeter, Timeouts, full};
use servo_policy::Budget;
use tokio::io::AsyncWriteExt;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};

#[tokio::test]
async fn one_record_per_request_in_the_order_of_decisions() {
    let server = Server::ok().await;
    let port = server.port();
    let lines = [
        format!("GET,POST http://{}/", server.address),
        format!("GET http://in.test:{port}/"),
    ];
    let names = Scripted::new(&[&["169.254.169.254"]]);
    let (lane, records, auditor) = recorded(names, rules(&lines, true));
    let call = meter();
    let mut upgrade = get(&server.url("/u"));
    upgrade
        .headers_mut()
        .insert("upgrade", "h2c".parse().unwrap());
    let requests = [
        get(&server.url("/x?token=hush")),
        post(&server.url("/x?token=hush"), None, full("hello")),
        get("http://b.test/x?token=hush"),
        get("http://user:hush@b.test/x"),
        get(&format!("http://in.test:{port}/y?token=hush")),
        upgrade,
        get(&server.url("/z?token=hush")),
    ];
    for request in requests {
        if let Ok(response) = lane.send(request, &call, Timeouts::default()).await {
            text(response).await.unwrap();
        }
    }
    let at = &server.address;
    assert_eq!(
        records.lines(),
        [
            format!("acme \"\" http GET http://{at}/x rule=0 allowed/- \"200\" 0>2"),
            format!("acme \"\" http POST http://{at}/x rule=0 allowed/- \"200\" 5>2"),
            "acme \"\" http GET http://b.test/x rule=- denied/not-granted \"\" 0>0".to_owned(),
            "acme \"\" http GET http://b.test/x rule=- denied/malformed \"\" 0>0".to_owned(),
            format!("acme \"\" http GET http://in.test:{port}/y rule=1 denied/address \"\" 0>0"),
            format!("acme \"\" http GET http://{at}/u rule=0 denied/malformed \"\" 0>0"),
            format!("acme \"\" http GET http://{at}/z rule=0 allowed/- \"200\" 0>2"),
        ]
    );
    let of = |verdict, reason| auditor.counters().of(Capability::Http, verdict, reason);
    assert_eq!(of(Verdict::Allowed, Reason::None), 3);
    assert_eq!(of(Verdict::Denied, Reason::Malformed), 2);
    assert_eq!(auditor.counters().denied(Capability::Http), 4);
    assert_eq!((call.usage().denied, hits(&auditor)), (4, vec![]));
}

#[tokio::test]
async fn a_call_gives_its_records_its_id_and_its_number() {
    let server = Server::ok().await;
    let line = format!("GET http://{}/", server.address);
    let (lane, records, auditor) = recorded(Scripted::new(&[]), rules(&[line], true));
    let owner = Arc::new(lane.owner().clone());
    let audit = CallAudit::new(auditor.clone(), owner, "c-7".to_owned(), 2);
    let call = meter().audited(audit);
    for path in ["/1", "/2", "/3"] {
        let sent = lane.send(get(&server.url(path)), &call, Timeouts::default());
        text(sent.await.unwrap()).await.unwrap();
    }
    drop(call);
    let lines = records.lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].starts_with("acme \"c-7\" http GET"), "{lines:#?}");
    assert!(lines[2].contains("1 further decisions"), "{lines:#?}");
    let counted = auditor
        .counters()
        .of(Capability::Http, Verdict::Allowed, Reason::None);
    assert_eq!(counted, 3);
}

/// What the record says of a request to a server that answers `answer` and
/// then closes, when the guest does `with` what comes back.
async fn ended<Fut: Future<Output = ()>>(
    answer: &'static str,
    with: impl FnOnce(http::Response<servo_egress::Body>) -> Fut,
) -> String {
    let server = Server::serving(move |mut stream, _| async move {
        read_request(&mut stream, &mut Vec::new()).await?;
        stream.write_all(answer.as_bytes()).await
    })
    .await;
    let line = format!("GET http://{}/", server.address);
    let (lane, records, _) = recorded(Scripted::new(&[]), rules(&[line], true));
    if let Ok(response) = send(&lane, get(&server.url("/"))).await {
        assert_eq!(records.lines().len(), 0, "the exchange is not over");
        with(response).await;
    }
    let mut lines = records.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = lines.remove(0);
    line.split_once(" rule=0 ").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_record_says_how_the_exchange_ended() {
    let read = |response: http::Response<servo_egress::Body>| async move {
        let _ = text(response).await;
    };
    let forget = |response| async move { drop(response) };
    let whole = "HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nok";
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";
    assert_eq!(ended(whole, read).await, "allowed/- \"404\" 0>2");
    assert_eq!(
        ended(whole, forget).await,
        "allowed/- \"404, not read to its end\" 0>0"
    );
    assert_eq!(
        ended(half, read).await,
        "allowed/- \"200, the exchange failed: the connection was closed in the middle\" 0>2"
    );
    assert_eq!(
        ended("SSH-2.0\r\n\r\n", read).await,
        "allowed/- \"the exchange failed: the response is not valid HTTP\" 0>0"
    );
}

#[tokio::test]
async fn an_answer_without_a_body_is_over_with_its_head() {
    let server = Server::answering("HTTP/1.1 204 Done\r\n\r\n").await;
    let line = format!("GET http://{}/", server.address);
    let (lane, records, _) = recorded(Scripted::new(&[]), rules(&[line], true));
    let response = send(&lane, get(&server.url("/"))).await.unwrap();
    assert_eq!(records.lines().len(), 1);
    drop(response);
    let lines = records.lines();
    assert!(
        lines.len() == 1 && lines[0].ends_with("allowed/- \"204\" 0>0"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn i4_a_request_that_is_dropped_leaves_one_record() {
    let server = Server::serving(|mut stream, seen| async move {
        while let Some(request) = read_request(&mut stream, &mut Vec::new()).await? {
            seen.keep(request);
        }
        Ok(())
    })
    .await;
    let line = format!("GET http://{}/", server.address);
    let (lane, records, _) = recorded(Scripted::new(&[]), rules(&[line], true));
    tokio::select! {
        _ = send(&lane, get(&server.url("/"))) => panic!("the server never answers"),
        () = settle(|| server.requests().len() == 1) => {}
    }
    let lines = records.lines();
    assert!(
        lines.len() == 1 && lines[0].ends_with("rule=0 allowed/- \"given up\" 0>0"),
        "{lines:?}"
    );
}

/// What was recorded and counted of a request under this budget, to a server
/// that answers the head and one byte of two, and then nothing.
async fn limited(budget: &Budget, request: &str) -> (Vec<String>, Vec<(&'static str, u64)>) {
    let server = Server::serving(|mut stream, _| async move {
        read_request(&mut stream, &mut Vec::new()).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
            .await?;
        std::future::pending().await
    })
    .await;
    let line = format!("GET,POST http://{}/", server.address);
    let (lane, records, auditor) = recorded(Scripted::new(&[]), rules(&[line], true));
    let call = CallMeter::new(budget);
    let request = match request {
        "GET" => get(&server.url("/")),
        body => post(&server.url("/"), None, full(body.to_owned())),
    };
    if let Ok(response) = lane.send(request, &call, Timeouts::default()).await {
        let mut body = response.into_body();
        tokio::time::pause();
        while let Some(Ok(_)) = body.frame().await {}
        tokio::time::resume();
    }
    let lines = records.lines();
    let ends = lines
        .iter()
        .map(|line| line.split_once(" rule=0 ").unwrap().1.to_owned());
    (ends.collect(), hits(&auditor))
}

#[tokio::test]
async fn every_limit_of_bytes_and_of_silence_is_counted_by_its_key() {
    let given = Budget::default();
    for (budget, request, record, limit) in [
        (
            Budget {
                request_bytes: 2,
                ..given.clone()
            },
            "hello",
            "denied/limit \"\" 0>0",
            "request_bytes",
        ),
        (
            Budget {
                response_bytes: 0,
                ..given.clone()
            },
            "GET",
            "capped/limit \"200, the body is larger than the 0 bytes allowed\" 0>1",
            "response_bytes",
        ),
        (
            Budget {
                idle_time: Duration::from_secs(1),
                ..given.clone()
            },
            "GET",
            "allowed/limit \"200, timed out: the answer stopped in the middle\" 0>1",
            "idle_time",
        ),
        (
            Budget {
                request_time: Duration::from_secs(1),
                ..given.clone()
            },
            "GET",
            "allowed/limit \"200, timed out: the exchange took too long\" 0>1",
            "request_time",
        ),
        (
            Budget {
                wall: Duration::from_secs(1),
                ..given.clone()
            },
            "GET",
            "allowed/limit \"200, timed out: the exchange took too long\" 0>1",
            "wall",
        ),
        (
            Budget {
                requests: 0,
                ..given.clone()
            },
            "GET",
            "denied/quota \"\" 0>0",
            "requests",
        ),
        (
            Budget {
                concurrent_requests: 0,
                ..given.clone()
            },
            "GET",
            "denied/quota \"\" 0>0",
            "concurrent_requests",
        ),
        (
            Budget {
                wall: Duration::ZERO,
                ..given
            },
            "GET",
            "denied/quota \"\" 0>0",
            "wall",
        ),
    ] {
        let (records, hits) = limited(&budget, request).await;
        assert_eq!(records, [record], "{limit}");
        assert_eq!(hits, [(limit, 1)]);
    }
}

/// A resolver that never answers.
struct Silent;

#[async_trait::async_trait]
impl servo_egress::Resolver for Silent {
    async fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<std::net::SocketAddr>> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_too_long_is_counted_unless_the_guest_wished_it() {
    for (wish, hit) in [
        (None, vec![("connect_time", 1)]),
        (Some(Duration::from_secs(1)), vec![]),
        (Some(Duration::MAX), vec![("connect_time", 1)]),
    ] {
        let auditor = servo_audit::Auditor::new(Records::default());
        let gate = servo_egress::Gate::builder(Arc::new(Silent)).auditor(auditor.clone());
        let rules = rules(&["GET http://a.test/".to_owned()], true);
        let lane = gate.build().unwrap().lane(owner("acme"), rules).unwrap();
        let wishes = Timeouts {
            connect: wish,
            ..Timeouts::default()
        };
        let sent = lane.send(get("http://a.test/"), &meter(), wishes).await;
        assert!(sent.is_err());
        assert_eq!(hits(&auditor), hit, "{wish:?}");
    }
}

/// Without an auditor of its own a gate writes to the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(Vec<String>);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push(format!("{}={value:?}", field.name()));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "servo::audit"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(Vec::new());
        event.record(&mut line);
        line.0.retain(|field| !field.starts_with("time_us="));
        self.0.lock().unwrap().push(line.0.join(" "));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn records_go_to_the_log_where_nobody_else_takes_them() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = Server::ok().await;
    let response = send(&lane_to(&server), get(&server.url("/x?token=hush"))).await;
    text(response.unwrap()).await.unwrap();
    assert_eq!(
        *log.0.lock().unwrap(),
        [format!(
            "tenant=\"acme\" servo=\"shop\" driver=\"measure\" digest=\"sha256:00\" call=\"\" \
             capability=\"http\" what=\"GET {}\" rule=0 verdict=\"allowed\" reason=\"-\" \
             outcome=\"200\" bytes_out=0 bytes_in=2",
            server.url("/x")
        )]
    );
}
