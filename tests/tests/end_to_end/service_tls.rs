//! Whom `servo run` trusts with its token: a service behind TLS whose authority
//! this machine knows, and no other.

use std::net::SocketAddr;
use std::path::Path;

use servo_test_support::tls::Authority;
use servo_tests::process::Process;
use servo_tests::workspace::Workspace;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// What came of each connection: the beginning of what was sent, or nothing
/// where the other side did not trust us.
async fn service(authority: &Authority) -> (SocketAddr, UnboundedReceiver<Option<String>>) {
    let acceptor = authority.acceptor_of("localhost");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut said = None;
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut bytes = vec![0; 4096];
                let size = stream.read(&mut bytes).await.unwrap_or(0);
                bytes.truncate(size);
                said = Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|_| size > 0);
            }
            // Nobody listens any more once the test has ended.
            let _ = tell.send(said);
        }
    });
    (address, told)
}

/// Starts `servo run` on a machine that knows these authorities.
fn servo(workspace: &Workspace, service: SocketAddr, known: &Path) -> Process {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    workspace
        .write("servo.yaml", crate::support::servo_yaml(nobody))
        .unwrap();
    workspace.write("token", "a-token-of-this-test\n").unwrap();
    let url = format!("https://localhost:{}/servo", service.port());
    let mut command = workspace
        .servo(["run", "shop", "--url", &url, "--auth-token", "token"])
        .unwrap();
    command.env("SSL_CERT_FILE", known);
    Process::start(command).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_goes_only_to_whom_the_machine_trusts() {
    let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
    let workspace = Workspace::new().unwrap();
    for (authority, trusted) in [(&known, true), (&unknown, false)] {
        let (address, mut told) = service(authority).await;
        let servo = servo(&workspace, address, &known.file());
        // It is killed with the other future.
        let said = tokio::select! {
            said = told.recv() => said.unwrap(),
            ran = servo.end() => panic!("{ran:?}"),
        };
        assert_eq!(said.is_some(), trusted, "{said:?}");
        if let Some(said) = said {
            let said = said.to_ascii_lowercase();
            assert!(said.starts_with("post /servo http/1.1\r\n"), "{said}");
            let token = "\r\nauthorization: bearer a-token-of-this-test\r\n";
            assert!(said.contains(token), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_authorities_is_told_so_for_https_and_needs_none_for_http() {
    let workspace = Workspace::new().unwrap();
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    workspace
        .write("servo.yaml", crate::support::servo_yaml(nobody))
        .unwrap();
    let empty = workspace.write("empty.pem", "").unwrap();
    let servo = |url: &str| {
        let mut command = workspace
            .servo(["run", "shop", "--no-auth", "--url", url])
            .unwrap();
        command
            .env("SSL_CERT_FILE", &empty)
            .env("SSL_CERT_DIR", workspace.path().join("none"));
        command
    };
    let output = servo("https://127.0.0.1:9/").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("ca-certificates"), "{said}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let servo = Process::start(servo(&url)).unwrap();
    tokio::select! {
        connection = listener.accept() => drop(connection.unwrap()),
        ran = servo.end() => panic!("{ran:?}"),
    }
}
