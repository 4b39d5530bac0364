//! The store: one SQLite file that people can open.
//!
//! It lies in a folder of its own that only its owner may enter, since SQLite
//! puts its log beside it and settings are nobody else's business.
//!
//! What an event changed and the event itself are one transaction, and the
//! answer leaves only after it: with `synchronous=FULL` a commit is on disk.
//! There is one writer, held to by an exclusive lock, since two services on
//! one file would hand out two commands at once. State is kept as rows where
//! people ask questions of it (trials, measurements, commands, events) and as
//! JSON where only the service does (phase, description).

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::machine::{Command, Core, Snapshot, Study, Trial, Write};
use crate::options::{AppKey, StudyOptions};

/// One step for each version of the layout; a released one is never changed.
const MIGRATIONS: [&str; 2] = [
    include_str!("store/0001.sql"),
    include_str!("store/0002.sql"),
];

/// Name of the database in its folder.
const FILE: &str = "optune.db";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is a file where the folder should be: the database of an earlier
    /// version, most likely.
    #[error("{} is a file, and the data of the service is a folder; {}", path.display(), moving(path))]
    IsAFile {
        /// The file.
        path: PathBuf,
    },
    /// The folder cannot be made.
    #[error("the folder {} cannot be made: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be opened or created.
    #[error("the database {} cannot be opened: {source}; is the folder writable?", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "the database {} is in use by another process; stop that one or choose another folder", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A later version of the program has written it.
    #[error(
        "the database has layout {found}, this program knows up to {known}; use the newer program"
    )]
    TooNew {
        /// What was found.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// SQLite refused.
    #[error("the database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Something that is to be stored has no JSON form.
    #[error("a record cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// One event, for the append-only record.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Its name: that of the protocol, or `STOP`.
    pub name: String,
    /// Its content, cut.
    pub body: String,
}

