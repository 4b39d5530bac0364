//! Nothing but what this installation wrote ever comes out of the cache.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use servo_artifact::{CacheError, CacheKey, CodeCache, Digest};
use tempfile::TempDir;

const LIMIT: u64 = 1 << 20;

struct Fixture {
    dir: TempDir,
    cache: CodeCache,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(dir.path().join("code"), LIMIT).unwrap();
        Fixture { dir, cache }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("code")
    }

    /// Stores code and says in which file it lies.
    fn put(&self, key: &CacheKey, code: &[u8]) -> PathBuf {
        let before = entries(&self.folder());
        self.cache.put(key, code).unwrap();
        let after = entries(&self.folder());
        after
            .into_iter()
            .find(|file| !before.contains(file))
            .unwrap()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "code"))
        .collect();
    files.sort();
    files
}

/// What is found, where nothing is refused.
fn got(cache: &CodeCache, key: &CacheKey) -> Option<Vec<u8>> {
    cache.get(key).unwrap()
}

/// Whether there is an entry that is not used.
fn refused(cache: &CodeCache, key: &CacheKey) -> bool {
    cache.get(key).is_err()
}

fn key(text: &str) -> CacheKey {
    CacheKey::new(Digest::of(text.as_bytes()), "engine 48.0.8 x86-64")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn what_was_put_comes_back_also_after_a_restart() {
    let fixture = Fixture::new();
    assert_eq!(got(&fixture.cache, &key("a")), None);
    let file = fixture.put(&key("a"), b"native code");
    assert_eq!(got(&fixture.cache, &key("a")).unwrap(), b"native code");
    let again = CodeCache::open(fixture.folder(), LIMIT).unwrap();
    assert_eq!(got(&again, &key("a")).unwrap(), b"native code");
    again.put(&key("a"), b"newer").unwrap();
    assert_eq!(got(&fixture.cache, &key("a")).unwrap(), b"newer");
    assert_eq!(mode(&fixture.folder()), 0o700);
    assert_eq!(mode(&fixture.folder().join("key")), 0o600);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn another_engine_or_artifact_finds_nothing() {
    let fixture = Fixture::new();
    let digest = Digest::of(b"a");
    fixture.put(&CacheKey::new(digest, "engine 48.0.8"), b"code");
    for other in [
        CacheKey::new(digest, "engine 48.0.9"),
        CacheKey::new(digest, "engine 48.0.8\n"),
        CacheKey::new(Digest::of(b"b"), "engine 48.0.8"),
    ] {
        assert_eq!(got(&fixture.cache, &other), None);
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_the_entry_removed() {
    let fixture = Fixture::new();
    let code: Vec<u8> = (0..997).map(|i| (i % 251) as u8).collect();
    let file = fixture.put(&key("a"), &code);
    let whole = fs::read(&file).unwrap();
    // A prime step visits all bit positions within a byte, header included.
    for bit in (0..whole.len() * 8).step_by(29) {
        let mut bad = whole.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &bad).unwrap();
        assert!(refused(&fixture.cache, &key("a")), "bit {bit}");
        assert!(!file.exists(), "bit {bit}: the entry is still there");
        write_private(&file, &whole);
    }
    assert_eq!(got(&fixture.cache, &key("a")).unwrap(), code);
}

fn write_private(file: &Path, bytes: &[u8]) {
    fs::write(file, bytes).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn cut_and_lengthened_entries_are_noticed() {
    let fixture = Fixture::new();
    let file = fixture.put(&key("a"), b"native code");
    let whole = fs::read(&file).unwrap();
    let longer = [&whole[..], b"x"].concat();
    let cuts = (0..whole.len()).map(|end| whole[..end].to_vec());
    for bad in cuts.chain([longer]) {
        write_private(&file, &bad);
        assert!(refused(&fixture.cache, &key("a")), "{} bytes", bad.len());
    }
}

#[test]
fn swapped_entries_are_noticed() {
    let fixture = Fixture::new();
    let a = fixture.put(&key("a"), b"code of a");
    let b = fixture.put(&key("b"), b"code of b");
    let spare = fixture.folder().join("spare");
    fs::rename(&a, &spare).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(&spare, &b).unwrap();
    assert!(refused(&fixture.cache, &key("a")));
    assert!(refused(&fixture.cache, &key("b")));
}

#[test]
fn an_entry_of_another_installation_is_noticed() {
    let (ours, theirs) = (Fixture::new(), Fixture::new());
    let from = theirs.put(&key("a"), b"code");
    let to = ours.folder().join(from.file_name().unwrap());
    fs::copy(&from, &to).unwrap();
    assert_eq!(got(&theirs.cache, &key("a")).unwrap(), b"code");
    assert!(refused(&ours.cache, &key("a")));
}

#[test]
fn links_and_entries_that_others_may_write_are_refused() {
    let fixture = Fixture::new();
    let file = fixture.put(&key("a"), b"code");
    for bits in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&file, fs::Permissions::from_mode(bits)).unwrap();
        assert!(refused(&fixture.cache, &key("a")), "{bits:o}");
        fixture.cache.put(&key("a"), b"code").unwrap();
    }
    // The very same bytes, but through a link that could be turned elsewhere.
    let aside = fixture.dir.path().join("aside");
    fs::rename(&file, &aside).unwrap();
    symlink(&aside, &file).unwrap();
    assert!(refused(&fixture.cache, &key("a")));
    assert!(!file.is_symlink(), "the link is still there");
    assert!(aside.exists(), "what it pointed at was touched");
}

#[test]
fn a_folder_or_key_that_is_not_ours_alone_is_refused() {
    let fixture = Fixture::new();
    let folder = fixture.folder();
    let refusal = |path: &Path| match CodeCache::open(path, LIMIT) {
        Err(error @ CacheError::Unsafe { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let link = fixture.dir.path().join("link");
    symlink(&folder, &link).unwrap();
    assert!(refusal(&link).contains("symbolic link"));
    assert!(refusal(&link.join("")).contains("symbolic link"));
    assert!(refusal(&link.join(".")).contains("symbolic link"));
    for bits in [0o750, 0o705, 0o777, 0o1777] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(bits)).unwrap();
        assert!(refusal(&folder).contains("chmod 700"), "{bits:o}");
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();

    let key_file = folder.join("key");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refusal(&folder).contains("others may use it"));
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key_file, b"short").unwrap();
    assert!(refusal(&folder).contains("5 bytes instead of 32"));
    fs::remove_file(&key_file).unwrap();
    symlink("/dev/zero", &key_file).unwrap();
    assert!(refusal(&folder).contains("symbolic link"));
}

#[test]
fn a_folder_of_another_user_is_refused() {
    // Only root can make a folder that belongs to somebody else; for others
    // the root folder is one.
    let dir = tempfile::tempdir().unwrap();
    let theirs = dir.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o700)).unwrap();
    let path = match std::os::unix::fs::chown(&theirs, Some(65534), None) {
        Ok(()) => theirs.as_path(),
        Err(_) => Path::new("/"),
    };
    let error = CodeCache::open(path, LIMIT).unwrap_err().to_string();
    assert!(error.contains("belongs to another user"), "{error}");
}

