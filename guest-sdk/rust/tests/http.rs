//! The HTTP client against a scripted host.

use std::time::Duration;

use serde_json::json;
use servo_driver::{
    Context, Failure,
    failure::Status,
    http::{Batch, Error, Kind, Method, Phase, Response, Retry, Timeouts},
    testing::{Host, Reply},
};

const URL: &str = "http://app:9000/x";

fn get(cx: &Context) -> Result<Response, Error> {
    cx.http().get(URL).send()
}

#[test]
fn a_request_is_sent_as_it_was_built() {
    let host = Host::new().serve(Method::Put, URL, |sent| {
        assert_eq!(sent.url, "http://app:9000/x?of=a%26b&n=3");
        assert_eq!(sent.json::<serde_json::Value>(), json!({"a": 1}));
        let header = |name| sent.header(name).map(str::to_owned);
        assert_eq!(header("content-length").as_deref(), Some("7"));
        assert_eq!(header("content-type").as_deref(), Some("application/json"));
        assert_eq!(
            header("x-all").as_deref(),
            Some("here"),
            "the request's wins"
        );
        assert_eq!(sent.timeouts.connect, Some(Duration::from_secs(2)));
        Reply::json(json!({"ok": true})).header("X-Id", "7")
    });
    let client = host
        .context("shop")
        .http()
        .base("http://app:9000/")
        .unwrap()
        .header("x-all", "everywhere")
        .timeouts(Timeouts::each(Duration::from_secs(2)));
    let request = client
        .put("x")
        .query("of", "a&b")
        .query("n", 3)
        .header("X-All", "here");
    let answer = request.json(&json!({"a": 1})).send().unwrap().ok().unwrap();
    assert_eq!((answer.header("x-id"), answer.received()), (Some("7"), 11));
    assert_eq!(
        answer.json::<serde_json::Value>().unwrap(),
        json!({"ok": true})
    );
}

#[test]
fn what_passes_by_itself_is_tried_again() {
    for (fault, attempts) in [
        (Reply::status(503), 3),
        (Reply::status(429), 3),
        (Reply::fails(Kind::Refused), 3),
        (Reply::fails(Kind::Broken("reset".to_owned())), 3),
        (Reply::fails(Kind::Timeout(Phase::FirstByte)), 3),
        (Reply::status(500), 1),
        (Reply::status(404), 1),
        (Reply::fails(Kind::Denied(None)), 1),
        (Reply::fails(Kind::Tls("bad".to_owned())), 1),
    ] {
        let host = Host::new().on(Method::Get, URL, fault.times(attempts));
        let _ = get(&host.context("shop"));
        // A host whose script is not used up panics when it is dropped.
    }
}

#[test]
fn only_what_can_be_repeated_is_repeated() {
    let host = Host::new().on(Method::Post, URL, Reply::status(503)).on(
        Method::Post,
        URL,
        Reply::status(200).times(1),
    );
    let http = host.context("shop").http();
    assert_eq!(http.post(URL).send().unwrap().status(), 503);
    assert_eq!(http.post(URL).send().unwrap().status(), 200);

    let host = Host::new().on(Method::Post, URL, Reply::status(503)).on(
        Method::Post,
        URL,
        Reply::status(200),
    );
    let request = host
        .context("shop")
        .http()
        .post(URL)
        .retry(Retry::default().any_method());
    assert_eq!(request.send().unwrap().status(), 200);
}

#[test]
fn pauses_double_and_the_server_may_set_them() {
    let pause = |reply: Reply, attempts| {
        let host = Host::new().on(
            Method::Get,
            URL,
            reply.takes(Duration::ZERO).times(attempts),
        );
        let cx = host.context("shop");
        let _ = get(&cx);
        cx.now().as_millis()
    };
    // The scripted host's random numbers give pauses their nominal length.
    assert_eq!(pause(Reply::status(503), 3), 1500);
    assert_eq!(
        pause(Reply::status(503).header("Retry-After", "7"), 3),
        14_000
    );
    let date = "Tue, 14 Nov 2023 22:13:30 GMT";
    assert_eq!(
        pause(Reply::status(503).header("Retry-After", date), 3),
        10_000
    );
    assert_eq!(
        pause(Reply::status(503).header("Retry-After", "31"), 1),
        0,
        "too long to wait"
    );
}

#[test]
fn errors_say_what_happened_and_where() {
    for (reply, text) in [
        (
            Reply::status(404).body("no  such\nthing"),
            "GET http://app:9000/x: status 404: no such thing",
        ),
        (
            Reply::fails(Kind::Refused),
            "GET http://app:9000/x: connection refused",
        ),
        (
            Reply::fails(Kind::Denied(Some("add it".to_owned()))),
            "GET http://app:9000/x: denied: add it",
        ),
        (
            Reply::json(json!({"a": {"b": "x"}})),
            "at a.b: invalid type: string \"x\", expected u32",
        ),
        (Reply::text("{"), "EOF while parsing"),
    ] {
        #[derive(Debug, serde::Deserialize)]
        struct A {
            #[allow(dead_code)]
            a: std::collections::BTreeMap<String, u32>,
        }
        let host = Host::new().on(Method::Get, URL, reply);
        let request = host
            .context("shop")
            .http()
            .get(URL)
            .query("key", "hush")
            .retry(Retry::none());
        let error = request
            .send()
            .and_then(Response::ok)
            .and_then(|answer| answer.json::<A>());
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains(text) && !error.contains("hush"),
            "{text}: {error}"
        );
    }
}

