//! Options, variables and exit codes (protocol sections 11 and 12).

use servo_tests::workspace::Workspace;

use super::world::link;

/// Arguments after `servo`, variables, the exit code, and what is said.
type Case = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
    i32,
    &'static str,
);

const URL: &str = "http://127.0.0.1:9/";

const CASES: &[Case] = &[
    (&["run"], &[], 2, "<APP_ID>"),
    (&["run", "shop", "--colour"], &[], 2, "--colour"),
    // An unambiguous beginning of an option will do; this one is none.
    (&["run", "shop", "--a", "x"], &[], 2, "--a"),
    (&["run", "shop", "--delay", "-1"], &[], 2, "write seconds"),
    (&["run", "shop", "-d", "soon"], &[], 2, "write seconds"),
    (&["run", "shop", "-d", "nan"], &[], 2, "write seconds"),
    (&["run", "shop", "-d", "inf"], &[], 2, "write seconds"),
    (&["run", ""], &[], 2, "it is empty"),
    (&["run", ".."], &[], 2, "dots alone"),
    (&["run", "../shop"], &[], 2, "another folder"),
    (&["run", "a\nb"], &[], 2, "a control character"),
    (&["run", "--", "-x"], &[], 2, "for an option"),
    (
        &[
            "run",
            "shop",
            "--no-auth",
            "--auth-token",
            "t",
            "--url",
            URL,
        ],
        &[],
        2,
        "--auth-token",
    ),
    // Where is the service?
    (&["run", "shop", "--no-auth"], &[], 2, "--account"),
    (
        &["run", "shop", "--no-auth"],
        &[("OPTUNE_ACCOUNT", "")],
        2,
        "--account",
    ),
    (
        &["run", "shop", "--no-auth", "--url", "ftp://x/"],
        &[],
        2,
        "its scheme",
    ),
    // With an account there is a default address, and the token is next.
    (
        &["run", "shop", "--auth", "nowhere/token"],
        &[("OPTUNE_ACCOUNT", "acme")],
        1,
        "nowhere/token",
    ),
    (
        &["run", "shop", "--acc", "acme"],
        &[],
        1,
        "/run/secrets/optune_auth_token",
    ),
    (
        &[
            "run",
            "shop",
            "--url",
            "http://optune.example/",
            "--auth",
            "token",
        ],
        &[],
        2,
        "unencrypted",
    ),
    (
        &["run", "shop", "--no-auth", "--url", URL],
        &[("OPTUNE_PERF", "a b")],
        1,
        "OPTUNE_PERF",
    ),
    (
        &["run", "shop", "--no-auth", "--url", URL],
        &[("OPTUNE_IO_TIMEOUT", "1.5")],
        1,
        "OPTUNE_IO_TIMEOUT",
    ),
    (
        &["run", "shop", "--no-auth", "--url", URL],
        &[("SERVO_RETRY_DELAY_SEC", "soon")],
        2,
        "SERVO_RETRY_DELAY_SEC",
    ),
    (
        &[
            "run",
            "shop",
            "--no-auth",
            "--url",
            URL,
            "--config",
            "other.yaml",
        ],
        &[],
        2,
        "other.yaml",
    ),
    (&["run", "--help"], &[("OPTUNE_PERF", "a b")], 0, ""),
];

#[test]
fn each_mistake_has_its_code_and_is_named() {
    let folder = Workspace::new().unwrap();
    link(&folder, "ab", "measure");
    folder.write("token", "secret").unwrap();
    for (arguments, variables, code, said) in CASES {
        let mut command = folder.servo(*arguments).unwrap();
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let case = format!("{arguments:?} {variables:?}: {stderr}");
        assert_eq!(output.status.code(), Some(*code), "{case}");
        assert!(stderr.contains(said), "{case}");
        assert!(!stderr.contains("panicked"), "{case}");
    }
    // None of these got as far as keeping anything.
    assert!(!folder.path().join(".servo").exists());
}

#[test]
fn a_journal_that_cannot_be_kept_stops_the_start() {
    let folder = Workspace::new().unwrap();
    link(&folder, "ab", "measure");
    // A file where a folder has to be.
    folder.write(".servo", "").unwrap();
    let ran = folder
        .run(["run", "shop", "--no-auth", "--url", URL])
        .unwrap();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for part in [".servo/journal", "could lose a result", "--config"] {
        assert!(ran.stderr.contains(part), "{part:?}: {}", ran.stderr);
    }
}

#[test]
fn a_reader_who_has_enough_is_nothing_to_panic_about() {
    let folder = Workspace::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = folder.servo(["driver", "wit"]).unwrap();
    let output = command.stdout(writer).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
}