#[test]
fn a_folder_exchanged_after_opening_changes_nothing() {
    let fixture = Fixture::new();
    fixture.put(&key("a"), b"code");
    let folder = fixture.folder();
    fs::rename(&folder, fixture.dir.path().join("moved")).unwrap();
    fs::create_dir(&folder).unwrap();
    assert_eq!(got(&fixture.cache, &key("a")).unwrap(), b"code");
    fixture.cache.put(&key("b"), b"more").unwrap();
    assert_eq!(entries(&folder), Vec::<PathBuf>::new());
}

#[test]
fn caches_opened_at_once_agree_on_one_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("code");
    let caches: Vec<CodeCache> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| CodeCache::open(&path, LIMIT).unwrap()))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    caches[0].put(&key("a"), b"code").unwrap();
    for cache in &caches {
        assert_eq!(got(cache, &key("a")).unwrap(), b"code");
    }
}

#[test]
fn what_was_used_longest_ago_is_evicted() {
    let fixture = Fixture::new();
    let quarter = vec![7; (LIMIT / 4 - 100) as usize];
    let past = |file: &Path, seconds: u64| {
        let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::open(file).unwrap().set_modified(then).unwrap();
    };
    for (i, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let file = fixture.put(&key(name), &quarter);
        past(&file, 1000 + i as u64);
    }
    let stale = fixture.folder().join("0.tmp");
    fs::write(&stale, b"left by a crash").unwrap();
    past(&stale, 1000);
    let fresh = fixture.folder().join("1.tmp");
    fs::write(&fresh, b"being written").unwrap();

    assert!(
        got(&fixture.cache, &key("a")).is_some(),
        "and so it is used last"
    );
    fixture.cache.put(&key("e"), &quarter).unwrap();
    let left = ["a", "b", "c", "d", "e"].map(|name| got(&fixture.cache, &key(name)).is_some());
    assert_eq!(left, [true, false, true, true, true]);
    assert!(!stale.exists() && fresh.exists());

    // Larger than the whole cache: kept out, and nothing is lost for it.
    fixture
        .cache
        .put(&key("f"), &vec![7; LIMIT as usize])
        .unwrap();
    assert_eq!(got(&fixture.cache, &key("f")), None);
    assert!(got(&fixture.cache, &key("a")).is_some());
}

