//! Every decision leaves one audit event, without the query.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use common::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() != "message" {
            write!(self.0, "{}={value:?} ", field.name()).unwrap();
        }
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "servo::audit"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0.trim_end().to_owned());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn one_event_per_decision() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let server = Server::ok().await;
    let port = server.port();
    let lines = [
        format!("GET http://{}/", server.address),
        format!("GET http://in.test:{port}/"),
    ];
    let lane = lane(Scripted::new(&[&["169.254.169.254"]]), rules(&lines, true));
    for url in [
        server.url("/x?token=hush"),
        "http://b.test/x?token=hush".to_owned(),
        format!("http://in.test:{port}/y?token=hush"),
    ] {
        let _ = send(&lane, get(&url)).await;
    }
    let who = "tenant=acme servo=shop driver=measure";
    // An address is known to be refused only once its name is looked up: the
    // rule had allowed the request.
    assert_eq!(
        *recorder.0.lock().unwrap(),
        [
            format!(
                "{who} rule=0 request=GET {} verdict=\"allowed\"",
                server.url("/x")
            ),
            format!("{who} request=\"GET http://b.test/x\" verdict=\"no rule\""),
            format!("{who} rule=1 request=GET http://in.test:{port}/y verdict=\"allowed\""),
            format!("{who} request=\"GET http://in.test:{port}/y\" verdict=\"address\""),
        ]
    );
}
