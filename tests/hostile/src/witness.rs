//! What a case looks at instead of what a guest says: resolvers that note every
//! question, records, and trees of files.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Mutex;

/// A resolver that notes every name it is asked for. Unknown names are this
/// machine, so that a lookup which should not be ends at a listener that counts.
#[derive(Debug, Default)]
pub struct Names {
    asked: Mutex<Vec<String>>,
    answers: Mutex<BTreeMap<String, VecDeque<Vec<IpAddr>>>>,
}

impl Names {
    /// Answers for `host`, one after the other, the last one for ever.
    ///
    /// # Panics
    /// An answer is no address.
    pub fn answer(&self, host: &str, answers: &[&[&str]]) {
        let parse = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        self.answers
            .lock()
            .unwrap()
            .insert(host.to_owned(), answers);
    }

    /// What the host's resolver calls.
    ///
    /// # Errors
    /// The name has an empty list of answers.
    pub fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let found = match answers.get_mut(host) {
            Some(answers) if answers.len() > 1 => answers.pop_front(),
            Some(answers) => answers.front().cloned(),
            None => Some(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
        };
        found
            .map(|ips| ips.into_iter().map(|ip| (ip, port).into()).collect())
            .ok_or_else(|| io::Error::other("no such name"))
    }

    /// The names that were asked for, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// One decision of the host, as it recorded it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The owner of the driver.
    pub tenant: String,
    /// The driver.
    pub driver: String,
    /// The call it belongs to.
    pub call: String,
    /// What was used.
    pub capability: String,
    /// What exactly.
    pub what: String,
    /// Index of the rule that answers for it.
    pub rule: Option<usize>,
    /// `allowed`, `denied` or `capped`.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// How what was allowed ended.
    pub outcome: String,
}

/// Takes the records of a host.
#[derive(Debug, Default)]
pub struct Records(Mutex<Vec<Recorded>>);

impl Records {
    /// The host writes one.
    pub fn write(&self, record: Recorded) {
        self.0.lock().unwrap().push(record);
    }

    /// All of them, in order.
    #[must_use]
    pub fn all(&self) -> Vec<Recorded> {
        self.0.lock().unwrap().clone()
    }

    /// Those that are not about something simply allowed.
    #[must_use]
    pub fn refusals(&self) -> Vec<Recorded> {
        let mut all = self.all();
        all.retain(|record| record.verdict != "allowed");
        all
    }
}

/// Paths, lengths, bytes and times of everything below a folder.
///
/// # Panics
/// It cannot be read.
#[must_use]
pub fn file_tree(folder: &Path) -> Vec<String> {
    let mut lines = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = std::fs::symlink_metadata(&path).unwrap();
        let bytes = about.is_file().then(|| std::fs::read(&path).unwrap());
        lines.push(format!(
            "{path:?} {:?} {} {:?} {bytes:?}",
            about.file_type(),
            about.len(),
            about.modified().unwrap()
        ));
        if about.is_dir() {
            lines.extend(file_tree(&path));
        }
    }
    lines.sort();
    lines
}

/// Files and folders below a folder, and the lengths of all files. Goes down
/// one folder at a time, since a deep tree has paths longer than the system's.
///
/// # Panics
/// It cannot be read.
#[must_use]
pub fn weigh(folder: &Path) -> (u64, u64) {
    let (mut entries, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let about = std::fs::symlink_metadata(entry.path()).unwrap();
        entries += 1;
        if about.is_dir() {
            let (inner_entries, inner_bytes) = weigh(&entry.path());
            entries += inner_entries;
            bytes += inner_bytes;
        } else {
            bytes += about.len();
        }
    }
    (entries, bytes)
}