/// A clock that was once ahead must not make every new entry the oldest one.
#[test]
fn what_was_just_put_is_never_evicted() {
    let fixture = Fixture::new();
    let half = vec![7; (LIMIT / 2 - 100) as usize];
    for name in ["a", "b"] {
        let file = fixture.put(&key(name), &half);
        let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(1 << 30);
        fs::File::open(&file).unwrap().set_modified(ahead).unwrap();
    }
    fixture.cache.put(&key("c"), &half).unwrap();
    assert!(got(&fixture.cache, &key("c")).is_some());
    assert_eq!(entries(&fixture.folder()).len(), 2);
}

#[test]
fn a_refused_entry_is_named_once_and_gone() {
    let fixture = Fixture::new();
    let file = fixture.put(&key("a"), b"code");
    let name = file.file_name().unwrap().to_str().unwrap();
    fs::write(&file, [0; 100]).unwrap();
    let entry = fixture.cache.get(&key("a")).unwrap_err();
    assert_eq!(entry.name, name);
    assert_eq!(entry.problem, "its authentication code does not match");
    assert_eq!(got(&fixture.cache, &key("a")), None);
}

#[test]
fn h5_an_entry_with_a_second_name_is_refused() {
    let fixture = Fixture::new();
    let file = fixture.put(&key("a"), b"code");
    fs::hard_link(&file, fixture.dir.path().join("aside")).unwrap();
    assert!(refused(&fixture.cache, &key("a")));
    assert!(!file.exists());
}

/// Only root can give a file away; for others the row is the folder's.
#[test]
fn h5_an_entry_of_another_user_is_refused() {
    let fixture = Fixture::new();
    let file = fixture.put(&key("a"), b"code");
    if std::os::unix::fs::chown(&file, Some(65534), None).is_ok() {
        let entry = fixture.cache.get(&key("a")).unwrap_err();
        assert_eq!(entry.problem, "it belongs to another user");
    }
}

#[test]
fn h5_with_another_key_no_entry_is_ours() {
    let fixture = Fixture::new();
    fixture.put(&key("a"), b"code");
    write_private(&fixture.folder().join("key"), &[7; 32]);
    let again = CodeCache::open(fixture.folder(), LIMIT).unwrap();
    assert!(refused(&again, &key("a")));
    // It has been removed, also for those who know the old key.
    assert_eq!(got(&fixture.cache, &key("a")), None);
}

#[test]
fn those_who_write_and_read_at_once_see_whole_entries() {
    let fixture = Fixture::new();
    let whole = |byte: u8| vec![byte; 100_000];
    fixture.put(&key("a"), &whole(0));
    std::thread::scope(|scope| {
        for byte in 1..4 {
            let cache = CodeCache::open(fixture.folder(), LIMIT).unwrap();
            scope.spawn(move || {
                for _ in 0..20 {
                    cache.put(&key("a"), &whole(byte)).unwrap();
                }
            });
            let cache = CodeCache::open(fixture.folder(), LIMIT).unwrap();
            scope.spawn(move || {
                for _ in 0..40 {
                    let code = got(&cache, &key("a")).unwrap();
                    assert_eq!(code, whole(code[0]));
                }
            });
        }
    });
    assert_eq!(entries(&fixture.folder()).len(), 1);
}

const FOLDER_OF_WRITER: &str = "SERVO_TEST_CACHE_FOLDER";

/// Not a test: what the next one starts as a process of its own.
#[test]
#[ignore = "part of another test"]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER_OF_WRITER) else {
        return;
    };
    let cache = CodeCache::open(folder, LIMIT).unwrap();
    let _ = cache.put(&key("a"), &vec![9; LIMIT as usize / 2]);
}

/// The kernel ends the writer in the middle of its file, by its limit of what
/// one file may hold: nothing of it runs after that, as with `kill -9`.
#[test]
fn h5_a_writer_that_is_killed_in_the_middle_leaves_the_entry_as_it_was() {
    use std::os::unix::process::ExitStatusExt as _;

    let fixture = Fixture::new();
    fixture.put(&key("a"), b"the code before");
    let this = std::env::current_exe().unwrap();
    let status = std::process::Command::new("/bin/sh")
        // In blocks of 512 bytes: a quarter of what is to be written.
        .args([
            "-c",
            "ulimit -c 0; ulimit -f 256; exec \"$0\" --exact code_cache::writer --ignored",
        ])
        .arg(this)
        .env(FOLDER_OF_WRITER, fixture.folder())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(
        status.signal(),
        Some(rustix::process::Signal::XFSZ.as_raw())
    );
    let halves: Vec<PathBuf> = fs::read_dir(fixture.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "tmp"))
        .collect();
    assert_eq!(halves.len(), 1, "it was not in the middle");

    let again = CodeCache::open(fixture.folder(), LIMIT).unwrap();
    assert_eq!(got(&again, &key("a")).unwrap(), b"the code before");
    // What it has left is removed by a later one.
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000);
    fs::File::open(&halves[0])
        .unwrap()
        .set_modified(then)
        .unwrap();
    again.put(&key("b"), b"code").unwrap();
    assert!(!halves[0].exists());
}
