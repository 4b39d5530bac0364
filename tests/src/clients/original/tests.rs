//! The client sends what was recorded.

use std::net::TcpListener;

use super::*;

/// The bodies of the recorded cycle, in order, with what the stub answered.
const CYCLE: [(&str, &str); 12] = [
    (
        r#"{"event": "HELLO", "param": {"agent": "github.com/opsani/servo"}}"#,
        r#"{"status": "ok"}"#,
    ),
    (
        r#"{"event": "WHATS_NEXT", "param": null}"#,
        r#"{"cmd": "DESCRIBE", "param": {}}"#,
    ),
    (
        r#"{"event": "DESCRIPTION", "param": {"descriptor": {"application": {"components": {"web": {"settings": {"cpu": {"type": "range", "min": 0.5, "max": 4, "step": 0.25, "value": 1.0, "unit": "cores"}, "inst_type": {"type": "enum", "values": ["m5.large", "m5.xlarge"], "value": "m5.large"}}}}}, "measurement": {"metrics": {"throughput": {"unit": "rps"}, "error_rate": {"unit": "percent"}}}, "optimization": {"perf": "throughput / (1 + error_rate)"}}, "status": "ok"}}"#,
        r#"{"status": "ok"}"#,
    ),
    (
        r#"{"event": "WHATS_NEXT", "param": null}"#,
        r#"{"cmd": "MEASURE", "param": {"metrics": ["throughput", "error_rate"], "control": {"duration": 2}}}"#,
    ),
    (
        r#"{"event": "MEASUREMENT", "param": {"progress": 0, "runtime": 0, "message": "starting driver"}}"#,
        r#"{"status": "ok"}"#,
    ),
    (
        r#"{"event": "MEASUREMENT", "param": {"progress": 50, "runtime": 0, "message": "halfway"}}"#,
        r#"{"status": "ok"}"#,
    ),
    (
        r#"{"event": "MEASUREMENT", "param": {"metrics": {"throughput": {"value": 104.5, "unit": "rps"}, "error_rate": {"value": 0.25, "unit": "percent"}}, "annotations": {"note": "from shell driver"}}}"#,
        r#"{"status": "ok"}"#,
    ),
    (
        r#"{"event": "WHATS_NEXT", "param": null}"#,
        r#"{"cmd": "ADJUST", "param": {"state": {"application": {"components": {"web": {"settings": {"cpu": {"value": 1.5}, "inst_type": {"value": "m5.xlarge"}}}}}}, "control": {"settlement": 0}}}"#,
    ),
    (
        r#"{"event": "ADJUSTMENT", "param": {"progress": 0, "runtime": 0, "message": "starting driver"}}"#,
        r#"{"status": "ok"}"#,
    ),
    (
        r#"{"event": "ADJUSTMENT", "param": {"progress": 50, "runtime": 0, "message": "halfway"}}"#,
        r#"{"status": "ok"}"#,
    ),
    (
        r#"{"event": "ADJUSTMENT", "param": {"state": {"application": {"components": {"web": {"settings": {"cpu": {"value": 1.5}, "inst_type": {"value": "m5.xlarge"}}}}}}}}"#,
        r#"{"status": "ok"}"#,
    ),
    (
        r#"{"event": "WHATS_NEXT", "param": null}"#,
        r#"{"cmd": "SLEEP", "param": {"duration": 2, "data": {"reason": "no active optimization pipeline"}}}"#,
    ),
];

/// As the recorded drivers answered.
struct Recorded;

impl Drivers for Recorded {
    fn describe(&mut self) -> Value {
        let body: Value = serde_json::from_str(CYCLE[2].0).unwrap();
        body["param"]["descriptor"].clone()
    }

    fn measure(&mut self, _: &Value) -> Ended {
        let body: Value = serde_json::from_str(CYCLE[6].0).unwrap();
        Ended::Report(body["param"].clone())
    }

    fn adjust(&mut self, param: &Value) -> Ended {
        Ended::Report(json!({ "state": param["state"] }))
    }
}

/// Takes connections and answers from the script; the requests of each.
fn stub(listener: TcpListener) -> Vec<Vec<String>> {
    let mut connections: Vec<Vec<String>> = Vec::new();
    let mut script = CYCLE.iter();
    while script.len() > 0 {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut requests = Vec::new();
        'requests: while script.len() > 0 {
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") {
                if reader.read_line(&mut request).unwrap() == 0 {
                    break 'requests;
                }
            }
            let length = request.split("Content-Length: ").nth(1).unwrap();
            let length: u64 = length.split("\r\n").next().unwrap().parse().unwrap();
            (&mut reader)
                .take(length)
                .read_to_string(&mut request)
                .unwrap();
            requests.push(request);
            let answer = script.next().unwrap().1;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            reader
                .get_mut()
                .write_all((head + answer).as_bytes())
                .unwrap();
        }
        connections.push(requests);
    }
    connections
}

#[test]
fn the_recorded_cycle_is_sent_byte_for_byte() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let stub = std::thread::spawn(move || stub(listener));
    let path = "/accounts/acme/applications/shop/servo";
    let mut servo = Original::new(address, path, Some("tok-123"), Duration::from_millis(1));
    servo.hello().unwrap();
    servo.play(&mut Recorded).unwrap();
    let connections = stub.join().unwrap();
    // A new one after the description.
    let lengths: Vec<usize> = connections.iter().map(Vec::len).collect();
    assert_eq!(lengths, [3, 9]);
    for (request, (body, _)) in connections.iter().flatten().zip(CYCLE) {
        let expected = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: python-requests/2.34.2\r\n\
             Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n\
             Authorization: Bearer tok-123\r\nContent-Length: {}\r\n\
             Content-Type: application/json\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(request, &expected);
    }
    assert_eq!(servo.repeated, 0);
}

#[test]
fn json_is_pythons() {
    let value = json!({"a": [1, 2.5, true, null], "\u{e4}\"": "\u{1f600}\n"});
    assert_eq!(
        python(&value),
        r#"{"a": [1, 2.5, true, null], "\u00e4\"": "\ud83d\ude00\n"}"#
    );
    assert_eq!(python(&json!({})), "{}");
}
