//! E8: what is no secret is refused when its lane is made.

use servo_egress::EgressError;
use servo_policy::{ClientCertificate, Credential, HttpGrant, HttpRules, SecretSource};

use crate::common::{Server, get, owner, send};
use crate::world::*;

fn refusal(credential: Credential) -> String {
    let (gate, _) = gate();
    let grants = vec![
        grant("GET http://127.0.0.1:1/", None),
        grant("GET http://127.0.0.1:2/", Some(credential)),
    ];
    let error = gate
        .lane(owner("acme"), HttpRules::new(grants).unwrap())
        .err()
        .unwrap();
    assert!(
        matches!(error, EgressError::Credential { rule: 1, .. }),
        "{error:?}"
    );
    error.to_string()
}

#[tokio::test]
async fn e8_bad_values_are_refused_at_load_by_rule_and_source() {
    let secrets = Secrets::new();
    let long = "canary-e8".repeat(64 << 10);
    for (value, why) in [
        ("", "is empty"),
        ("\n", "is empty"),
        ("canary-e8\nx", "more than one line"),
        ("canary-e8\r\nx: y", "more than one line"),
        ("canary-e8\0", "control character"),
        ("canary-e8-ü", "not ASCII"),
        ("canary-e8 ", "begins or ends with a space"),
        (&long[..64 << 10], "longer than 8 KiB"),
        (&long[..(8 << 10) + 1], "longer than 8 KiB"),
    ] {
        let source = secrets.write("bad", value);
        let file = secrets.path("bad").display().to_string();
        for credential in [
            Credential::Bearer(source.clone()),
            Credential::Basic {
                user: "u".to_owned(),
                password: source.clone(),
            },
            Credential::SigV4 {
                service: "es".to_owned(),
                region: "r".to_owned(),
                access_key_id: secrets.write("id", "AKID"),
                secret_access_key: source.clone(),
                session_token: None,
            },
            Credential::OAuth2 {
                token: "POST https://a.test/token".parse().unwrap(),
                private: false,
                ca: None,
                client_id: "c".to_owned(),
                client_secret: source.clone(),
                scope: String::new(),
            },
        ] {
            let error = refusal(credential);
            for part in ["grants.http[1]", &file, why] {
                assert!(error.contains(part), "{part}: {error}");
            }
            assert!(!error.contains("canary"), "{error}");
        }
    }
}

#[tokio::test]
async fn e8_sources_that_are_not_there() {
    let secrets = Secrets::new();
    for (source, parts) in [
        (
            SecretSource::File(secrets.path("none")),
            ["the file", "cannot be read"],
        ),
        (
            SecretSource::File("/dev/zero".into()),
            ["the file /dev/zero", "not a regular file"],
        ),
        (
            SecretSource::Env("SERVO_TEST_NO_SUCH_NAME".to_owned()),
            ["the variable SERVO_TEST_NO_SUCH_NAME", "no such variable"],
        ),
        (
            SecretSource::Command(vec!["/no/such/program".to_owned(), "canary".to_owned()]),
            ["the command /no/such/program", "no such program"],
        ),
    ] {
        let error = refusal(Credential::Bearer(source));
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(!error.contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn e8_the_longest_secret_and_a_variable_arrive_whole() {
    let secrets = Secrets::new();
    let longest = "x".repeat(8 << 10);
    let server = Server::ok().await;
    let name = "PATH";
    for (source, value) in [
        (
            secrets.write("long", format!("{longest}\n")),
            longest.clone(),
        ),
        (
            SecretSource::Env(name.to_owned()),
            std::env::var(name).unwrap(),
        ),
    ] {
        let (lane, _) = lane_to(&server, Credential::Bearer(source));
        send(&lane, get(&server.url("/"))).await.unwrap();
        let arrived = server.requests().pop().unwrap();
        let value = format!("Bearer {value}");
        assert_eq!(field(&arrived, "authorization"), Some(&*value));
    }
}

#[tokio::test]
async fn e8_certificates_that_cannot_be_used() {
    let secrets = Secrets::new();
    let pair = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["c".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let ((certificate, key), (_, other)) = (pair(), pair());
    for (certificate, key, why) in [
        ("", &*key, "no certificate"),
        ("canary", &key, "no certificate"),
        (&certificate, "canary", "no private key"),
        (&certificate, &other, "not the key of the certificate"),
        (&certificate, &"x".repeat(65 << 10), "larger than 64 KiB"),
    ] {
        secrets.write("cert.pem", certificate);
        secrets.write("key.pem", key);
        let (gate, _) = gate();
        let grant = HttpGrant {
            identity: Some(ClientCertificate {
                certificate: secrets.path("cert.pem"),
                key: secrets.path("key.pem"),
            }),
            ..grant("GET https://a.test/", None)
        };
        let error = gate
            .lane(owner("acme"), HttpRules::new([grant]).unwrap())
            .err()
            .unwrap();
        let error = error.to_string();
        assert!(error.contains("grants.http[0]"), "{error}");
        assert!(error.contains(why), "{why}: {error}");
        assert!(error.contains(".pem"), "{error}");
    }
}

/// Nobody learns of it from the answers, which keep such a secret.
#[tokio::test]
async fn field_04_a_secret_that_cannot_be_told_from_data_is_told_in_the_log() {
    let secrets = Secrets::new();
    for (name, value, told) in [
        ("short-7", "abcdefg", true),
        ("dull-12", "abcabcabcabc", true),
        ("plain-8", "abcdefgh", false),
    ] {
        let server = responding(|request| {
            let value = field(request, "authorization").unwrap();
            answer("200 OK", "", value)
        })
        .await;
        let source = secrets.write(name, value);
        let (lane, _) = lane_to(&server, Credential::Bearer(source));
        let line = heard_line(&[
            " WARN ",
            "cannot be told from data",
            &secrets.path(name).display().to_string(),
        ]);
        assert_eq!(line.is_some(), told, "{name}: {line:?}");
        if let Some(line) = line {
            assert!(!line.contains(value), "{line}");
        }
        let body = read(&lane, get(&server.url("/"))).await.unwrap();
        assert_eq!(body.contains(value), told, "{name}: {body}");
    }
}
