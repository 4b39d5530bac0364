//! What must hold at the end of every run, whatever happened in it.
//!
//! Each rule looks from outside: at the service's store as anybody can open
//! it, at the application, at what the drivers saw, at what travelled. None
//! asks the servo.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;
use servo_agent::{FileJournal, Recovered};
use servo_optune::StudySummary;
use servo_optune::machine::{Snapshot, TrialState};
use servo_optune::store::Store;

use crate::application::{Application, Values, settings};
use crate::drivers::{Deed, Did};
use crate::office::shop;
use crate::servant::{Life, Sent};

/// How a command can have ended. `lost`: the operator's stop overtook it.
const STATUSES: [&str; 8] = [
    "ok",
    "failed",
    "rejected",
    "aborted",
    "cancelled",
    "transient-failure",
    "lost",
    "nodata",
];

/// Ends of commands without a report of the servo.
const UNREPORTED: [&str; 2] = ["lost", "nodata"];

/// Largest folder of a journal with nothing in hand: what is over goes with
/// the next record at the latest, and so does what a crash left.
const EMPTY_JOURNAL: u64 = 16 << 10;

/// Longest time until the first report of a call that goes on is answered or
/// lost.
const REPORT: f64 = 60.0;

/// Seconds by which times may differ without meaning anything.
const HAIR: f64 = 0.1;

/// What is left when a run has ended.
pub struct After {
    /// Folder of the service's store.
    pub data: PathBuf,
    /// Folder of the servo's journal.
    pub journal: PathBuf,
    /// How the study stands.
    pub summary: StudySummary,
    /// The values in force.
    pub values: Values,
    /// What the drivers did.
    pub effects: Vec<Deed>,
    /// Steps that run.
    pub alive: u64,
    /// Lives of the servo.
    pub lives: Vec<Life>,
    /// When its wall clock jumped, and by how many milliseconds.
    pub jumps: Vec<(f64, i64)>,
    /// Every final report it sent.
    pub sent: Vec<Sent>,
    /// Commands, and the calls that were begun to carry them out.
    pub calls: Vec<(String, String)>,
}

/// A command as the store keeps it.
struct Command {
    uid: String,
    operation: String,
    status: Option<String>,
}

impl After {
    fn store(&self) -> PathBuf {
        self.data.join("optune.db")
    }

    fn read_commands(&self) -> rusqlite::Result<Vec<Command>> {
        let store = Connection::open(self.store())?;
        let mut statement =
            store.prepare("SELECT uid, operation, status FROM commands ORDER BY seq")?;
        let rows = statement.query_map([], |row| {
            Ok(Command {
                uid: row.get(0)?,
                operation: row.get(1)?,
                status: row.get(2)?,
            })
        })?;
        rows.collect()
    }

    /// How many commands the service gave.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.read_commands().map_or(0, |commands| commands.len())
    }

    /// How many final reports the service took of each command.
    fn taken(&self) -> rusqlite::Result<BTreeMap<String, usize>> {
        let store = Connection::open(self.store())?;
        let mut statement = store.prepare("SELECT name, body FROM events ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        let mut taken = BTreeMap::new();
        for row in rows {
            let (_, body) = row?;
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            let uid = body.pointer("/param/cmd_uid").and_then(Value::as_str);
            if let Some(uid) = uid {
                *taken.entry(uid.to_owned()).or_default() += 1;
            }
        }
        Ok(taken)
    }

    fn snapshot(&self) -> Result<Snapshot, String> {
        let store = Store::open(Some(&self.store())).map_err(|error| error.to_string())?;
        let all = store.load().map_err(|error| error.to_string())?;
        all.into_iter()
            .find(|(app, _)| *app == shop())
            .map(|(_, snapshot)| snapshot)
            .ok_or_else(|| "the store holds no study".to_owned())
    }
}

/// Everything that is wrong.
#[must_use]
pub fn all(after: &After) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Err(error) = operations(after, &mut wrong) {
        wrong.push(format!("the store: {error}"));
    }
    sending(after, &mut wrong);
    once(after, &mut wrong);
    waits(after, &mut wrong);
    match after.snapshot() {
        Ok(snapshot) => ending(after, &snapshot, &mut wrong),
        Err(error) => wrong.push(error),
    }
    remains(after, &mut wrong);
    wrong
}

