//! Behaviours with files, on the raw interface: the standard library resolves
//! paths by itself, and the host must not rely on that.

use servo_driver::Failure;
use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};
use wasip2::io::streams::{OutputStream, StreamError};

use super::note;
use crate::{FileAction, Fill, Findings, FolderPath};

/// Rounds of filling before giving up: above any quota of a test, and still
/// few enough to be cleared away when a quota does not hold.
const MOST: u32 = 3_000;

/// Largest write a stream takes in one blocking call.
const CHUNK: [u8; 4096] = [b'x'; 4096];

struct Folders(Vec<(Descriptor, String)>);

impl Folders {
    fn get(&self, name: &str) -> Result<&Descriptor, Failure> {
        let guest = format!("/{name}");
        let found = self.0.iter().find(|(_, known)| *known == guest);
        found
            .map(|(folder, _)| folder)
            .ok_or_else(|| Failure::failed(format!("no folder {guest}")))
    }
}

pub(super) fn act(actions: &[FileAction]) -> Result<Findings, Failure> {
    let folders = Folders(get_directories());
    let mut found = vec![];
    for (index, action) in actions.iter().enumerate() {
        let text = match one(&folders, action)? {
            Ok(text) => format!("ok {text}"),
            Err(error) => format!("{error:?}"),
        };
        found.extend(note(index.to_string(), text));
    }
    Ok(found)
}

type Acted = Result<String, ErrorCode>;

fn one(folders: &Folders, action: &FileAction) -> Result<Acted, Failure> {
    let done = |result: Result<(), ErrorCode>| result.map(|()| String::new());
    Ok(match action {
        FileAction::Read { path } => read(folders.get(&path.0)?, &path.1),
        FileAction::Write { path } => write(folders.get(&path.0)?, &path.1),
        FileAction::Open { path, flags } => open(folders, path, flags)?.map(|_| String::new()),
        FileAction::Resize { path, flags, size } => {
            done(open(folders, path, flags)?.and_then(|file| file.set_size(*size)))
        }
        FileAction::Touch { path } => {
            let zero = || {
                NewTimestamp::Timestamp(Datetime {
                    seconds: 0,
                    nanoseconds: 0,
                })
            };
            done(folders.get(&path.0)?.set_times_at(
                PathFlags::SYMLINK_FOLLOW,
                &path.1,
                zero(),
                zero(),
            ))
        }
        FileAction::Remove { path } => done(folders.get(&path.0)?.unlink_file_at(&path.1)),
        FileAction::MakeFolder { path } => done(folders.get(&path.0)?.create_directory_at(&path.1)),
        FileAction::RemoveFolder { path } => {
            done(folders.get(&path.0)?.remove_directory_at(&path.1))
        }
        FileAction::Rename { path, to } => done(folders.get(&path.0)?.rename_at(
            &path.1,
            folders.get(&to.0)?,
            &to.1,
        )),
        FileAction::Link { path, to } => done(folders.get(&path.0)?.link_at(
            PathFlags::empty(),
            &path.1,
            folders.get(&to.0)?,
            &to.1,
        )),
        FileAction::Symlink { path, target } => {
            done(folders.get(&path.0)?.symlink_at(target, &path.1))
        }
    })
}

fn open(
    folders: &Folders,
    path: &FolderPath,
    flags: &str,
) -> Result<Result<Descriptor, ErrorCode>, Failure> {
    let mut how = OpenFlags::empty();
    let mut what = DescriptorFlags::READ;
    for flag in flags.chars() {
        match flag {
            'c' => how |= OpenFlags::CREATE,
            't' => how |= OpenFlags::TRUNCATE,
            'x' => how |= OpenFlags::EXCLUSIVE,
            'd' => how |= OpenFlags::DIRECTORY,
            _ => what |= DescriptorFlags::WRITE,
        }
    }
    let folder = folders.get(&path.0)?;
    Ok(folder.open_at(PathFlags::SYMLINK_FOLLOW, &path.1, how, what))
}

