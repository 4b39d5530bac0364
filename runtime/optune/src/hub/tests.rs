use super::*;

fn hello(hub: &Hub, app: &AppKey) -> Result<Reply, HubError> {
    let input = Input::Hello { agent: "x".into() };
    hub.take(app, &EventName::Hello, input, None, b"{}")
}

#[test]
fn what_cannot_be_stored_has_not_happened() {
    let hub = Hub::open(&ServiceOptions::default()).unwrap();
    let app = AppKey::new("acme", "shop").unwrap();
    hello(&hub, &app).unwrap();
    let before = hub.lock().machines[&app].state().clone();
    let mut news = hub.subscribe();
    hub.refuse_writes(true).unwrap();
    let asked = hub.take(&app, &EventName::WhatsNext, Input::WhatsNext, None, b"{}");
    assert!(matches!(asked, Err(HubError::Store(_))));
    assert!(matches!(
        hello(&hub, &AppKey::new("acme", "new").unwrap()),
        Err(HubError::Store(_))
    ));
    assert_eq!(hub.lock().machines[&app].state(), &before);
    assert_eq!(hub.apps().len(), 1);
    assert!(news.try_recv().is_err(), "told of what was not stored");
    hub.refuse_writes(false).unwrap();
    assert!(matches!(
        hub.take(&app, &EventName::WhatsNext, Input::WhatsNext, None, b"{}"),
        Ok(Reply::Command(_))
    ));
}

#[test]
fn only_what_changed_something_is_recorded() {
    let hub = Hub::open(&ServiceOptions::default()).unwrap();
    let app = AppKey::new("acme", "shop").unwrap();
    hello(&hub, &app).unwrap();
    for _ in 0..5 {
        hub.take(&app, &EventName::WhatsNext, Input::WhatsNext, None, b"{}")
            .unwrap();
        let wrong = Input::Final {
            operation: servo_protocol::Operation::Adjust,
            uid: None,
            outcome: crate::machine::Outcome::Adjusted,
        };
        hub.take(&app, &EventName::Adjustment, wrong, None, b"{}")
            .unwrap();
    }
    hub.stop(&app, "enough").unwrap();
    let names: Vec<String> = hub
        .lock()
        .store()
        .unwrap()
        .events(&app)
        .unwrap()
        .into_iter()
        .map(|event| event.name)
        .collect();
    assert_eq!(names, ["HELLO", "STOP"]);
}
