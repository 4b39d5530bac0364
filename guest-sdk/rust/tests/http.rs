//! The HTTP client against a scripted host.

use std::time::Duration;

use serde_json::json;
use servo_driver::{
    Context, Failure,
    failure::Status,
    http::{Batch, Error, Kind, Method, Next, Response, Retry},
    testing::{Host, Reply},
};

const URL: &str = "http://app:9000/x";

fn refused() -> Kind {
    Kind::Unconnected("no connection: refused".to_owned())
}

fn is_late(kind: &Kind) -> bool {
    matches!(kind, Kind::Timeout(why) if why.contains("own limit"))
}

fn get(cx: &Context) -> Result<Response, Error> {
    cx.http().get(URL).send()
}

#[test]
fn a_request_is_sent_as_it_was_built() {
    let host = Host::new().serve(Method::Put, URL, |sent| {
        assert_eq!(sent.url, "http://app:9000/x?key=1&of=a%26b&n=3");
        assert_eq!(sent.json::<serde_json::Value>(), json!({"a": 1}));
        let header = |name| sent.header(name).map(str::to_owned);
        assert_eq!(header("content-length"), None, "the host sets it");
        assert_eq!(header("content-type").as_deref(), Some("application/json"));
        assert_eq!(
            header("x-all").as_deref(),
            Some("here"),
            "the request's wins"
        );
        assert_eq!(sent.timeout, Some(Duration::from_secs(2)));
        Reply::json(json!({"ok": true})).header("X-Id", "7")
    });
    let client = host
        .context("shop")
        .http()
        .base("http://app:9000/")
        .unwrap()
        .header("x-all", "everywhere")
        .query("key", 1)
        .timeout(Duration::from_secs(2));
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
        (Reply::fails(refused()), 3),
        (Reply::fails(Kind::Closed("cut".to_owned())), 3),
        (Reply::fails(Kind::Timeout("idle".to_owned())), 3),
        (Reply::fails(Kind::Unresolved), 3),
        (Reply::fails(Kind::RateLimited(Duration::from_secs(1))), 3),
        (Reply::fails(Kind::RateLimited(Duration::from_secs(31))), 1),
        (Reply::status(500), 1),
        (Reply::status(404), 1),
        (Reply::fails(Kind::Denied(None)), 1),
        (Reply::fails(Kind::DryRun), 1),
        (Reply::fails(Kind::Exhausted("requests".to_owned())), 1),
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
fn a_request_that_never_left_is_sent_again_when_it_may_go() {
    let limited = Reply::fails(Kind::RateLimited(Duration::from_secs(7))).takes(Duration::ZERO);
    let host = Host::new().on(Method::Post, URL, limited).on(
        Method::Post,
        URL,
        Reply::status(200).takes(Duration::ZERO),
    );
    let cx = host.context("shop");
    assert!(cx.http().post(URL).fetch().is_ok(), "with any method");
    assert_eq!(cx.now(), Duration::from_secs(7));
}

#[test]
fn all_attempts_together_have_a_limit() {
    let minute = Duration::from_secs(60);
    let host = Host::new().on(Method::Get, URL, Reply::status(503).takes(minute).times(2));
    let cx = host.context("shop");
    let retry = Retry::attempts(9).within(Duration::from_secs(90));
    let answer = cx.http().get(URL).retry(retry).send();
    // The second attempt had 29.5 s left.
    assert!(is_late(answer.unwrap_err().kind()));
    assert_eq!(cx.now(), Duration::from_secs(90));
}

#[test]
fn a_form_is_a_body() {
    let host = Host::new().serve(Method::Post, URL, |sent| {
        let kind = sent.header("content-type");
        assert_eq!(kind, Some("application/x-www-form-urlencoded"));
        assert_eq!(sent.body, b"query=up%20%3D%3D%201&step=15");
        Reply::json(json!(7))
    });
    let request = host.context("shop").http().post(URL);
    let form = [("query", "up == 1"), ("step", "15")];
    assert_eq!(request.form(form).fetch_json::<u32>().unwrap(), 7);
}

/// Three pages: by a link in the head, by a cursor, by numbers.
#[test]
fn pages_are_read_to_their_end() {
    let page = |at: &str, link: &str| {
        let reply = Reply::json(json!({"at": at}));
        if link.is_empty() {
            reply
        } else {
            reply.header("link", link)
        }
    };
    let server = move |sent: &servo_driver::testing::Sent| {
        let (_, query) = sent.url.split_once('?').unwrap_or_default();
        match query {
            "limit=2" => page("1", r#"<?limit=2&page=2>; rel="next""#),
            "limit=2&page=2" => page("2", r#"</x?limit=2&page=3>; rel="next", <a>; rel="last""#),
            "limit=2&page=3" => page("3", r#"<a>; rel="last""#),
            other => panic!("{other}"),
        }
    };
    #[derive(serde::Deserialize)]
    struct Place {
        at: String,
    }
    for way in 0..2 {
        let host = Host::new().serve(Method::Get, URL, server);
        let request = host.context("shop").http().get(URL).query("limit", 2);
        let pages = request
            .pages::<Place>(3, |page| match way {
                0 => page.link_next(),
                _ => (page.value.at != "3").then(|| Next::query("page", page.number + 1)),
            })
            .unwrap();
        let read: Vec<_> = pages.iter().map(|page| page.at.as_str()).collect();
        assert_eq!(read, ["1", "2", "3"]);
    }
    let host = Host::new().serve(Method::Get, URL, server);
    let request = host.context("shop").http().get(URL).query("limit", 2);
    let error = request.pages::<Place>(2, |page| page.link_next()).err();
    assert_eq!(*error.unwrap().kind(), Kind::Pages(2));
}

#[test]
fn errors_say_what_happened_and_where() {
    for (reply, text) in [
        (
            Reply::status(404).body("no  such\nthing"),
            "GET http://app:9000/x: status 404: no such thing",
        ),
        (
            Reply::fails(refused()),
            "GET http://app:9000/x: no connection: refused",
        ),
        (
            Reply::status(302).header("location", "/login\u{1b}[2J"),
            "status 302, which leads to /login\\u{1b}[2J: redirects are not followed",
        ),
        (
            Reply::text("\u{1b}[2Jall is well\u{202e}").with_status(500),
            "status 500: \\u{1b}[2Jall is well\\u{202e}",
        ),
        (
            Reply::text(&"x".repeat(5_000)).with_status(500),
            &format!("status 500: {}…", "x".repeat(200)),
        ),
        (
            Reply::text("{}").header("content-encoding", "gzip"),
            "the encoding \"gzip\", which was not asked for; a rule with `decompressed_bytes`",
        ),
        (
            Reply::text("\u{fffd}")
                .with_status(500)
                .header("content-encoding", "br"),
            "status 500: a body with the encoding \"br\"",
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
            Kind::Timeout("slow".to_owned()),
            Status::Failed,
            Some("timeout"),
        ),
        (Kind::Cancelled, Status::Cancelled, Some("cancelled")),
        (refused(), Status::Failed, None),
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
    // The host lets a cancelled call go on for a grace of five seconds.
    assert_eq!(cx.now(), Duration::from_secs(8));

    let host = Host::new().cancel_at(Duration::from_millis(100)).on(
        Method::Get,
        URL,
        Reply::fails(refused()),
    );
    assert!(
        get(&host.context("shop")).unwrap_err().is_cancelled(),
        "in the pause between attempts"
    );

    let quick = Reply::status(200).takes(Duration::from_secs(4));
    let host = Host::new()
        .cancel_at(Duration::ZERO)
        .on(Method::Get, URL, quick);
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
    assert!(is_late(request.send().unwrap_err().kind()));
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
    assert!(is_late(late.outcome.unwrap_err().kind()));
    assert!(
        cx.now() <= Duration::from_secs(7),
        "although others kept answering"
    );
}
