//! What can be tried, as the configuration says it.

use serde::Deserialize;

/// What to try, and in which function.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The function that misbehaves; the other does nothing.
    pub at: At,
    /// What it does.
    pub behaviour: Behaviour,
    /// How it sends requests that are written part by part.
    pub through: Through,
}

/// An interface that requests are sent through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Through {
    /// `wasi:http`
    #[default]
    WasiHttp,
    /// `servo:driver/fetch`
    Fetch,
}

/// A function of the contract.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// `measure`
    #[default]
    Measure,
    /// `describe`
    Describe,
    /// `cancelled`
    Cancelled,
}

/// One thing to try. The key `do` names it.
#[derive(Debug, Default, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Behaviour {
    /// Nothing.
    #[default]
    Nothing,
    /// Computes for ever.
    Spin,
    /// Polls what is ready, for ever.
    PollReady,
    /// Sleeps through WASI.
    Sleep {
        /// For so long.
        nanos: u64,
    },
    /// Sleeps until a moment.
    SleepUntil {
        /// This one.
        instant: u64,
    },
    /// Sleeps for ever and hears no cancel.
    Deaf,
    /// Waits through the contract and obeys a cancel.
    Wait {
        /// For so long.
        seconds: u64,
    },
    /// Reports progress, waits for a cancel, and claims success after it.
    Defy,
    /// Asks for memory until it is refused.
    Grow {
        /// Crash after the refusal, or answer how much there was.
        crash: bool,
    },
    /// Asks for memory until it is refused, and writes to all of it.
    GrowAndFill,
    /// Calls itself without end.
    Recurse,
    /// Takes handles and never gives one back.
    Hold {
        /// Of this kind.
        handle: Handle,
    },
    /// Makes one large set of header fields.
    Fields {
        /// How many.
        count: u32,
        /// Bytes of each value.
        bytes: usize,
    },
    /// Answers with a large note.
    Result {
        /// Bytes of its text.
        bytes: usize,
    },
    /// Answers with metrics (`describe` only).
    Metrics {
        /// How many.
        count: u32,
        /// All with one name.
        alike: bool,
    },
    /// Pauses with a large state.
    Pause {
        /// Bytes of the state.
        state_bytes: usize,
    },
    /// Pauses with a state of this text, again and again.
    PauseWith {
        /// The text.
        text: String,
        /// How often.
        times: usize,
    },
    /// Asks for random bytes.
    Random {
        /// So many at once.
        bytes: u64,
    },
    /// Sends requests.
    Http {
        /// To this address.
        url: String,
        /// How many.
        count: u32,
        /// How many at a time.
        at_once: u32,
    },
    /// Sends requests as they are written here.
    Raw {
        /// Which.
        requests: Vec<RawRequest>,
    },
    /// Reads one answer to its end and counts.
    Drain {
        /// To what.
        request: RawRequest,
        /// Waits before each piece.
        #[serde(default)]
        pause_millis: u64,
    },
    /// Sends requests and reads no answer.
    HoldAnswers {
        /// Which.
        requests: Vec<RawRequest>,
    },
    /// Goes where redirects point.
    Follow {
        /// From here.
        request: RawRequest,
        /// So often.
        hops: u32,
    },
    /// Repeats a request in a loop.
    Storm {
        /// Which.
        request: RawRequest,
        /// So often.
        times: u32,
    },
    /// Sends requests and then looks for a text in its own memory.
    Search {
        /// Which.
        requests: Vec<RawRequest>,
        /// The text, backwards.
        backwards: String,
        /// Puts it there by itself first.
        #[serde(default)]
        planted: bool,
    },
    /// Runs a program of the operator.
    Act {
        /// By this name.
        name: String,
    },
    /// Reads the clocks.
    Clocks,
    /// Lists a folder.
    List {
        /// Its name.
        folder: String,
    },
    /// Opens one file again and again.
    Descriptors {
        /// Which.
        path: FolderPath,
    },
    /// Opens every kind of socket towards an IPv4 address, and listens.
    Sockets {
        /// The address.
        ip: (u8, u8, u8, u8),
        /// The port.
        port: u16,
    },
    /// Listens on this machine, and waits.
    Listen {
        /// On this port.
        port: u16,
    },
    /// Looks a name up.
    Lookup {
        /// The name.
        name: String,
    },
    /// Does one thing after the other to files.
    Files {
        /// What.
        actions: Vec<FileAction>,
    },
    /// Fills a folder until it is refused.
    Fill {
        /// Name of the folder.
        folder: String,
        /// With what.
        with: Fill,
    },
    /// Reads environment, arguments, folder and standard input.
    Environment,
    /// Prints.
    Print {
        /// So many bytes on each of the two streams.
        bytes: usize,
        /// Preceded by this text.
        text: String,
    },
    /// Logs.
    Log {
        /// So many lines.
        lines: u32,
        /// Of so many bytes.
        bytes: usize,
    },
    /// Reports progress once.
    Progress,
    /// Answers what an earlier call left behind, and leaves something behind.
    Remember,
    /// Crashes.
    Crash,
    /// Crashes after something else.
    CrashAfter {
        /// This.
        behaviour: Box<Behaviour>,
    },
    /// Sets a key of the store, then answers all keys.
    Store {
        /// The key.
        key: String,
        /// Bytes of the value.
        bytes: usize,
    },
}