fn read(folder: &Descriptor, path: &str) -> Acted {
    let file = folder.open_at(
        PathFlags::SYMLINK_FOLLOW,
        path,
        OpenFlags::empty(),
        DescriptorFlags::READ,
    )?;
    let (bytes, _) = file.read(64, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn create(folder: &Descriptor, path: &str) -> Result<Descriptor, ErrorCode> {
    folder.open_at(
        PathFlags::SYMLINK_FOLLOW,
        path,
        OpenFlags::CREATE | OpenFlags::TRUNCATE,
        DescriptorFlags::READ | DescriptorFlags::WRITE,
    )
}

fn write(folder: &Descriptor, path: &str) -> Acted {
    create(folder, path)?
        .write(b"hostile", 0)
        .map(|written| written.to_string())
}

pub(super) fn fill(name: &str, with: Fill) -> Result<Findings, Failure> {
    let folders = Folders(get_directories());
    let folder = folders.get(name)?;
    let (rounds, error) = match with {
        Fill::SmallFiles => rounds(|round| {
            create(folder, &format!("f{round}"))?
                .write(b"x", 0)
                .map(|_| ())
        }),
        Fill::EmptyFiles => rounds(|round| create(folder, &format!("f{round}")).map(|_| ())),
        Fill::Write => {
            let file = create(folder, "large").map_err(code)?;
            rounds(|round| {
                let offset = u64::from(round) * CHUNK.len() as u64;
                file.write(&CHUNK, offset).map(|_| ())
            })
        }
        Fill::Stream => {
            let file = create(folder, "large").map_err(code)?;
            pour(&file.write_via_stream(0).map_err(code)?)
        }
        Fill::Append => {
            let file = create(folder, "large").map_err(code)?;
            pour(&file.append_via_stream().map_err(code)?)
        }
        Fill::Sparse => rounds(|round| {
            // The second is not sparse by its own size but by where it is
            // written to.
            let file = create(folder, &format!("f{round}"))?;
            match round % 2 {
                0 => file.set_size(1 << 40),
                _ => file.write(b"x", 1 << 40).map(|_| ()),
            }
        }),
        Fill::Deep => {
            let mut inner: Option<Descriptor> = None;
            rounds(|_| {
                let here = inner.as_ref().unwrap_or(folder);
                here.create_directory_at("d")?;
                let next = here.open_at(
                    PathFlags::empty(),
                    "d",
                    OpenFlags::DIRECTORY,
                    DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
                )?;
                inner = Some(next);
                Ok(())
            })
        }
    };
    let mut found = note("rounds", rounds);
    found.extend(note("error", error));
    Ok(found)
}

fn code(error: ErrorCode) -> Failure {
    Failure::failed(format!("{error:?}"))
}

/// How often it went well, and what ended it.
fn rounds(mut round: impl FnMut(u32) -> Result<(), ErrorCode>) -> (u32, String) {
    for number in 0..MOST {
        if let Err(error) = round(number) {
            return (number, format!("{error:?}"));
        }
    }
    (MOST, "none".to_owned())
}

fn pour(stream: &OutputStream) -> (u32, String) {
    for number in 0..MOST {
        match stream.blocking_write_and_flush(&CHUNK) {
            Ok(()) => {}
            Err(StreamError::LastOperationFailed(error)) => {
                return (number, error.to_debug_string());
            }
            Err(StreamError::Closed) => return (number, "closed".to_owned()),
        }
    }
    (MOST, "none".to_owned())
}

/// Reads a folder name by name.
pub(super) fn list(name: &str) -> Result<Findings, Failure> {
    let folders = Folders(get_directories());
    let names = folders.get(name)?.read_directory().map_err(code)?;
    let mut count = 0;
    loop {
        match names.read_directory_entry() {
            Ok(Some(_)) => count += 1,
            Ok(None) => return Ok(note("names", count)),
            Err(error) => {
                let mut found = note("names", count);
                found.extend(note("error", format!("{error:?}")));
                return Ok(found);
            }
        }
    }
}

/// Opens one file until there is no handle left.
pub(super) fn descriptors(path: &FolderPath) -> Result<Findings, Failure> {
    let folders = Folders(get_directories());
    let folder = folders.get(&path.0)?;
    for number in 0..200_000 {
        match folder.open_at(
            PathFlags::empty(),
            &path.1,
            OpenFlags::empty(),
            DescriptorFlags::READ,
        ) {
            Ok(file) => std::mem::forget(file),
            Err(error) => return Ok(note("refused", format!("{number}: {error:?}"))),
        }
    }
    Err(Failure::failed("no limit in sight"))
}
