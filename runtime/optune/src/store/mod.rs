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

mod error;
mod file;
mod read;
mod write;

use std::path::Path;

use rusqlite::{Connection, params};

pub use self::error::StoreError;
use self::write::{apply, json};
use crate::machine::{Snapshot, Write};
use crate::options::AppKey;

/// One step for each version of the layout; a released one is never changed.
const MIGRATIONS: [&str; 2] = [include_str!("0001.sql"), include_str!("0002.sql")];

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
        file::create_folder(folder)?;
        Self::open(Some(&folder.join(file::NAME)))
    }

    /// Opens a file, or a store in memory, and brings its layout up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, is in use, or is of a newer layout.
    pub fn open(path: Option<&Path>) -> Result<Self, StoreError> {
        let connection = match path {
            None => Connection::open_in_memory()?,
            Some(path) => {
                file::prepare(path)?;
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
}

#[cfg(test)]
mod tests;
