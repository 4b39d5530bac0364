//! The journal in a file.
//!
//! One file of checked lines, one writer, at most one operation in it. What is
//! in hand is also kept in memory, and that copy leads: when a line cannot be
//! written, the file's end is no longer known, and the next write replaces the
//! whole file by what is in hand instead of adding to it. So a disk that was
//! full for a while heals by itself, and a half-written line never stands in
//! the middle.
//!
//! A line without an end is what a crash leaves of a write that nobody was told
//! had succeeded; it is cut off with a warning. Anything else that does not fit
//! (a checksum, a number, an order) is damage of something that was promised to
//! be safe. Guessing there could run an adjustment twice or report a wrong
//! result, so it is an error that a person decides about.
//!
//! Times are those of the wall clock, the only one that goes on between two
//! processes. When it has gone backwards since the newest record, it counts as
//! having stood still, while the servo runs and between two of them: a wait is
//! then longer than it had to be, but never longer than the whole of it.
//!
//! Each write is synced before it returns. That takes milliseconds, so it
//! happens on the blocking threads, where it holds up no other servo.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use servo_protocol::Envelope;

use super::folder::{Folder, JournalOpenError};
use super::record::{Moment, Paused, Record, State, VERSION, What};
use super::{Accepted, Began, DriverId, Journal, JournalError, Recovered, UndoRecord};
use crate::driver::{CallId, Pause};

/// Largest record: as much as any budget allows a result to be. Together with
/// the rule of `compacts` it bounds the file.
const RECORD_LIMIT: usize = 64 << 20;

/// Below this the file is left to grow until the operation ends: rewriting
/// costs three syncs, and a pause is a few hundred bytes.
const SMALL: usize = 1 << 20;

/// Tells the wall-clock time.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Tells how many more bytes the disk takes; `usize::MAX`: as many as it has.
pub type Room = Arc<dyn Fn() -> usize + Send + Sync>;

/// The journal of one servo, in a folder of its own.
#[derive(Clone)]
pub struct FileJournal {
    writer: Arc<Mutex<Writer>>,
}

impl fmt::Debug for FileJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileJournal").finish_non_exhaustive()
    }
}

impl FileJournal {
    /// Opens the journal of an application's servo, or makes one, and says what
    /// was in hand. The folder is locked until the journal and all its clones
    /// are dropped.
    ///
    /// # Errors
    /// Another process has it, others could have written it, it is damaged, it
    /// belongs to another application, or the system refuses.
    pub fn open(folder: &Path, app: &str) -> Result<(Self, Recovered), JournalOpenError> {
        Self::open_with_clock(folder, app, Arc::new(SystemTime::now))
    }

    /// As [`FileJournal::open`], with another clock.
    ///
    /// # Errors
    /// As [`FileJournal::open`].
    pub fn open_with_clock(
        folder: &Path,
        app: &str,
        clock: Clock,
    ) -> Result<(Self, Recovered), JournalOpenError> {
        let mut folder = Folder::open(folder)?;
        let path = folder.file_path();
        let now = Moment::from(clock());
        let Some(bytes) = folder.read()? else {
            let mut writer = Writer::new(folder, app, clock);
            writer
                .replace(now)
                .map_err(|problem| JournalOpenError::Io {
                    action: "create",
                    path,
                    source: std::io::Error::other(problem),
                })?;
            return Ok((Self::from(writer), Recovered::Nothing));
        };
        let read = Read::new(&bytes, app).map_err(|fault| match fault {
            Fault::Damaged { line, problem } => JournalOpenError::Damaged {
                path: path.clone(),
                line,
                problem,
            },
            Fault::OtherApp(theirs) => JournalOpenError::OtherApp {
                path: path.clone(),
                theirs,
                ours: app.to_owned(),
            },
        })?;
        if read.length < bytes.len() {
            let torn = bytes.len() - read.length;
            tracing::warn!(
                path = %path.display(),
                "the last record of the journal was torn by a crash; {torn} bytes are cut off"
            );
            folder.cut(u64::try_from(read.length).unwrap_or(u64::MAX))?;
        }
        let mut writer = Writer::new(folder, app, clock);
        writer.next = read.next;
        writer.length = read.length;
        writer.state = read.state;
        writer.newest = now;
        writer.dirty = false;
        if now < read.newest {
            let back = read.newest.since(now);
            tracing::warn!(
                path = %path.display(),
                "the clock is {back:?} behind the newest record; it counts as having stood still"
            );
            writer.state.shift(back);
            if let Err(problem) = writer.replace(now) {
                tracing::warn!(path = %path.display(), "the journal cannot be rewritten yet: {problem}");
            }
        }
        let recovered = writer.state.recovered(now);
        Ok((Self::from(writer), recovered))
    }

