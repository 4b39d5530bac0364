//! The stage on which a case is played: a service that follows a script,
//! drivers that follow a script, and what the service is to see.
//!
//! Everything about a scene is data. The service answers from a queue for each
//! kind of request, `ok` once a queue is empty, and stops the servo when it is
//! asked for a command it does not have. It keeps every request with its time
//! by the clock of tokio, which stands still in scenes of seconds and minutes
//! and runs where real programs or sockets play.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{
    Compat, Drivers, EnvironmentCheck, HttpAnswer, Servo, ServoConfig, ServoHandle, StopReason,
    Transport, TransportError,
};
use servo_protocol::Envelope;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::acting::Acting;
use crate::expect::{Seen, compare};

/// What the service does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with this JSON.
    Json(Value),
    /// Answers with this text.
    Text(&'static str),
    /// Answers with this status.
    Status(u16),
    /// Signals the servo as SIGTERM does, then does the other thing.
    Terminate(Box<Reply>),
    /// Signals the servo as SIGUSR1 or SIGHUP does, after a time; does the other
    /// thing at once.
    Later(f64, StopReason, Box<Reply>),
}

/// Which requests a reply is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum To {
    Hello,
    Next,
    Progress,
    Final,
    Goodbye,
}

/// An answer to WHATS_NEXT: a command.
pub fn command(name: &str, param: Value) -> (To, Reply) {
    (To::Next, Reply::Json(json!({"cmd": name, "param": param})))
}

/// MEASURE of one metric, with a control.
pub fn measure(control: Value) -> (To, Reply) {
    command("MEASURE", json!({"metrics": ["m"], "control": control}))
}

/// A state in which one setting has a value.
pub fn state(cpu: f64) -> Value {
    json!({"application": {"components": {"web": {"settings": {"cpu": {"value": cpu}}}}}})
}

/// The answer that cancels.
pub fn cancel(reason: &str) -> Reply {
    Reply::Json(json!({"status": "cancel", "reason": reason}))
}

/// The answer to everything that needs none.
pub fn ok() -> Reply {
    Reply::Json(json!({"status": "ok"}))
}

/// One play of a case.
pub struct Scene {
    /// What is different about it.
    pub name: &'static str,
    /// As the original.
    pub compat: bool,
    pub answers: Vec<(To, Reply)>,
    /// What else is configured.
    pub with: fn(&mut ServoConfig),
    pub measure: Option<Arc<Acting>>,
    pub adjust: Option<Arc<Acting>>,
    pub environment: Option<Arc<dyn EnvironmentCheck>>,
    /// Every request in order.
    pub expect: Vec<Seen>,
}

impl Scene {
    pub fn new(name: &'static str, answers: Vec<(To, Reply)>) -> Self {
        Self {
            name,
            compat: false,
            answers,
            with: |_| {},
            measure: None,
            adjust: None,
            environment: None,
            expect: Vec::new(),
        }
    }

    pub fn compat(self) -> Self {
        Self {
            compat: true,
            ..self
        }
    }

    pub fn with(self, with: fn(&mut ServoConfig)) -> Self {
        Self { with, ..self }
    }

    pub fn measure(self, driver: &Arc<Acting>) -> Self {
        Self {
            measure: Some(Arc::clone(driver)),
            ..self
        }
    }

    pub fn adjust(self, driver: &Arc<Acting>) -> Self {
        Self {
            adjust: Some(Arc::clone(driver)),
            ..self
        }
    }

    pub fn environment(self, check: Arc<dyn EnvironmentCheck>) -> Self {
        Self {
            environment: Some(check),
            ..self
        }
    }

    pub fn expect(self, expect: Vec<Seen>) -> Self {
        Self { expect, ..self }
    }

    fn config(&self) -> ServoConfig {
        let mut config = ServoConfig::new("shop");
        // Jitter has tests of its own; here waits are told by the second.
        config.retry = config.retry.without_jitter();
        if self.compat {
            config.compat = Compat::original();
        }
        (self.with)(&mut config);
        config
    }

