//! The original servo, as far as a service can tell.
//!
//! What it sends was recorded from the script itself (commit 9a27c5b, Python
//! 3.11, requests 2.34): the head with its fields in order, the spacing and the
//! escapes of Python's JSON, successes without a status, the connection that is
//! closed after every description, the request that is repeated for ever on
//! any error. This client sends the same bytes. It differs in two things, both
//! for the tests' sake: the waits before it repeats are short, and an answer
//! that takes 5 s is an error, since the original has no timeout and a service
//! must not rely on one.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// Longest that the service may take for an answer.
const ANSWERED: Duration = Duration::from_secs(5);
/// Repetitions of one request after which the test has failed; the original
/// goes on for ever.
const ENOUGH: u32 = 500;
/// Largest answer that is read.
const MAX_ANSWER: u64 = 1024 * 1024;

/// What a driver run leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// This is the `param` of the report.
    Report(Value),
    /// Nothing: a result with NaN, which the HTTP library refuses to send.
    Nothing,
}

/// The two driver scripts.
pub trait Drivers {
    /// The descriptor.
    fn describe(&mut self) -> Value;
    /// A measurement; `param` is that of the command.
    fn measure(&mut self, param: &Value) -> Ended;
    /// An adjustment.
    fn adjust(&mut self, param: &Value) -> Ended;
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// The client.
#[derive(Debug)]
pub struct Original {
    address: SocketAddr,
    path: String,
    token: Option<String>,
    wait: Duration,
    connection: Option<BufReader<TcpStream>>,
    /// Requests that were repeated, since an answer was an error or lost.
    pub repeated: u32,
}

impl Original {
    /// A servo that posts to `path` of `address`. `wait` stands for the 20 s
    /// before a request is repeated.
    #[must_use]
    pub fn new(address: SocketAddr, path: &str, token: Option<&str>, wait: Duration) -> Self {
        Self {
            address,
            path: path.to_owned(),
            token: token.map(str::to_owned),
            wait,
            connection: None,
            repeated: 0,
        }
    }

    /// The bytes of a request.
    #[must_use]
    pub fn request(&self, body: &str) -> Vec<u8> {
        let token = match &self.token {
            Some(token) => format!("Authorization: Bearer {token}\r\n"),
            None => String::new(),
        };
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: python-requests/2.34.2\r\n\
             Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n\
             {token}Content-Length: {}\r\nContent-Type: application/json\r\n\r\n{body}",
            self.path,
            self.address,
            body.len()
        )
        .into_bytes()
    }