/// Each command ended, in a defined status, by exactly one report.
fn operations(after: &After, wrong: &mut Vec<String>) -> rusqlite::Result<()> {
    let taken = after.taken()?;
    for command in after.read_commands()? {
        let Command {
            uid,
            operation,
            status,
        } = command;
        let reports = taken.get(&uid).copied().unwrap_or_default();
        let Some(status) = status else {
            wrong.push(format!("{operation} {uid} has not ended"));
            continue;
        };
        if !STATUSES.contains(&status.as_str()) {
            wrong.push(format!("{operation} {uid} ended as `{status}`"));
        }
        let due = usize::from(!UNREPORTED.contains(&status.as_str()));
        if reports != due {
            wrong.push(format!(
                "{operation} {uid} ended as `{status}`, of {reports} reports"
            ));
        }
    }
    Ok(())
}

/// A report is sent again only when the servo cannot know that it arrived, and
/// says the same then.
fn sending(after: &After, wrong: &mut Vec<String>) {
    let mut last: BTreeMap<&str, &Sent> = BTreeMap::new();
    for sent in &after.sent {
        if let Some(before) = last.insert(&sent.uid, sent) {
            // Whoever died before it had the answer on disk cannot know.
            let knew = before.answered && before.upsets == sent.upsets;
            if knew {
                wrong.push(format!(
                    "the report of {} is sent again without need",
                    sent.uid
                ));
            }
            if before.kept && before.status != sent.status {
                wrong.push(format!(
                    "the report of {} says `{}`, then `{}`",
                    sent.uid, before.status, sent.status
                ));
            }
        }
    }
}

/// A command is carried out by one call, however often the servo dies: a second
/// one would mean that the result of the first was lost.
fn once(after: &After, wrong: &mut Vec<String>) {
    let mut calls: BTreeMap<&str, &str> = BTreeMap::new();
    for (uid, call) in &after.calls {
        let first = *calls.entry(uid).or_insert(call);
        if first != call {
            wrong.push(format!("{uid} is carried out by {first} and by {call}"));
        }
    }
}

/// No wait is begun anew, cut short or stretched, and each step is given what
/// the one before it left.
fn waits(after: &After, wrong: &mut Vec<String>) {
    let mut pauses: BTreeMap<&str, Vec<(f64, f64, &str)>> = BTreeMap::new();
    for deed in &after.effects {
        let left = pauses.entry(&deed.call).or_default();
        match &deed.did {
            Did::Pause(wait, state) => left.push((deed.at, wait.as_secs_f64(), state)),
            Did::Step(None) => {
                while left.last().is_some_and(|(at, ..)| after.died(*at)) {
                    left.pop();
                }
                if !left.is_empty() {
                    wrong.push(format!("call {}: begun anew after a pause", deed.call));
                }
            }
            Did::Step(Some(given)) => {
                // One that was not on disk when the servo died was never left.
                while left
                    .last()
                    .is_some_and(|(at, _, state)| state != given && after.died(*at))
                {
                    left.pop();
                }
                let Some((at, wait, state)) = left.last().copied() else {
                    wrong.push(format!("call {}: a later step without a pause", deed.call));
                    continue;
                };
                if given != state {
                    wrong.push(format!("call {}: given {given}, left {state}", deed.call));
                }
                let (least, most) = after.due(at, wait, deed.at);
                if deed.at < least - HAIR || deed.at > most + HAIR {
                    wrong.push(format!(
                        "call {}: waited from {at:.3} to {:.3} instead of {wait} s; \
                         due between {least:.3} and {most:.3}",
                        deed.call, deed.at
                    ));
                }
            }
        }
    }
}

impl After {
    /// Whether the servo died in the very moment.
    fn died(&self, at: f64) -> bool {
        self.lives
            .iter()
            .filter_map(|life| life.ended)
            .any(|end| (end - at).abs() < HAIR)
    }

