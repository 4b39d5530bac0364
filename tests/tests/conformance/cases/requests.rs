//! Cases 1 to 6 and 32 to 34: addresses, headers, waits.

use std::sync::Arc;

use serde_json::{Value, json};
use servo_agent::{
    Drivers, HttpConfig, HttpTransport, Servo, ServoConfig, Token, parse_url, service_url,
};
use servo_egress::{Gate, Owner, SystemResolver};
use servo_tests::workspace::Workspace;

use crate::expect::{compare, goodbye, hello, next, some};
use crate::loopback::Loopback;
use crate::stage::{Reply, Scene, Script, To, command};

/// Greets, asks and says farewell over a socket; what the socket saw.
async fn over_http(
    address: impl FnOnce(&Loopback) -> String,
    token: Option<Token>,
) -> Vec<(String, axum::http::HeaderMap)> {
    let script = Script::new(vec![]);
    let stub = Loopback::start(&script).await;
    let gate = Gate::new(Arc::new(SystemResolver)).unwrap();
    let service = HttpConfig {
        url: parse_url(&address(&stub)).unwrap(),
        token,
        allow_plaintext: false,
    };
    let transport = HttpTransport::new(&gate, Owner::default(), service).unwrap();
    let mut config = ServoConfig::new("app");
    config.agent = "an agent of this test".to_owned();
    let servo = Servo::new(config, Drivers::default(), Arc::new(transport));
    script.run(servo).await;
    let expected = [
        some("HELLO", json!({"agent": "an agent of this test"})),
        some("WHATS_NEXT", Value::Null),
        some("GOODBYE", json!({"reason": "SIGTERM"})),
    ];
    compare("over HTTP", &script.seen(), &expected);
    let heads = stub.heads();
    for (_, headers) in &heads {
        assert_eq!(headers["content-type"], "application/json");
    }
    heads
}

pub async fn case_01() {
    let heads = over_http(|stub| stub.url("/any/path%20as?it=is&%41"), None).await;
    for (path, headers) in heads {
        assert_eq!(path, "/any/path%20as?it=is&%41");
        assert!(!headers.contains_key("authorization"), "{headers:?}");
    }
}

pub async fn case_02() {
    let folder = Workspace::new().unwrap();
    let file = folder.write("token", "  t0k\n\n").unwrap();
    let token = Token::read(&file).unwrap();
    let heads = over_http(|stub| stub.url("/"), Some(token)).await;
    assert_eq!(heads.len(), 3);
    for (_, headers) in heads {
        assert_eq!(headers["authorization"], "Bearer t0k");
    }
}

pub async fn case_03() {
    let address = |account: &'static str, app: &'static str| {
        move |stub: &Loopback| {
            service_url(&stub.url("/"), account, app)
                .unwrap()
                .to_string()
        }
    };
    for (path, _) in over_http(address("acme", "shop"), None).await {
        assert_eq!(path, "/accounts/acme/applications/shop/servo");
    }
    // What the original left as it was, and what changed the address.
    for (path, _) in over_http(address("a/b", "shop ?#"), None).await {
        assert_eq!(path, "/accounts/a%2Fb/applications/shop%20%3F%23/servo");
    }
}

/// The same in both manners.
async fn both(scene: impl Fn() -> Scene) {
    scene().play().await;
    scene().compat().play().await;
}

pub async fn case_04() {
    both(|| {
        let busy = || (To::Hello, Reply::Status(503));
        Scene::new("HELLO answered 503, 503, 200", vec![busy(), busy()]).expect(vec![
            hello(0.0),
            hello(20.0),
            hello(40.0),
            next(40.0),
            goodbye(40.0, "SIGTERM"),
        ])
    })
    .await;
    // A refusal is repeated too; ours ever more slowly.
    let refusals = || (0..5).map(|_| (To::Hello, Reply::Status(401))).collect();
    for (compat, waits) in [
        (false, [20.0, 60.0, 140.0, 300.0, 600.0]),
        (true, [20.0, 40.0, 60.0, 80.0, 100.0]),
    ] {
        let last = waits[4];
        let mut expected = vec![hello(0.0)];
        expected.extend(waits.map(hello));
        expected.extend([next(last), goodbye(last, "SIGTERM")]);
        let scene = Scene::new("HELLO answered 401", refusals()).expect(expected);
        let scene = if compat { scene.compat() } else { scene };
        scene.play().await;
    }
}

pub async fn case_05() {
    both(|| {
        let answers = vec![
            (To::Next, Reply::Status(500)),
            (To::Next, Reply::Status(500)),
            command("SLEEP", json!({"duration": 7})),
        ];
        Scene::new("WHATS_NEXT answered 500, 500, command", answers).expect(vec![
            hello(0.0),
            next(0.0),
            next(1.0),
            next(21.0),
            next(28.0),
            goodbye(28.0, "SIGTERM"),
        ])
    })
    .await;
}

pub async fn case_06() {
    both(|| {
        let answers = vec![
            (To::Next, Reply::Text("oops")),
            (To::Next, Reply::Text("[]")),
        ];
        Scene::new(
            "WHATS_NEXT answered with no JSON, and with no object",
            answers,
        )
        .expect(vec![
            hello(0.0),
            next(0.0),
            next(1.0),
            next(21.0),
            goodbye(21.0, "SIGTERM"),
        ])
    })
    .await;
}

/// SLEEP with a parameter takes so many seconds, and nothing is sent meanwhile.
async fn sleeps(param: Value, seconds: f64) {
    both(|| {
        Scene::new("SLEEP", vec![command("SLEEP", param.clone())]).expect(vec![
            hello(0.0),
            next(0.0),
            next(seconds),
            goodbye(seconds, "SIGTERM"),
        ])
    })
    .await;
}

pub async fn case_32() {
    sleeps(json!({"duration": 3}), 3.0).await;
    sleeps(json!({"duration": "1m30s"}), 90.0).await;
}

pub async fn case_33() {
    for param in [
        json!({"duration": "x"}),
        Value::Null,
        json!({}),
        json!({"duration": null}),
    ] {
        sleeps(param, 120.0).await;
    }
}

pub async fn case_34() {
    both(|| {
        let answers = vec![
            command("DANCE", json!({})),
            (To::Next, Reply::Json(json!({"status": "ok"}))),
            (To::Next, Reply::Json(json!({"cmd": "MEASURE"}))),
            command("ADJUST", Value::Null),
            command("MEASURE", json!({"control": null})),
        ];
        // The original asks again at once, for ever; no service relies on that.
        Scene::new("answers that are no command", answers).expect(vec![
            hello(0.0),
            next(0.0),
            next(1.0),
            next(3.0),
            next(7.0),
            next(15.0),
            next(31.0),
            goodbye(31.0, "SIGTERM"),
        ])
    })
    .await;
}