#[test]
fn failures_carry_the_kind() {
    for (kind, status, reason) in [
        (Kind::Denied(None), Status::Failed, Some("denied")),
        (
            Kind::Timeout(Phase::Connect),
            Status::Failed,
            Some("timeout"),
        ),
        (Kind::Cancelled, Status::Cancelled, Some("cancelled")),
        (Kind::Refused, Status::Failed, None),
    ] {
        let host = Host::new().serve(Method::Get, URL, move |_| Reply::fails(kind.clone()));
        let failure = Failure::from(get(&host.context("shop")).unwrap_err());
        assert_eq!(
            (failure.status, failure.reason.as_deref()),
            (status, reason)
        );
    }
}

#[test]
fn mistakes_in_building_are_told_when_it_is_sent() {
    let http = Host::new().context("shop").http();
    for url in ["x", "ftp://app/", "http://user:hush@app/"] {
        let error = http.get(url).send().unwrap_err();
        assert!(matches!(error.kind(), Kind::Invalid(_)), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[test]
fn large_answers_are_refused() {
    let host = Host::new().on(Method::Get, URL, Reply::text("12345").times(2));
    let http = host.context("shop").http();
    assert!(http.clone().max_body(5).get(URL).send().is_ok());
    let error = http.max_body(4).get(URL).send().unwrap_err();
    assert_eq!(*error.kind(), Kind::TooLarge(4));
}

#[test]
fn waiting_ends_with_the_call() {
    let slow = || Reply::status(200).takes(Duration::from_secs(600));
    let host = Host::new()
        .cancel_at(Duration::from_secs(3))
        .on(Method::Get, URL, slow());
    let cx = host.context("shop");
    assert!(get(&cx).unwrap_err().is_cancelled());
    assert!(cx.now() <= Duration::from_secs(4));

    let host = Host::new().cancel_at(Duration::from_millis(100)).on(
        Method::Get,
        URL,
        Reply::fails(Kind::Refused),
    );
    assert!(
        get(&host.context("shop")).unwrap_err().is_cancelled(),
        "in the pause between attempts"
    );

    let host = Host::new()
        .cancel_at(Duration::ZERO)
        .on(Method::Get, URL, slow());
    assert!(
        get(&host.context("shop").shielded()).is_ok(),
        "unless something is being undone"
    );
}

#[test]
fn the_whole_of_a_request_has_a_limit() {
    let slow = Reply::status(200).takes(Duration::from_secs(600));
    let host = Host::new().on(Method::Get, URL, slow);
    let cx = host.context("shop");
    let request = cx
        .http()
        .get(URL)
        .timeout(Duration::from_millis(2500))
        .retry(Retry::none());
    assert_eq!(
        *request.send().unwrap_err().kind(),
        Kind::Timeout(Phase::Total)
    );
    assert_eq!(cx.now(), Duration::from_millis(2500));
}

#[test]
fn a_batch_gives_answers_in_the_order_they_come() {
    let host = [30, 10, 20].into_iter().fold(Host::new(), |host, ms| {
        host.on(
            Method::Get,
            URL,
            Reply::status(200).takes(Duration::from_millis(ms)),
        )
    });
    let cx = host.context("shop");
    let client = cx.http();
    let request = client.get(URL).prepare().unwrap();
    let mut batch = Batch::new(&client);
    for token in 0..3 {
        batch.start(&request, token);
    }
    assert!(
        batch.next(Some(Duration::from_millis(5))).is_none(),
        "nothing by then"
    );
    let mut order = Vec::new();
    while let Some(done) = batch.next(None) {
        order.push((done.token, done.elapsed.as_millis()));
        done.outcome.unwrap();
    }
    assert_eq!(order, [(1, 10), (2, 20), (0, 30)]);
    assert!(batch.is_empty());
}

#[test]
fn a_batch_gives_up_what_takes_too_long() {
    let slow = Reply::status(200).takes(Duration::from_secs(600));
    let host = Host::new()
        .on(Method::Get, URL, slow)
        .serve(Method::Get, URL, |_| {
            Reply::status(200).takes(Duration::from_millis(100))
        });
    let cx = host.context("shop");
    let client = cx.http();
    let request = client
        .get(URL)
        .timeout(Duration::from_secs(5))
        .prepare()
        .unwrap();
    let mut batch = Batch::new(&client);
    batch.start(&request, "slow");
    batch.start(&request, "quick");
    let late = loop {
        let done = batch.next(None).unwrap();
        if done.outcome.is_err() {
            break done;
        }
        batch.start(&request, "quick");
    };
    assert_eq!(late.token, "slow");
    assert_eq!(
        *late.outcome.unwrap_err().kind(),
        Kind::Timeout(Phase::Total)
    );
    assert!(
        cx.now() <= Duration::from_secs(7),
        "although others kept answering"
    );
}
