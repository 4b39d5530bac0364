//! E4 and E7: a credential goes where its rule goes, and nowhere else.

use servo_egress::SendError;
use servo_policy::Credential;

use crate::common::{Server, get, send, text};
use crate::world::*;

#[tokio::test]
async fn e4_a_secret_has_no_name_by_which_a_driver_could_ask_for_it() {
    let secrets = Secrets::new();
    let canary = "canary-e4-named";
    let (ours, other) = (Server::ok().await, Server::ok().await);
    let bearer = Credential::Bearer(secrets.write("one", canary));
    let file = secrets.path("one").display().to_string();
    let (lane, records) = lane_with(vec![
        grant(&format!("GET http://{}/", ours.address), Some(bearer)),
        naming(
            grant(&format!("GET http://{}/", other.address), None),
            &["authorization", "x-secret"],
        ),
    ]);
    for value in [
        "Bearer {secret}".to_owned(),
        "Bearer ${secret}".to_owned(),
        format!("Bearer ${{file:{file}}}"),
        format!("file:{file}"),
    ] {
        let mut request = get(&other.url("/"));
        let headers = request.headers_mut();
        headers.insert("authorization", value.parse().unwrap());
        headers.insert("x-secret", file.parse().unwrap());
        send(&lane, request).await.unwrap();
        let arrived = other.requests().pop().unwrap();
        assert_eq!(field(&arrived, "authorization"), Some(&*value), "as sent");
    }
    assert!(!other.requests().concat().contains(canary));
    assert_eq!(ours.opened(), 0);
    // What is refused says nothing about credentials that exist elsewhere.
    let (bare, _) = lane_with(vec![
        grant(&format!("GET http://{}/", ours.address), None),
        grant(&format!("GET http://{}/", other.address), None),
    ]);
    for url in [
        ours.url("/").replace("http", "https"),
        "http://b.test/".to_owned(),
    ] {
        let with = send(&lane, get(&url)).await.unwrap_err().to_string();
        let without = send(&bare, get(&url)).await.unwrap_err().to_string();
        assert_eq!(with, without);
    }
    assert!(!records.all().concat().contains(canary));
    e5_unheard(&[canary]);
}

#[tokio::test]
async fn e4_tenants_have_lanes_of_their_own() {
    let secrets = Secrets::new();
    let (one, two) = ("canary-tenant-one", "canary-tenant-two");
    let server = Server::ok().await;
    let (gate, _) = gate();
    for (tenant, canary) in [("one", one), ("two", two)] {
        let bearer = Credential::Bearer(secrets.write(tenant, canary));
        let line = format!("GET http://{}/", server.address);
        let rules = servo_policy::HttpRules::new([grant(&line, Some(bearer))]).unwrap();
        let lane = gate.lane(crate::common::owner(tenant), rules).unwrap();
        text(send(&lane, get(&server.url("/"))).await.unwrap())
            .await
            .unwrap();
        let arrived = server.requests().pop().unwrap();
        let value = format!("Bearer {canary}");
        assert_eq!(field(&arrived, "authorization"), Some(&*value));
    }
    assert_eq!(server.opened(), 2);
    e5_unheard(&[one, two]);
}

#[tokio::test]
async fn e4_the_header_of_the_credential_is_the_hosts() {
    let secrets = Secrets::new();
    let canary = "canary-e4-field";
    let server = Server::ok().await;
    let key = Credential::Header {
        name: "x-api-key".to_owned(),
        before: String::new(),
        secret: secrets.write("one", canary),
        after: String::new(),
    };
    for (names, value, credential) in [
        (
            &["authorization", "proxy_authorization", "cookie"][..],
            format!("Bearer {canary}"),
            Credential::Bearer(secrets.write("one", canary)),
        ),
        (
            &["x-api-key", "x_api_key", "x-api_key", "authorization"],
            canary.to_owned(),
            key,
        ),
    ] {
        // Not even where the rule names it, which its text cannot.
        let line = format!("GET http://{}/", server.address);
        let (lane, _) = lane_with(vec![naming(grant(&line, Some(credential)), names)]);
        let before = server.requests().len();
        for name in names {
            let mut request = get(&server.url("/"));
            let name = http::HeaderName::from_static(name);
            request.headers_mut().append(name, "mine".parse().unwrap());
            let error = send(&lane, request).await.unwrap_err();
            assert!(matches!(error, SendError::Denied(_)), "{error}");
        }
        assert_eq!(server.requests().len(), before);
        send(&lane, get(&server.url("/"))).await.unwrap();
        let arrived = server.requests().pop().unwrap();
        assert_eq!(field(&arrived, names[0]), Some(&*value));
    }
    e5_unheard(&[canary]);
}

#[tokio::test]
async fn without_a_credential_a_driver_may_bring_its_own() {
    let server = Server::ok().await;
    let line = format!("GET http://{}/", server.address);
    let (lane, _) = lane_with(vec![naming(grant(&line, None), &["authorization"])]);
    let mut request = get(&server.url("/"));
    let value = "Bearer my own".parse().unwrap();
    request.headers_mut().insert("authorization", value);
    request
        .headers_mut()
        .insert("range", "bytes=0-1".parse().unwrap());
    send(&lane, request).await.unwrap();
    let arrived = server.requests().pop().unwrap();
    assert_eq!(field(&arrived, "authorization"), Some("Bearer my own"));
    assert_eq!(field(&arrived, "range"), Some("bytes=0-1"));
}

#[tokio::test]
async fn e4_a_redirect_takes_no_credential_along() {
    let secrets = Secrets::new();
    let canary = "canary-e4-redirect";
    let other = Server::ok().await;
    let location = format!("location: {}\r\n", other.url("/"));
    let server = responding(move |_| answer("307 Elsewhere", &location, "")).await;
    let (lane, _) = lane_with(vec![
        grant(
            &format!("GET http://{}/", server.address),
            Some(Credential::Bearer(secrets.write("one", canary))),
        ),
        grant(&format!("GET http://{}/", other.address), None),
    ]);
    let response = send(&lane, get(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(other.opened(), 0);
    assert!(server.requests()[0].contains(canary));
    e5_unheard(&[canary]);
}

#[tokio::test]
async fn e7_who_wants_a_clouds_credentials_is_told_of_the_hosts() {
    let (lane, _) = lane_with(vec![grant("GET http://*.google.internal/", None)]);
    let resolver = crate::common::Scripted::new(&[&["169.254.169.254"]]);
    let rules = lane.rules().clone();
    let named = crate::common::lane(resolver, rules);
    let error = send(
        &named,
        get("http://metadata.google.internal/latest/meta-data/"),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, SendError::AddressDenied(_)), "{error:?}");
    let literal = send(&lane, get("http://169.254.169.254/latest/meta-data/"))
        .await
        .unwrap_err();
    for text in [error.to_string(), literal.to_string()] {
        assert!(text.contains("sigv4"), "{text}");
        assert!(text.contains("oauth2"), "{text}");
    }
}
