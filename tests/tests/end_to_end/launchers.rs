//! The launchers themselves, with the real nginx and the real ab.

use std::io::{Read, Write};
use std::net::TcpStream;

use servo_tests::ab::{Ab, AbError};
use servo_tests::nginx::{Excess, Limit, Nginx, NginxError};
use servo_tests::program::{AB, NGINX, present};

/// The status and the body.
fn get(nginx: &Nginx, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(nginx.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    (status.to_owned(), body.to_owned())
}

#[test]
fn nginx_serves_what_it_was_told_and_nothing_else() {
    if !present("nginx_serves_what_it_was_told_and_nothing_else", &[NGINX]) {
        return;
    }
    let nginx = Nginx::builder()
        .file("/data.json", "{\"a\": \"$x\"}\n")
        .answer("/health", 200, "fine; really {yes}")
        .answer("/teapot", 418, "short and stout")
        .start()
        .unwrap();
    for (path, status, body) in [
        ("/data.json", "200", "{\"a\": \"$x\"}\n"),
        ("/health", "200", "fine; really {yes}"),
        ("/teapot", "418", "short and stout"),
    ] {
        assert_eq!(get(&nginx, path), (status.to_owned(), body.to_owned()));
    }
    for path in ["/", "/data.json/", "/health/x", "/nginx.conf"] {
        assert_eq!(get(&nginx, path).0, "404", "{path}");
    }
    let log = nginx.access_log().unwrap();
    assert_eq!(log.first().unwrap(), "GET /data.json HTTP/1.0 200");
    assert_eq!(log.len(), 7, "{log:?}");
}

#[test]
fn two_at_a_time_have_ports_of_their_own_and_are_gone_when_dropped() {
    if !present(
        "two_at_a_time_have_ports_of_their_own_and_are_gone_when_dropped",
        &[NGINX],
    ) {
        return;
    }
    let one = Nginx::builder().answer("/", 200, "one").start().unwrap();
    let two = Nginx::builder().answer("/", 200, "two").start().unwrap();
    assert_eq!(get(&one, "/").1, "one");
    assert_eq!(get(&two, "/").1, "two");
    let address = one.address();
    drop(one);
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(get(&two, "/").1, "two");
}

#[test]
fn what_nginx_would_misread_is_refused() {
    if !present("what_nginx_would_misread_is_refused", &[NGINX]) {
        return;
    }
    for builder in [
        Nginx::builder().answer("/ {", 200, ""),
        Nginx::builder().answer("relative", 200, ""),
        Nginx::builder().answer("/", 200, "costs $5"),
        Nginx::builder().answer("/", 200, "say \"hi\""),
    ] {
        let error = builder.start().unwrap_err();
        assert!(matches!(error, NginxError::Unquotable(_)), "{error}");
    }
    let nothing = Limit {
        per_second: 0,
        burst: 0,
        excess: Excess::Waits,
    };
    let error = Nginx::builder().limited_file("/f", "", nothing).start();
    assert!(matches!(error.unwrap_err(), NginxError::NoRate(_)));
    // A configuration that nginx itself refuses: its own words are in the error.
    let error = Nginx::builder().answer("/", 9999, "x").start().unwrap_err();
    assert!(error.to_string().contains("invalid return code"), "{error}");
}

#[test]
fn a_limit_bounds_the_throughput_that_ab_sees() {
    if !present("a_limit_bounds_the_throughput_that_ab_sees", &[NGINX, AB]) {
        return;
    }
    let limit = |burst, excess| Limit {
        per_second: 100,
        burst,
        excess,
    };
    let nginx = Nginx::builder()
        .file("/free", "free")
        .limited_file("/waits", "waits", limit(20, Excess::Waits))
        .limited_file("/passes", "passes", limit(5, Excess::Passes))
        .start()
        .unwrap();

    // 61 requests at 100 a second: one at once, the last 600 ms later. A slow
    // machine can only make it fewer.
    let figures = Ab::requests(8, 61).run(&nginx.url("/waits")).unwrap();
    assert_eq!(
        (figures.complete, figures.failed, figures.non_2xx),
        (61, 0, 0)
    );
    assert!(figures.requests_per_second <= 102.0, "{figures:?}");

    // What exceeds rate and burst is answered with 503, which is no failure to
    // ab. A machine so slow that nothing exceeds them fails no assertion here.
    let figures = Ab::requests(8, 61).run(&nginx.url("/passes")).unwrap();
    assert_eq!((figures.complete, figures.failed), (61, 0));
    let most_served = 1.0 + 5.0 + figures.time_taken * 100.0 + 1.0;
    let served = (figures.complete - figures.non_2xx) as f64;
    assert!(served <= most_served, "{figures:?}");

    let figures = Ab::requests(4, 200)
        .keep_alive()
        .run(&nginx.url("/free"))
        .unwrap();
    assert_eq!(
        (figures.complete, figures.failed, figures.non_2xx),
        (200, 0, 0)
    );
    assert_eq!(figures.kept_alive, 200);
}

#[test]
fn ab_that_reaches_nobody_is_an_error_with_its_words() {
    if !present("ab_that_reaches_nobody_is_an_error_with_its_words", &[AB]) {
        return;
    }
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let error = Ab::requests(1, 1)
        .run(&format!("http://{closed}/"))
        .unwrap_err();
    let AbError::Failed { stderr, .. } = error else {
        panic!("{error}");
    };
    assert!(stderr.contains("Connection refused"), "{stderr}");
}