    /// What is in hand now: for a servo that goes on, in the same process,
    /// where the one before it stopped. The lock stays taken meanwhile.
    pub fn in_hand(&self) -> Recovered {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.state.recovered(Moment::from((writer.clock)()))
    }

    /// Writes as to a disk with so much room, for tests of what is done when it
    /// is full. Like a real one it takes what fits; to replace a file it needs
    /// room for both, of which there is none until there is plenty.
    #[must_use]
    pub fn with_room(self, room: Room) -> Self {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.room = room;
        drop(writer);
        self
    }

    async fn write(
        &self,
        what: impl FnOnce(&State) -> What + Send + 'static,
    ) -> Result<(), JournalError> {
        self.work(|writer| {
            let what = what(&writer.state);
            writer.write(what)
        })
        .await
    }

    async fn work(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<(), String> + Send + 'static,
    ) -> Result<(), JournalError> {
        let writer = Arc::clone(&self.writer);
        let work = move || work(&mut writer.lock().unwrap_or_else(PoisonError::into_inner));
        match tokio::task::spawn_blocking(work).await {
            Ok(written) => written.map_err(JournalError),
            Err(error) => Err(JournalError(error.to_string())),
        }
    }
}

impl From<Writer> for FileJournal {
    fn from(writer: Writer) -> Self {
        Self {
            writer: Arc::new(Mutex::new(writer)),
        }
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn accepted(&self, accepted: &Accepted) -> Result<(), JournalError> {
        let Accepted { call, command } = accepted.clone();
        self.write(move |state| What::Accepted {
            attempt: state.next_attempt(&call),
            call: call.to_string(),
            command,
        })
        .await
    }

    async fn began(&self, began: &Began) -> Result<(), JournalError> {
        let Began {
            call,
            driver,
            request,
        } = began.clone();
        let call = call.to_string();
        self.write(move |_| What::Began {
            call,
            driver,
            request,
        })
        .await
    }

    async fn paused(&self, call: &CallId, pause: &Pause) -> Result<(), JournalError> {
        let pause = Paused::new(call, pause);
        self.write(move |_| What::Paused(pause)).await
    }

    async fn resumed(&self, call: &CallId) -> Result<(), JournalError> {
        let call = call.clone();
        self.write(move |state| What::Resumed {
            attempt: state.next_attempt(&call),
            call: call.to_string(),
        })
        .await
    }

    async fn recovering(&self, call: &CallId, driver: &DriverId) -> Result<(), JournalError> {
        let (call, driver) = (call.clone(), driver.clone());
        self.write(move |state| What::Recovering {
            attempt: state.next_recovery(&call),
            call: call.to_string(),
            driver,
        })
        .await
    }

    async fn undo(&self, call: &CallId, record: &UndoRecord) -> Result<(), JournalError> {
        let what = match record {
            UndoRecord::Begins(undo) => What::Undoing {
                call: call.to_string(),
                undo: undo.clone(),
            },
            UndoRecord::Waits(pause) => What::UndoPaused(Paused::new(call, pause)),
            UndoRecord::GoesOn => What::UndoResumed {
                call: call.to_string(),
            },
        };
        self.write(move |_| what).await
    }

    async fn ended(&self, call: &CallId, report: &Envelope) -> Result<(), JournalError> {
        let (call, event) = (call.to_string(), report.clone());
        self.write(move |_| What::Ended { call, event }).await
    }

    async fn delivered(&self, call: &CallId) -> Result<(), JournalError> {
        let call = call.to_string();
        self.write(move |_| What::Delivered { call }).await
    }

    /// What stands in the file after a write that failed is no longer true, and
    /// would be carried out after a crash.
    async fn idle(&self) -> Result<(), JournalError> {
        let dirty = {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.dirty
        };
        if !dirty {
            return Ok(());
        }
        self.work(|writer| {
            let now = Moment::from((writer.clock)()).max(writer.newest);
            writer.replace(now)
        })
        .await
    }
}

/// What the lines of a file say.
struct Read {
    state: State,
    /// Number of the next record.
    next: u64,
    /// Time of the newest record.
    newest: Moment,
    /// Bytes up to the end of the last whole line.
    length: usize,
}

enum Fault {
    Damaged { line: usize, problem: String },
    OtherApp(String),
}

impl Read {
    fn new(bytes: &[u8], app: &str) -> Result<Self, Fault> {
        let mut read = None;
        for (line, text) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let damaged = |problem: String| Fault::Damaged { line, problem };
            let Some(text) = text.strip_suffix(b"\n") else {
                // Only the last line can be without its end.
                break;
            };
            let record = Record::decode(text).map_err(damaged)?;
            let length = text.len() + 1;
            match &mut read {
                None => read = Some(Self::begin(record, length, app, line)?),
                Some(read) => read.add(record, length).map_err(damaged)?,
            }
        }
        // The file is made in one piece with its first line.
        read.ok_or_else(|| Fault::Damaged {
            line: 1,
            problem: "the beginning of the journal is missing".to_owned(),
        })
    }

