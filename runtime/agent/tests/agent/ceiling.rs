//! No value above a ceiling reaches a driver.

use servo_agent::{admitted, fitted};
use servo_config::Ceilings;
use servo_protocol::{Application, AppliedApplication, Reason, Status};

/// A ceiling in a file of its own.
fn elsewhere(text: &str) -> (tempfile::TempDir, Ceilings) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ceiling.yaml");
    std::fs::write(&path, text).unwrap();
    let ceilings = Ceilings::read(&path).unwrap();
    (folder, ceilings)
}

fn wanted(cpu: f64) -> AppliedApplication {
    let value =
        serde_json::json!({ "components": { "web": { "settings": { "cpu": { "value": cpu } } } } });
    serde_json::from_value(value).unwrap()
}

#[test]
fn k5_a_value_above_the_ceiling_is_an_invalid_setting() {
    let described: Application = serde_json::from_value(serde_json::json!({
        "components": { "web": { "settings": { "cpu": { "min": 0, "max": 8, "value": 2 } } } }
    }))
    .unwrap();
    let (folder, above) = elsewhere("ceiling: { settings: { web.cpu: { min: 1, max: 4 } } }\n");
    assert!(fitted(&wanted(4.0), &described, &above).is_ok());
    assert!(admitted(&wanted(4.0), &above).is_ok());
    for refused in [
        fitted(&wanted(5.0), &described, &above).unwrap_err(),
        admitted(&wanted(0.5), &above).unwrap_err(),
    ] {
        assert_eq!(refused.status, Status::Rejected);
        assert_eq!(refused.reason, Some(Reason::InvalidSetting));
        let file = folder.path().join("ceiling.yaml");
        assert!(
            refused
                .message
                .contains("`ceiling.settings.web.cpu`: 1 to 4"),
            "{}",
            refused.message
        );
        assert!(refused.message.contains(&file.display().to_string()));
    }
}