/// The open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the store of a folder, which is made when there is none.
    ///
    /// # Errors
    /// When there is a file in its place, and as [`Store::open`].
    pub fn open_in(folder: &Path) -> Result<Self, StoreError> {
        if folder.is_file() {
            return Err(StoreError::IsAFile {
                path: folder.to_owned(),
            });
        }
        create_private_folder(folder).map_err(|source| StoreError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        Self::open(Some(&folder.join(FILE)))
    }

    /// Opens a file, or a store in memory, and brings its layout up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, is in use, or is of a newer layout.
    pub fn open(path: Option<&Path>) -> Result<Self, StoreError> {
        let connection = match path {
            None => Connection::open_in_memory()?,
            Some(path) => {
                create_private(path).map_err(|source| StoreError::Open {
                    path: path.to_owned(),
                    source,
                })?;
                Connection::open(path)?
            }
        };
        let in_use = |error: rusqlite::Error| match (error.sqlite_error_code(), path) {
            (
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked),
                Some(path),
            ) => StoreError::InUse {
                path: path.to_owned(),
            },
            _ => StoreError::Sqlite(error),
        };
        connection.busy_timeout(std::time::Duration::ZERO)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(in_use)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        let mut store = Self { connection };
        // Writes something, so that the lock is taken now and not later.
        store.migrate().map_err(|error| match error {
            StoreError::Sqlite(error) => in_use(error),
            other => other,
        })?;
        Ok(store)
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)?;
        let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let known = MIGRATIONS.len() as u32;
        if found > known {
            return Err(StoreError::TooNew { found, known });
        }
        for step in MIGRATIONS.iter().skip(found as usize) {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", known)?;
        Ok(transaction.commit()?)
    }

    /// Adds an application.
    ///
    /// # Errors
    /// When the database fails.
    pub fn create(&mut self, app: &AppKey, state: &Snapshot) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO apps (account, application, uid, core, study) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                app.account(),
                app.application(),
                state.core.uid,
                json(&state.core)?,
                state.core.study
            ],
        )?;
        transaction.execute(
            "INSERT INTO studies (app, number, seed, plan) VALUES (?1, ?2, ?3, ?4)",
            params![
                transaction.last_insert_rowid(),
                state.core.study,
                state.plan.seed.cast_signed(),
                json(&state.plan)?
            ],
        )?;
        Ok(transaction.commit()?)
    }

    /// Stores an event and what it changed; on disk when this returns.
    ///
    /// # Errors
    /// When the database fails; then nothing of it is stored.
    pub fn commit(
        &mut self,
        app: &AppKey,
        event: Option<&EventRecord>,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        if event.is_none() && writes.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        let (id, mut study): (i64, u32) = transaction.query_row(
            "SELECT id, study FROM apps WHERE account = ?1 AND application = ?2",
            params![app.account(), app.application()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if let Some(event) = event {
            transaction.execute(
                "INSERT INTO events (app, at, name, body) VALUES (?1, ?2, ?3, ?4)",
                params![id, event.at.cast_signed(), event.name, event.body],
            )?;
        }
        for write in writes {
            apply(&transaction, id, &mut study, write)?;
        }
        Ok(transaction.commit()?)
    }

    /// Every application with its state.
    ///
    /// # Errors
    /// When the database fails or holds a record that cannot be read.
    pub fn load(&self) -> Result<Vec<(AppKey, Snapshot)>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT apps.id, account, application, apps.core, plan, facts
             FROM apps JOIN studies ON studies.app = apps.id AND studies.number = apps.study
             ORDER BY apps.id",
        )?;
        let rows = statement.query_map([], |row| {
            let account: String = row.get(1)?;
            let application: String = row.get(2)?;
            let app = AppKey::new(&account, &application).map_err(|error| unreadable(1, error))?;
            let core: Core = parsed(row, 3)?;
            let plan: StudyOptions = parsed(row, 4)?;
            let study: Option<Study> = match row.get::<_, Option<String>>(5)? {
                Some(_) => Some(parsed(row, 5)?),
                None => None,
            };
            Ok((row.get::<_, i64>(0)?, app, core, plan, study))
        })?;
        let mut found = Vec::new();
        for row in rows {
            let (id, app, core, plan, study) = row?;
            let core_study = core.study;
            let state = Snapshot {
                plan,
                core,
                study,
                trials: self.trials(id, core_study)?,
                outstanding: self.outstanding(id)?,
            };
            found.push((app, state));
        }
        Ok(found)
    }

    /// Makes every write fail, as a full disk does.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn refuse_writes(&self, refuse: bool) -> Result<(), StoreError> {
        Ok(self.connection.pragma_update(None, "query_only", refuse)?)
    }

    /// The studies of an application before the present one, oldest first.
    ///
    /// # Errors
    /// When the database fails or holds a record that cannot be read.
    pub fn earlier(&self, app: &AppKey) -> Result<Vec<Snapshot>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT apps.id, studies.core, plan, facts
             FROM apps JOIN studies ON studies.app = apps.id AND studies.number < apps.study
             WHERE account = ?1 AND application = ?2 AND studies.core IS NOT NULL
             ORDER BY studies.number",
        )?;
        let rows = statement.query_map(params![app.account(), app.application()], |row| {
            let core: Core = parsed(row, 1)?;
            let study: Option<Study> = match row.get::<_, Option<String>>(3)? {
                Some(_) => Some(parsed(row, 3)?),
                None => None,
            };
            Ok((row.get::<_, i64>(0)?, core, parsed(row, 2)?, study))
        })?;
        let mut found = Vec::new();
        for row in rows {
            let (id, core, plan, study) = row?;
            found.push(Snapshot {
                trials: self.trials(id, core.study)?,
                plan,
                core,
                study,
                outstanding: None,
            });
        }
        Ok(found)
    }

    fn trials(&self, app: i64, study: u32) -> Result<Vec<Trial>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT body FROM trials WHERE app = ?1 AND study = ?2 ORDER BY number")?;
        let trials = statement.query_map(params![app, study], |row| parsed(row, 0))?;
        Ok(trials.collect::<Result<_, _>>()?)
    }

    fn outstanding(&self, app: i64) -> Result<Option<Command>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT body FROM commands WHERE app = ?1 AND status IS NULL ORDER BY seq DESC LIMIT 1",
        )?;
        Ok(statement
            .query_row([app], |row| parsed(row, 0))
            .optional()?)
    }

    /// The record of events, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn events(&self, app: &AppKey) -> Result<Vec<EventRecord>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT at, name, body FROM events JOIN apps ON apps.id = events.app
             WHERE account = ?1 AND application = ?2 ORDER BY events.id",
        )?;
        let rows = statement.query_map(params![app.account(), app.application()], |row| {
            let at: i64 = row.get(0)?;
            Ok(EventRecord {
                at: at.cast_unsigned(),
                name: row.get(1)?,
                body: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// `number` is that of the study that a write belongs to.
fn apply(
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

fn json(record: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(record)
}

fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error))
}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// How to go on with the database of an earlier version.
fn moving(path: &Path) -> String {
    let file = path.display();
    let wal = PathBuf::from(format!("{file}-wal"));
    let log = if wal.exists() {
        format!(" && mv {file}-wal {file}.d/{FILE}-wal")
    } else {
        String::new()
    };
    format!(
        "name another one, or keep what the file holds: mkdir -m 700 {file}.d && mv {file} {file}.d/{FILE}{log}, and name {file}.d"
    )
}

/// One that exists is taken as it is.
fn create_private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Creates the file readable by its owner only.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

#[cfg(test)]
mod tests;
