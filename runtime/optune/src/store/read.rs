//! What the store tells: the state of every application, and its history.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::de::DeserializeOwned;

use super::{EventRecord, Store, StoreError};
use crate::machine::{Command, Core, Snapshot, Study, Trial};
use crate::options::{AppKey, StudyOptions};

impl Store {
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