    /// Plays it to its end, and compares what the service saw.
    pub async fn play(self) -> StopReason {
        let name = if self.compat {
            format!("{} (--compat)", self.name)
        } else {
            self.name.to_owned()
        };
        let drivers = Drivers {
            measure: self.measure.clone().map(|driver| driver as _),
            adjust: self.adjust.clone().map(|driver| driver as _),
        };
        let config = self.config();
        let script = Script::new(self.answers);
        let transport: Arc<dyn Transport> = script.clone();
        let mut servo = Servo::new(config, drivers, transport);
        if let Some(check) = self.environment {
            servo = servo.with_environment(check);
        }
        let reason = script.run(servo).await;
        compare(&name, &script.seen(), &self.expect);
        for driver in [self.measure, self.adjust].into_iter().flatten() {
            assert_eq!(driver.running(), 0, "{name}: a step is left running");
        }
        reason
    }
}

/// The service.
pub struct Script {
    began: Instant,
    answers: Mutex<HashMap<To, VecDeque<Reply>>>,
    seen: watch::Sender<Vec<Seen>>,
    handle: OnceLock<ServoHandle>,
}

impl Script {
    pub fn new(answers: Vec<(To, Reply)>) -> Arc<Self> {
        let mut queues: HashMap<To, VecDeque<Reply>> = HashMap::new();
        for (to, reply) in answers {
            queues.entry(to).or_default().push_back(reply);
        }
        Arc::new(Self {
            began: Instant::now(),
            answers: Mutex::new(queues),
            seen: watch::channel(Vec::new()).0,
            handle: OnceLock::new(),
        })
    }

    /// Runs a servo that talks to this service until it is stopped.
    pub async fn run(&self, servo: Servo) -> StopReason {
        assert!(self.handle.set(servo.handle()).is_ok());
        servo.run().await
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits until so many requests of an event came.
    pub async fn until(&self, event: &str, times: usize) {
        let enough = |seen: &Vec<Seen>| seen.iter().filter(|it| it.event == event).count() >= times;
        let mut seen = self.seen.subscribe();
        assert!(seen.wait_for(enough).await.is_ok());
    }

    /// Takes a request; status and body of the answer.
    pub fn take(&self, body: &Value) -> (u16, String) {
        let event = body["event"].as_str().unwrap().to_owned();
        let to = match event.as_str() {
            "HELLO" => To::Hello,
            "WHATS_NEXT" => To::Next,
            "GOODBYE" => To::Goodbye,
            _ if body["param"].get("progress").is_some() => To::Progress,
            _ => To::Final,
        };
        let seen = Seen {
            at: self.began.elapsed().as_secs_f64(),
            event,
            param: body["param"].clone(),
        };
        self.seen.send_modify(|all| all.push(seen));
        let reply = self
            .answers
            .lock()
            .unwrap()
            .entry(to)
            .or_default()
            .pop_front();
        self.reply(match reply {
            Some(reply) => reply,
            None if to == To::Next => {
                let sleep = Reply::Json(json!({"cmd": "SLEEP", "param": {}}));
                Reply::Terminate(Box::new(sleep))
            }
            None => ok(),
        })
    }

    fn reply(&self, reply: Reply) -> (u16, String) {
        match reply {
            Reply::Json(body) => (200, body.to_string()),
            Reply::Text(text) => (200, text.to_owned()),
            Reply::Status(status) => (status, json!({"message": "no"}).to_string()),
            Reply::Terminate(then) => {
                if let Some(handle) = self.handle.get() {
                    handle.stop_now(StopReason::Sigterm);
                }
                self.reply(*then)
            }
            Reply::Later(seconds, reason, then) => {
                let handle = self.handle.get().unwrap().clone();
                tokio::spawn(async move {
                    sleep(Duration::from_secs_f64(seconds)).await;
                    handle.stop_after_turn(reason);
                });
                self.reply(*then)
            }
        }
    }
}

#[async_trait]
impl Transport for Script {
    async fn post(&self, event: &Envelope) -> Result<HttpAnswer, TransportError> {
        let text = serde_json::to_string(event).unwrap();
        let (status, body) = self.take(&serde_json::from_str(&text).unwrap());
        Ok(HttpAnswer {
            status,
            body: body.into(),
            retry_after: None,
        })
    }
}