    /// Sends a body once.
    ///
    /// # Errors
    /// When the connection fails, or the answer takes 5 s.
    pub fn post(&mut self, body: &str) -> io::Result<Answer> {
        let request = self.request(body);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWERED))?;
                BufReader::new(stream)
            }
        };
        connection.get_mut().write_all(&request)?;
        let (answer, keep) = read(&mut connection)?;
        if keep {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// Sends an event until it is answered below 400 and in JSON.
    ///
    /// # Errors
    /// When there is no end to it.
    pub fn send(&mut self, event: &str, param: &Value) -> io::Result<Value> {
        let body = python(&json!({ "event": event, "param": param }));
        let mut problem = String::new();
        for attempt in 0..ENOUGH {
            if attempt > 0 {
                self.repeated += 1;
                // The first repetition of this one comes sooner.
                let share = if event == "WHATS_NEXT" && attempt == 1 {
                    20
                } else {
                    1
                };
                std::thread::sleep(self.wait / share);
            }
            match self.post(&body) {
                Ok(answer) if answer.status < 400 => match serde_json::from_str(&answer.body) {
                    Ok(value) => {
                        if event == "DESCRIPTION" {
                            self.connection = None;
                        }
                        return Ok(value);
                    }
                    Err(_) => problem = format!("{answer:?}"),
                },
                Ok(answer) => problem = format!("{answer:?}"),
                Err(error) => problem = error.to_string(),
            }
        }
        Err(io::Error::other(format!("{event} is not taken: {problem}")))
    }

    /// A report of progress: tried twice.
    fn progress(&mut self, event: &str, percent: u32, message: &str) -> io::Result<Value> {
        let param = json!({ "progress": percent, "runtime": 0, "message": message });
        let body = python(&json!({ "event": event, "param": param }));
        let answer = match self.post(&body) {
            Ok(answer) if answer.status < 400 => answer,
            _ => {
                self.repeated += 1;
                std::thread::sleep(self.wait);
                self.post(&body)?
            }
        };
        if answer.status >= 400 {
            return Err(io::Error::other("No more retries left"));
        }
        serde_json::from_str(&answer.body).map_err(io::Error::other)
    }

    /// Says hello.
    ///
    /// # Errors
    /// As [`Original::send`].
    pub fn hello(&mut self) -> io::Result<Value> {
        self.send("HELLO", &json!({ "agent": "github.com/opsani/servo" }))
    }

    /// One turn of the loop: asks, works, reports. The command.
    ///
    /// # Errors
    /// When the service cannot be reached or answers what makes the original
    /// spin.
    pub fn turn(&mut self, drivers: &mut dyn Drivers) -> io::Result<Value> {
        let command = self.send("WHATS_NEXT", &Value::Null)?;
        let name = command.get("cmd").and_then(Value::as_str).unwrap_or("");
        let Some(param) = command.get("param") else {
            return Err(io::Error::other(format!("it spins on {command}")));
        };
        match name {
            "DESCRIBE" => {
                let report = json!({ "descriptor": drivers.describe(), "status": "ok" });
                self.send("DESCRIPTION", &report)?;
            }
            "MEASURE" => {
                self.operation("MEASUREMENT", |drivers| drivers.measure(param), drivers)?
            }
            "ADJUST" => self.operation("ADJUSTMENT", |drivers| drivers.adjust(param), drivers)?,
            "SLEEP" => {
                let duration = param.get("duration").and_then(Value::as_f64);
                if duration.is_none_or(|seconds| seconds < 1.0) {
                    return Err(io::Error::other(format!("it does not rest on {command}")));
                }
            }
            _ => return Err(io::Error::other(format!("it spins on {command}"))),
        }
        Ok(command)
    }

    fn operation(
        &mut self,
        event: &str,
        run: impl FnOnce(&mut dyn Drivers) -> Ended,
        drivers: &mut dyn Drivers,
    ) -> io::Result<()> {
        let reason = |answer: &Value| {
            (answer.get("status") == Some(&json!("cancel"))).then(|| {
                let reason = answer.get("reason").and_then(Value::as_str);
                reason.unwrap_or("no reason given").to_owned()
            })
        };
        let report = match self.progress(event, 0, "starting driver") {
            Err(error) => json!({ "status": "failed", "message": error.to_string() }),
            Ok(answer) => match reason(&answer) {
                // The driver is never started.
                Some(reason) => {
                    json!({ "status": "failed", "message": format!("CancelDriverException: {reason}") })
                }
                None => match (self.progress(event, 50, "halfway"), run(drivers)) {
                    (Err(error), _) => json!({ "status": "failed", "message": error.to_string() }),
                    // The driver is killed, and the reason is lost.
                    (Ok(answer), _) if reason(&answer).is_some() => {
                        json!({ "status": "nodata", "message": "stderr:\n", "reason": "undefined" })
                    }
                    (Ok(_), Ended::Nothing) => return Ok(()),
                    (Ok(_), Ended::Report(report)) => report,
                },
            },
        };
        self.send(event, &report).map(drop)
    }

    /// Turns until it is told to sleep; that command.
    ///
    /// # Errors
    /// As [`Original::turn`].
    pub fn play(&mut self, drivers: &mut dyn Drivers) -> io::Result<Value> {
        loop {
            let command = self.turn(drivers)?;
            if command.get("cmd") == Some(&json!("SLEEP")) {
                return Ok(command);
            }
        }
    }
}

/// Reads one answer, and whether the connection stays.
fn read(connection: &mut BufReader<TcpStream>) -> io::Result<(Answer, bool)> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no answer: {line:?}")))?;
    let (mut length, mut keep) = (None, true);
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let field = line.trim_end().to_ascii_lowercase();
        match field.split_once(": ") {
            Some(("content-length", value)) => length = value.parse::<u64>().ok(),
            Some(("connection", "close")) => keep = false,
            Some(_) => {}
            None if field.is_empty() => break,
            None => return Err(io::Error::other(format!("a bad field: {line:?}"))),
        }
    }
    let length = length
        .filter(|length| *length <= MAX_ANSWER)
        .ok_or_else(|| io::Error::other("an answer without a length"))?;
    let mut body = String::new();
    connection.take(length).read_to_string(&mut body)?;
    Ok((Answer { status, body }, keep))
}

/// JSON as Python writes it: a blank after commas and colons, nothing but
/// ASCII.
#[must_use]
pub fn python(value: &Value) -> String {
    let mut text = String::new();
    put(&mut text, value);
    text
}

fn put(text: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            text.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                put_text(text, name);
                text.push_str(": ");
                put(text, value);
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for (at, value) in values.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                put(text, value);
            }
            text.push(']');
        }
        Value::String(found) => put_text(text, found),
        other => text.push_str(&other.to_string()),
    }
}

fn put_text(text: &mut String, found: &str) {
    let quoted = Value::from(found).to_string();
    for each in quoted.chars() {
        if each.is_ascii() {
            text.push(each);
            continue;
        }
        // In two halves above the basic plane.
        for unit in each.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
}

#[cfg(test)]
mod tests;