/// A request, part by part. What is absent is not set.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawRequest {
    /// `GET`, if empty.
    pub method: String,
    /// `http`, `https`, or anything.
    pub scheme: Option<String>,
    /// Host and port.
    pub authority: Option<String>,
    /// Path and query.
    pub path: Option<String>,
    /// Header fields; each character of a value is one byte.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
    /// How often the body is written.
    pub times: u32,
    /// A wish for each of the three times.
    pub timeout_nanos: Option<u64>,
}

/// A kind of host resource.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handle {
    /// Timers.
    Pollable,
    /// Header fields.
    Fields,
    /// Standard output, again and again.
    Stream,
    /// Granted folders, again and again.
    Folder,
}

/// What a folder is filled with.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// Files of one byte.
    SmallFiles,
    /// Empty files.
    EmptyFiles,
    /// One file, by positioned writes.
    Write,
    /// One file, through a stream.
    Stream,
    /// One file, through a stream that appends.
    Append,
    /// Files that are long by their size alone.
    Sparse,
    /// Folders in folders.
    Deep,
}

/// A path as it is handed to the host, relative to a granted folder.
#[derive(Debug, Clone, Deserialize)]
pub struct FolderPath(
    /// Name of the folder.
    pub String,
    /// The path.
    pub String,
);

/// One thing to do to a file. The key `do` names it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FileAction {
    /// Opens and reads.
    Read {
        /// What.
        path: FolderPath,
    },
    /// Creates or truncates, and writes a few bytes.
    Write {
        /// What.
        path: FolderPath,
    },
    /// Opens with flags of WASI: `c` create, `t` truncate, `x` exclusive,
    /// `d` directory, `w` for writing.
    Open {
        /// What.
        path: FolderPath,
        /// How.
        flags: String,
    },
    /// Opens and sets the size.
    Resize {
        /// What.
        path: FolderPath,
        /// How it is opened.
        #[serde(default)]
        flags: String,
        /// To what.
        size: u64,
    },
    /// Sets the time of the last change to the beginning of time.
    Touch {
        /// What.
        path: FolderPath,
    },
    /// Removes a file.
    Remove {
        /// What.
        path: FolderPath,
    },
    /// Makes a folder.
    MakeFolder {
        /// What.
        path: FolderPath,
    },
    /// Removes a folder.
    RemoveFolder {
        /// What.
        path: FolderPath,
    },
    /// Renames, also into another folder.
    Rename {
        /// What.
        path: FolderPath,
        /// To what.
        to: FolderPath,
    },
    /// Makes a hard link.
    Link {
        /// To what.
        path: FolderPath,
        /// What.
        to: FolderPath,
    },
    /// Makes a symbolic link.
    Symlink {
        /// What.
        path: FolderPath,
        /// With this text.
        target: String,
    },
}
