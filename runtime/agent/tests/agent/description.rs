//! Asking a driver what there is, before it is asked to adjust.

use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::json;
use servo_agent::{
    AdjustDriver, AdjustRequest, Call, CallContext, CallId, CallLimits, DriverFacts, DriverFailure,
    Ended, NoJournal, NoObserver, NoReporter, Pacing, Start, Step, fitted,
};
use servo_config::Ceilings;
use servo_protocol::{Application, AppliedApplication, Reason, Status};
use tokio_util::sync::CancellationToken;

/// Remembers the id of each call it is part of.
struct Remembers {
    facts: DriverFacts,
    calls: Mutex<Vec<CallId>>,
}

impl Remembers {
    fn remember(&self, cx: &CallContext) {
        self.calls.lock().unwrap().push(cx.call.clone());
    }
}

fn described() -> Application {
    serde_json::from_value(json!({ "components": { "web": { "settings": {
        "cpu": { "min": 1, "max": 8, "step": 1, "value": 2 }
    }}}}))
    .unwrap()
}

fn wanted(cpu: i64) -> AppliedApplication {
    serde_json::from_value(json!({ "components": { "web": { "settings": {
        "cpu": { "value": cpu }
    }}}}))
    .unwrap()
}

#[async_trait]
impl AdjustDriver for Remembers {
    fn facts(&self) -> &DriverFacts {
        &self.facts
    }

    async fn describe(&self, cx: &CallContext) -> Result<Application, DriverFailure> {
        self.remember(cx);
        Ok(described())
    }

    async fn step(
        &self,
        cx: &CallContext,
        _: &AdjustRequest,
        _: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        self.remember(cx);
        Ok(Step::Done(AppliedApplication::default()))
    }
}

#[tokio::test]
async fn the_question_is_a_call_of_its_own() {
    let driver = Remembers {
        facts: DriverFacts {
            name: "remembers".to_owned(),
            version: "1.0.0".to_owned(),
            digest: None,
            cancel: servo_agent::CancelSupport::Report,
            recover: false,
        },
        calls: Mutex::default(),
    };
    let stop = CancellationToken::new();
    let call = Call {
        id: CallId::new("one"),
        app: "shop",
        cmd_uid: None,
        limits: CallLimits::default(),
        pacing: Pacing::default(),
        reporter: &NoReporter,
        journal: &NoJournal,
        observer: &NoObserver,
        stop: &stop,
        start: Start::Fresh,
    };
    assert_eq!(call.application(&driver).await.unwrap(), described());
    let request = AdjustRequest {
        application: wanted(4),
        ..AdjustRequest::default()
    };
    let ended = call.adjust(&driver, &request).await;
    assert!(matches!(ended, Ended::Done(_)), "{ended:?}");
    let calls = driver.calls.lock().unwrap().clone();
    assert_eq!(calls, [CallId::new("one-describe"), CallId::new("one")]);
}

#[test]
fn what_does_not_fit_is_rejected_in_the_words_of_the_wire() {
    assert_eq!(
        fitted(&wanted(8), &described(), &Ceilings::default()).unwrap(),
        wanted(8)
    );
    let failure = fitted(&wanted(9), &described(), &Ceilings::default()).unwrap_err();
    assert_eq!(
        (failure.status, failure.reason),
        (Status::Rejected, Some(Reason::InvalidSetting))
    );
    assert!(
        failure.message.contains("9 is outside 1 to 8"),
        "{}",
        failure.message
    );
}
