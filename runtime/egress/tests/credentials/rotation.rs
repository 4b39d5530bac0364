//! E9: a secret that changes, and one that is taken away, during a call.

use servo_egress::{CredentialFailure, SendError, Timeouts};
use servo_policy::{Credential, SecretSource};

use crate::common::{Server, get, meter, send, settle, text};
use crate::world::*;

#[tokio::test]
async fn e9_the_next_request_of_the_same_call_uses_the_new_value() {
    let secrets = Secrets::new();
    let (old, new) = ("canary-e9-old", "canary-e9-new");
    let server = Server::ok().await;
    let (lane, records) = lane_to(&server, Credential::Bearer(secrets.write("one", old)));
    let call = meter();
    let ask = || lane.send(get(&server.url("/")), &call, Timeouts::default());
    for value in [old, old, new] {
        secrets.write("one", value);
        text(ask().await.unwrap()).await.unwrap();
        let arrived = server.requests().pop().unwrap();
        let value = format!("Bearer {value}");
        assert_eq!(field(&arrived, "authorization"), Some(&*value));
    }
    // Taken away, or spoilt: nothing is sent, not even without it.
    std::fs::remove_file(secrets.path("one")).unwrap();
    for bad in [None, Some(""), Some("two\nlines")] {
        if let Some(bad) = bad {
            secrets.write("one", bad);
        }
        let error = ask().await.unwrap_err();
        assert!(
            matches!(error, SendError::Credential(CredentialFailure::Secret)),
            "{error:?}"
        );
        let file = secrets.path("one").display().to_string();
        assert!(
            !error.to_string().contains(&file),
            "told to drivers: {error}"
        );
    }
    assert_eq!(server.requests().len(), 3);
    assert_eq!(
        records.of("http denied secret").len(),
        3,
        "{:?}",
        records.all()
    );
    secrets.write("one", new);
    assert!(ask().await.is_ok(), "it is back");
    e5_unheard(&[old, new]);
}

#[tokio::test]
async fn e9_a_command_is_run_at_first_use_and_shared() {
    let secrets = Secrets::new();
    let canary = "canary-e9-command";
    secrets.write("one", canary);
    let script = format!(
        "echo x >> {}; cat {}",
        secrets.path("runs").display(),
        secrets.path("one").display()
    );
    let argv = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    let server = Server::ok().await;
    let (lane, _) = lane_to(&server, Credential::Bearer(SecretSource::Command(argv)));
    assert!(!exists(&secrets.path("runs")));
    let ask = || read(&lane, get(&server.url("/")));
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    let runs = std::fs::read_to_string(secrets.path("runs")).unwrap();
    assert_eq!(runs, "x\n");
    let all = server.requests().concat();
    assert_eq!(all.matches(&format!("Bearer {canary}")).count(), 3);
    e5_unheard(&[canary]);
}

#[tokio::test]
async fn e9_a_command_that_fails_sends_nothing_and_is_not_run_in_a_loop() {
    let secrets = Secrets::new();
    let script = format!(
        "echo x >> {}; echo canary-failing; exit 1",
        secrets.path("runs").display()
    );
    let argv = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    let server = Server::ok().await;
    let (lane, records) = lane_to(&server, Credential::Bearer(SecretSource::Command(argv)));
    for _ in 0..5 {
        let error = send(&lane, get(&server.url("/"))).await.unwrap_err();
        assert!(matches!(
            error,
            SendError::Credential(CredentialFailure::Secret)
        ));
    }
    let runs = std::fs::read_to_string(secrets.path("runs")).unwrap();
    assert_eq!(runs, "x\n");
    assert_eq!(server.opened(), 0);
    assert_eq!(records.of(" secret ").len(), 5);
    e5_unheard(&["canary-failing"]);
}

#[tokio::test]
async fn a_command_ends_with_its_lane() {
    let secrets = Secrets::new();
    let pipe = secrets.path("alive");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let script = format!("exec 3>{}; sleep 1000", pipe.display());
    let argv = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    let server = Server::ok().await;
    let (lane, _) = lane_to(&server, Credential::Bearer(SecretSource::Command(argv)));
    let url = server.url("/");
    let asking = tokio::spawn(async move { send(&lane, get(&url)).await.map(|_| ()) });
    let opened = tokio::task::spawn_blocking(move || std::fs::File::open(pipe));
    let mut pipe = opened.await.unwrap().unwrap();
    // The one who asked is gone, and its lane with it.
    asking.abort();
    settle(|| asking.is_finished()).await;
    let ended = tokio::task::spawn_blocking(move || std::io::Read::read(&mut pipe, &mut [0]));
    assert_eq!(ended.await.unwrap().unwrap(), 0);
    assert_eq!(server.opened(), 0);
}