    /// Between which moments a wait may end that began then, when it ended
    /// at `ended`.
    fn due(&self, began: f64, wait: f64, ended: f64) -> (f64, f64) {
        let due = began + wait;
        // The life in which it ended.
        let life = self.lives.iter().rev().find(|life| life.began <= ended);
        let Some(life) = life.filter(|life| life.began > began) else {
            // Nothing came between: what the wall clock does means nothing.
            return (due, due);
        };
        // A later step waits for the first report, or until that is lost.
        let back = life.greeted.unwrap_or(life.began) + REPORT;
        let jumps = || {
            self.jumps
                .iter()
                .filter(|(at, _)| *at >= began && *at <= life.began)
        };
        let ahead: i64 = jumps().map(|(_, by)| (*by).max(0)).sum();
        let behind: i64 = jumps().map(|(_, by)| (*by).min(0)).sum();
        let seconds = |millis: i64| millis as f64 / 1000.0;
        // A clock that went ahead cuts the wait short by as much; one that went
        // back makes each servo since wait for the whole of it, at most.
        let least = (due - seconds(ahead)).min(due);
        let most = if behind == 0 {
            due.max(back)
        } else {
            (life.began + wait).max(back)
        };
        (least, most)
    }
}

/// The study has ended, and the application stands where the service says,
/// which is where it should.
fn ending(after: &After, snapshot: &Snapshot, wrong: &mut Vec<String>) {
    let After {
        summary, values, ..
    } = after;
    let Some(study) = &snapshot.study else {
        if summary.state != "failed" && summary.state != "stopped" {
            wrong.push(format!("{} without a description", summary.state));
        }
        return;
    };
    for trial in &snapshot.trials {
        let expected = Application::throughput(&settings(&trial.settings));
        match trial.state {
            TrialState::Running => wrong.push(format!("trial {} still runs", trial.number)),
            TrialState::Scored if trial.score != expected => wrong.push(format!(
                "trial {} has the score {:?} instead of {expected:?}",
                trial.number, trial.score
            )),
            TrialState::Scored | TrialState::Failed | TrialState::Lost => {}
        }
    }
    let found = settings(&study.found);
    if study.baseline.is_some() && study.baseline != Application::throughput(&found) {
        wrong.push(format!("the baseline is {:?}", study.baseline));
    }
    let best = snapshot
        .trials
        .iter()
        .filter_map(|trial| Some((trial.score?, settings(&trial.settings))))
        .filter(|(score, _)| study.baseline.is_some_and(|baseline| *score > baseline))
        .fold(
            None,
            |best: Option<(f64, Values)>, (score, values)| match best {
                Some(best) if best.0 >= score => Some(best),
                _ => Some((score, values)),
            },
        );
    let best = best.map_or_else(|| found.clone(), |(_, best)| best);
    let fits = match summary.state.as_str() {
        "done" | "stopped" => *values == best,
        "failed" if snapshot.core.touched => *values == best || *values == found,
        "failed" => *values == found,
        other => {
            wrong.push(format!("the study is `{other}`"));
            return;
        }
    };
    if !fits {
        wrong.push(format!(
            "{}, {}: the application stands on {values:?}; best {best:?}, found {found:?}",
            summary.state,
            summary.reason.as_deref().unwrap_or_default()
        ));
    }
    let said = summary.settings.as_ref().map(settings);
    if said.as_ref() != Some(values) {
        wrong.push(format!(
            "the service says {said:?}, the application stands on {values:?}"
        ));
    }
}

/// Nothing runs, and nothing is in hand.
fn remains(after: &After, wrong: &mut Vec<String>) {
    if after.alive > 0 {
        wrong.push(format!("{} steps of drivers still run", after.alive));
    }
    match FileJournal::open(&after.journal, "shop") {
        Ok((_, Recovered::Nothing)) => {}
        Ok((_, other)) => wrong.push(format!("the journal holds: {other}")),
        Err(error) => wrong.push(error.to_string()),
    }
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let mut names: Vec<String> = Vec::new();
    let mut total = 0;
    for entry in std::fs::read_dir(&after.journal)
        .into_iter()
        .flatten()
        .flatten()
    {
        total += size(&entry.path());
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| !["journal.jsonl", "journal.jsonl.new", "lock"].contains(&name.as_str()));
    if !names.is_empty() || total > EMPTY_JOURNAL {
        wrong.push(format!(
            "the folder of the journal: {names:?}, {total} bytes"
        ));
    }
}
