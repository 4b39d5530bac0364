use serde_json::{Value, json};
use servo_protocol::{Control, Failure, Operation, Seconds, Status, StatusReply};

use self::play::{Play, described, descriptor, failed, measured, plan, throughput};
use super::finish::MAX_RETURNS;
use super::state::MAX_TRIES;
use super::*;
use crate::options::StudyOptions;

mod away;
mod drift;
mod in_force;
mod play;
mod properties;
mod recovery;
mod study;
mod verify;

fn found() -> Value {
    json!({"application": {"components": {"web": {"settings": {"cpu": {"value": 2}, "gc": {"value": "serial"}}}}}})
}

fn reply(reply: Reply) -> StatusReply {
    match reply {
        Reply::Status(status) => status,
        other => panic!("{other:?}"),
    }
}
