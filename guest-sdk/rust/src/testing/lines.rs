//! What was written for the operator.

use std::cell::RefCell;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How important it is.
    pub level: log::Level,
    /// Who wrote it.
    pub target: String,
    /// Its text.
    pub message: String,
}

thread_local! {
    pub(super) static LINES: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn write_log(record: &log::Record<'_>) {
    let line = Line {
        level: record.level(),
        target: record.target().to_owned(),
        message: record.args().to_string(),
    };
    LINES.with_borrow_mut(|lines| lines.push(line));
}
