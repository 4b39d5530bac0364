//! How each change of a reaction is stored.

use rusqlite::{Transaction, params};
use serde::Serialize;

use super::StoreError;
use crate::machine::Write;

/// `number` is that of the study that a write belongs to.
pub(super) fn apply(
    transaction: &Transaction<'_>,
    app: i64,
    number: &mut u32,
    write: &Write,
) -> Result<(), StoreError> {
    match write {
        Write::Renewed {
            closed,
            number: next,
            plan,
        } => {
            transaction.execute(
                "UPDATE studies SET core = ?3 WHERE app = ?1 AND number = ?2",
                params![app, *number, json(closed)?],
            )?;
            transaction.execute(
                "INSERT INTO studies (app, number, seed, plan) VALUES (?1, ?2, ?3, ?4)",
                params![app, next, plan.seed.cast_signed(), json(plan)?],
            )?;
            transaction.execute(
                "UPDATE apps SET study = ?2 WHERE id = ?1",
                params![app, next],
            )?;
            *number = *next;
        }
        Write::Core(core) => {
            transaction.execute(
                "UPDATE apps SET core = ?2 WHERE id = ?1",
                params![app, json(core)?],
            )?;
        }
        Write::Study(study) => {
            transaction.execute(
                "UPDATE studies SET objective = ?3, baseline = ?4, facts = ?5
                 WHERE app = ?1 AND number = ?2",
                params![app, *number, study.objective, study.baseline, json(study)?],
            )?;
        }
        Write::Trial(trial) => {
            transaction.execute(
                "INSERT OR REPLACE INTO trials
                 (app, study, number, state, score, settings, status, reason, message, started, ended, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                params![
                    app,
                    *number,
                    trial.number,
                    json(&trial.state)?.trim_matches('"'),
                    trial.score,
                    json(&trial.settings)?,
                    trial.status,
                    trial.reason,
                    trial.message,
                    trial.started.cast_signed(),
                    trial.ended.map(u64::cast_signed),
                    json(trial)?
                ],
            )?;
        }
        Write::Command(command) => {
            transaction.execute(
                "INSERT INTO commands (app, seq, uid, operation, body, study)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (app, seq) DO UPDATE SET body = excluded.body",
                params![
                    app,
                    command.seq.cast_signed(),
                    command.uid,
                    command.operation.to_string(),
                    json(command)?,
                    *number
                ],
            )?;
        }
        Write::Closed { seq, status } => {
            transaction.execute(
                "UPDATE commands SET status = ?3 WHERE app = ?1 AND seq = ?2",
                params![app, seq.cast_signed(), status],
            )?;
        }
        Write::Measurement {
            seq,
            trial,
            score,
            measurement,
        } => {
            transaction.execute(
                "INSERT INTO measurements (app, seq, trial, score, body, study)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    app,
                    seq.cast_signed(),
                    trial,
                    score,
                    json(measurement)?,
                    *number
                ],
            )?;
        }
    }
    Ok(())
}

pub(super) fn json(record: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(record)
}
