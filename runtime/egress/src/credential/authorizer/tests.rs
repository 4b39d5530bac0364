//! What is kept of a value, and for how long.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::{HeaderMap, Method};
use servo_policy::{Host, Scheme, SecretSource, Target};
use tokio::time::Instant;

use super::super::field::{Field, Form};
use super::*;
use crate::body::empty;

fn target() -> Target {
    Target {
        scheme: Scheme::Https,
        host: Host::Name("a.test".into()),
        port: 443,
        path_and_query: "/".to_owned(),
    }
}

async fn authorize(authorizer: &Arc<Authorizer>) -> Result<Authorized, SendError> {
    let mut headers = HeaderMap::new();
    authorizer
        .authorize(Draft {
            method: &Method::GET,
            target: &target(),
            headers: &mut headers,
            body: &mut empty(),
            length: &mut Some(0),
            most: 0,
            until: Instant::now() + Duration::from_secs(10),
        })
        .await
}

#[tokio::test]
async fn e9_an_old_value_is_gone_with_its_last_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one");
    std::fs::write(&path, "the old value").unwrap();
    let source = SecretSource::File(path.clone());
    let bearer = Field::load(header::AUTHORIZATION, Form::between("Bearer ", ""), &source);
    let authorizer = Authorizer::new(RuleId(0), Box::new(bearer.unwrap()), false);
    let watch = |authorized: &Authorized| authorized.prepared.secrets.first().unwrap().watch();

    let asked = authorize(&authorizer).await.unwrap();
    let old = watch(&asked);
    let again = authorize(&authorizer).await.unwrap();
    assert!(Arc::ptr_eq(&asked.prepared, &again.prepared), "made once");
    drop((asked, again));
    assert!(old.upgrade().is_some());

    // Another length, so that no clock can make the two look alike.
    std::fs::write(&path, "the new value, longer").unwrap();
    let asked = authorize(&authorizer).await.unwrap();
    assert!(old.upgrade().is_none(), "nothing holds the old one");
    let new = watch(&asked);

    // Revoked while an answer is under way: it goes with that answer.
    std::fs::remove_file(&path).unwrap();
    assert!(authorize(&authorizer).await.is_err());
    assert!(new.upgrade().is_some());
    drop(asked);
    assert!(new.upgrade().is_none());
}