    fn begin(record: Record, length: usize, app: &str, line: usize) -> Result<Self, Fault> {
        let damaged = |problem: String| Fault::Damaged { line, problem };
        match record.what {
            What::Journal { version, .. } if version != VERSION => Err(damaged(format!(
                "it is a journal of version {version}, and this servo knows version {VERSION}"
            ))),
            What::Journal { app: theirs, .. } if theirs != app => Err(Fault::OtherApp(theirs)),
            What::Journal { .. } => Ok(Self {
                state: State::Nothing,
                next: record.n.saturating_add(1),
                newest: record.at,
                length,
            }),
            _ => Err(damaged(
                "the beginning of the journal is missing".to_owned(),
            )),
        }
    }

    fn add(&mut self, record: Record, length: usize) -> Result<(), String> {
        let Record { n, at, what } = record;
        if n != self.next {
            return Err(format!(
                "it is record {n} where record {} belongs",
                self.next
            ));
        }
        self.state.apply(at, what)?;
        self.next = n.saturating_add(1);
        self.newest = self.newest.max(at);
        self.length += length;
        Ok(())
    }
}

/// The one that writes.
struct Writer {
    folder: Folder,
    room: Room,
    app: String,
    clock: Clock,
    state: State,
    /// Time of the newest record; none is older than the one before it.
    newest: Moment,
    /// Largest record.
    limit: usize,
    /// Number of the next record.
    next: u64,
    /// Length of the file.
    length: usize,
    /// Whether the file may hold something else than what is in hand.
    dirty: bool,
}

impl Writer {
    fn new(folder: Folder, app: &str, clock: Clock) -> Self {
        Self {
            folder,
            room: Arc::new(|| usize::MAX),
            app: app.to_owned(),
            clock,
            state: State::Nothing,
            newest: Moment(0),
            limit: RECORD_LIMIT,
            next: 0,
            length: 0,
            dirty: true,
        }
    }

    fn write(&mut self, what: What) -> Result<(), String> {
        let at = Moment::from((self.clock)()).max(self.newest);
        let over = matches!(what, What::Delivered { .. });
        let line = self.line(self.next, at, what.clone())?;
        self.state.apply(at, what)?;
        self.newest = at;
        if self.dirty || self.compacts(line.len())? {
            return self.replace(at);
        }
        if let Err(error) = self.append(&line) {
            self.dirty = true;
            return Err(error.to_string());
        }
        self.next = self.next.saturating_add(1);
        self.length += line.len();
        if over && let Err(problem) = self.replace(at) {
            // It is safe where it is; the next write compacts.
            tracing::warn!("the journal cannot be compacted yet: {problem}");
        }
        Ok(())
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let room = (self.room)();
        if room > line.len() {
            return self.folder.append(line);
        }
        // With all of it written, it is the sync that fails.
        self.folder.append(line.get(..room).unwrap_or(line))?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn line(&self, n: u64, at: Moment, what: What) -> Result<Vec<u8>, String> {
        let line = Record { n, at, what }
            .encode()
            .map_err(|error| error.to_string())?;
        if line.len() > self.limit {
            return Err(format!(
                "a record of {} bytes is larger than {}",
                line.len(),
                self.limit
            ));
        }
        Ok(line)
    }

    /// Whether most of the file would be about what is over.
    fn compacts(&self, more: usize) -> Result<bool, String> {
        let length = self.length + more;
        Ok(length > SMALL && length > self.whole(Moment(0))?.0.len().saturating_mul(2))
    }

    /// What is in hand as a file, and the number of the record after it.
    fn whole(&self, now: Moment) -> Result<(Vec<u8>, u64), String> {
        let first = What::Journal {
            version: VERSION,
            app: self.app.clone(),
        };
        let mut bytes = Vec::new();
        let mut next = self.next;
        for (at, what) in std::iter::once((now, first)).chain(self.state.records()) {
            bytes.extend(self.line(next, at, what)?);
            next = next.saturating_add(1);
        }
        Ok((bytes, next))
    }

    fn replace(&mut self, now: Moment) -> Result<(), String> {
        self.dirty = true;
        let (bytes, next) = self.whole(now)?;
        if (self.room)() != usize::MAX {
            return Err(io::Error::from(io::ErrorKind::StorageFull).to_string());
        }
        self.folder
            .replace(&bytes)
            .map_err(|error| error.to_string())?;
        self.next = next;
        self.length = bytes.len();
        self.dirty = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
