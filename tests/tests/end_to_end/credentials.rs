//! Credentials of the host, before servers that others wrote: moto checks
//! signatures of AWS with AWS' own library, nginx checks client certificates.

use std::path::PathBuf;
use std::sync::Arc;

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use servo_egress::{CallMeter, Gate, Lane, Owner, SystemResolver, Timeouts, full};
use servo_policy::{
    Budget, ClientCertificate, Credential, HttpGrant, HttpRules, Rule, SecretSource,
};
use servo_test_support::tls::Authority;
use servo_tests::clients::python;
use servo_tests::moto::Moto;
use servo_tests::nginx::{Mutual, Nginx};
use servo_tests::program::{NGINX, present};
use tempfile::TempDir;

/// Headers that a rule lets its guest set.
fn headers(names: &[&str]) -> Vec<servo_policy::HeaderName> {
    let names = names.iter();
    names
        .map(|name| servo_policy::HeaderName::parse(name).unwrap())
        .collect()
}

/// A lane with one rule.
fn lane(line: &str, change: impl FnOnce(&mut HttpGrant)) -> Lane {
    let rule: Rule = line.parse().unwrap();
    let mut grant = HttpGrant::from((rule, true, None));
    change(&mut grant);
    let gate = Gate::new(Arc::new(SystemResolver)).unwrap();
    let rules = HttpRules::new([grant]).unwrap();
    gate.lane(Owner::default(), rules).unwrap()
}

async fn send(
    lane: &Lane,
    method: &str,
    url: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(full(body.to_owned())).unwrap();
    let call = CallMeter::new(&Budget::default());
    let sent = lane.send(request, &call, Timeouts::default()).await;
    let response = sent.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn between<'a>(text: &'a str, tag: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("<{tag}>")).unwrap();
    rest.split_once('<').unwrap().0
}

const FORM: (&str, &str) = (
    "content-type",
    "application/x-www-form-urlencoded; charset=utf-8",
);

#[tokio::test]
async fn e6_moto_accepts_our_signatures_and_refuses_those_of_another_key() {
    let test = "e6_moto_accepts_our_signatures_and_refuses_those_of_another_key";
    let Some(packages) = python::present(test, Moto::packages()) else {
        return;
    };
    let moto = Moto::start(&packages).unwrap();
    let line = format!("GET,POST,PUT,DELETE http://{}/", moto.address());
    let url = |path: &str| format!("http://{}{path}", moto.address());

    // A user with all rights, made while nobody needs any.
    let nobody = lane(&line, |grant| grant.headers = headers(&["authorization"]));
    let scope = "AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/iam/aws4_request, \
                 SignedHeaders=host, Signature=x";
    let mut made = String::new();
    for form in [
        "Action=CreateUser&Version=2010-05-08&UserName=servo",
        "Action=PutUserPolicy&Version=2010-05-08&UserName=servo&PolicyName=all&PolicyDocument=\
         %7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow\
         %22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D",
        "Action=CreateAccessKey&Version=2010-05-08&UserName=servo",
    ] {
        let fields = [FORM, ("authorization", scope)];
        let (status, answer) = send(&nobody, "POST", &url("/"), &fields, form).await;
        assert_eq!(status, 200, "{answer}");
        made = answer;
    }
    let secrets = TempDir::new().unwrap();
    let file = |name: &str, value: &str| {
        std::fs::write(secrets.path().join(name), value).unwrap();
        SecretSource::File(secrets.path().join(name))
    };
    let signed = |service: &str, key: &str| {
        let credential = Credential::SigV4 {
            service: service.to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: file("id", between(&made, "AccessKeyId")),
            secret_access_key: file(
                key,
                if key == "key" {
                    between(&made, "SecretAccessKey")
                } else {
                    "another0Key0that0is0not0the0users00000000"
                },
            ),
            session_token: None,
        };
        lane(&line, |grant| {
            grant.credential = Some(credential);
            grant.headers = headers(&["x-amz-target"]);
        })
    };

    let who = "Action=GetCallerIdentity&Version=2011-06-15";
    let lists = "Action=ListMetrics&Version=2010-08-01&Namespace=Shop";
    let mut wrong = Vec::new();
    for (service, method, path, fields, body, expected) in [
        ("sts", "POST", "/", &[FORM][..], who, "user/servo"),
        (
            "monitoring",
            "POST",
            "/",
            &[FORM],
            lists,
            "ListMetricsResult",
        ),
        ("s3", "PUT", "/shop", &[], "", ""),
        (
            "s3",
            "PUT",
            "/shop/a%20b/c+d",
            &[("content-type", "text/plain")],
            "some bytes",
            "",
        ),
        ("s3", "GET", "/shop/a%20b/c+d", &[], "", "some bytes"),
        (
            "s3",
            "GET",
            "/shop?prefix=a%20b&list-type=2",
            &[],
            "",
            "<KeyCount>1<",
        ),
        (
            "dynamodb",
            "POST",
            "/",
            &[
                ("content-type", "application/x-amz-json-1.0"),
                ("x-amz-target", "DynamoDB_20120810.ListTables"),
            ],
            "{}",
            "TableNames",
        ),
    ] {
        let what = format!("{service} {method} {path}");
        let (status, answer) =
            send(&signed(service, "key"), method, &url(path), fields, body).await;
        if !status.is_success() || !answer.contains(expected) {
            wrong.push(format!("{what}: {status} {answer}"));
        }
        let other = signed(service, "other");
        let (status, answer) = send(&other, method, &url(path), fields, body).await;
        let refused = ["SignatureDoesNotMatch", "InvalidSignatureException"];
        if status.is_success() || !refused.iter().any(|code| answer.contains(code)) {
            wrong.push(format!("{what}, another key: {status} {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn c21_nginx_lets_in_the_rule_with_the_certificate_alone() {
    if !present(
        "c21_nginx_lets_in_the_rule_with_the_certificate_alone",
        &[NGINX],
    ) {
        return;
    }
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (certificate, key) = ours.signed("localhost");
    let nginx = Nginx::builder()
        .answer("/inside", 200, "come in")
        .mutual(Mutual {
            certificate,
            key,
            clients: ours.pem(),
        })
        .start()
        .unwrap();
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let port = nginx.address().port();
    for (name, signer, status) in [
        ("ours", Some(&ours), 200),
        ("theirs", Some(&theirs), 400),
        ("none", None, 400),
    ] {
        let identity = signer.map(|signer| {
            let (certificate, key) = signer.signed("client");
            ClientCertificate {
                certificate: write(&format!("{name}.pem"), &certificate),
                key: write(&format!("{name}.key"), &key),
            }
        });
        let lane = lane(&format!("GET https://localhost:{port}/"), |grant| {
            grant.ca = Some(ours.file());
            grant.identity = identity;
        });
        let url = format!("https://localhost:{port}/inside");
        for _ in 0..2 {
            let (answered, body) = send(&lane, "GET", &url, &[], "").await;
            assert_eq!(answered, status, "{name}: {body}");
            assert_eq!(body.contains("come in"), status == 200, "{name}: {body}");
        }
    }
    let served = nginx.served().unwrap();
    let numbers: Vec<(u16, u64)> = served.iter().map(|one| (one.status, one.number)).collect();
    // Whom it lets in keeps the connection; every other is closed.
    assert_eq!(
        numbers,
        [(200, 1), (200, 2), (400, 1), (400, 1), (400, 1), (400, 1)]
    );
}
