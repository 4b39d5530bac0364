//! A driver that keeps the contract, and the same one with one defect each.

mod fake;

use std::time::Duration;

use servo_protocol::{Number, Scalar, Setting, SettingKind};

use super::*;
use fake::{Defect, Fake};

use Defect as D;

async fn report(kind: &str, cancel: &str, defect: Defect) -> Report {
    let plan = Plan {
        max_steps: 10,
        ..Plan::default()
    };
    run(&mut Fake::new(kind, cancel, defect), &plan).await
}

#[tokio::test]
async fn a_driver_that_keeps_the_contract_passes() {
    for (kind, checks) in [("measure", 9), ("adjust", 11)] {
        for cancel in ["report", "step"] {
            let report = report(kind, cancel, D::None).await;
            let odd: Vec<_> = report
                .checks
                .iter()
                .filter(|check| check.verdict != Verdict::Pass)
                .map(|check| check.subject.as_deref())
                .collect();
            let pinned: &[Option<&str>] = if kind == "adjust" {
                &[Some("web/fixed")]
            } else {
                &[]
            };
            assert_eq!(odd, pinned, "{report}");
            assert_eq!(report.checks.len(), checks, "{report}");
            assert!(report.passed());
        }
    }
}

/// Each defect, the check that must see it, how, and in which words.
#[tokio::test]
async fn each_defect_is_seen_by_its_check() {
    let table = [
        (
            "measure",
            D::DescribeFails,
            "describe",
            Verdict::Fail,
            "nobody is there",
        ),
        (
            "measure",
            D::OtherKind,
            "describe",
            Verdict::Fail,
            "describes the other kind",
        ),
        (
            "adjust",
            D::OtherKind,
            "describe",
            Verdict::Fail,
            "describes the other kind",
        ),
        (
            "adjust",
            D::OtherLimitsEachTime,
            "describe-stable",
            Verdict::Fail,
            "limits",
        ),
        (
            "adjust",
            D::DriftingValue,
            "describe-stable",
            Verdict::Warn,
            "present values differ",
        ),
        (
            "adjust",
            D::MinAboveMax,
            "describe-valid",
            Verdict::Fail,
            "min 1 is above max 0",
        ),
        (
            "adjust",
            D::ValueOffGrid,
            "describe-valid",
            Verdict::Warn,
            "4.5 is not min 1 plus",
        ),
        (
            "adjust",
            D::NothingDescribed,
            "describe-valid",
            Verdict::Fail,
            "no setting",
        ),
        (
            "measure",
            D::NothingDescribed,
            "describe-valid",
            Verdict::Fail,
            "no metric",
        ),
        (
            "adjust",
            D::KeepsOldValue,
            "adjust",
            Verdict::Fail,
            "asked for 5, read back 4",
        ),
        (
            "adjust",
            D::SaysAnotherValue,
            "adjust",
            Verdict::Fail,
            "put back to 4: asked for 4, it says 7",
        ),
        (
            "adjust",
            D::RejectsNeighbour,
            "adjust",
            Verdict::Warn,
            "it rejected 5",
        ),
        (
            "adjust",
            D::CannotGoBack,
            "adjust",
            Verdict::Fail,
            "could not be put back to 4",
        ),
        (
            "adjust",
            D::AcceptsUnknown,
            "unknown-setting",
            Verdict::Fail,
            "it was accepted",
        ),
        (
            "adjust",
            D::ChangesOnUnknown,
            "unknown-setting",
            Verdict::Fail,
            "it changed the application",
        ),
        (
            "adjust",
            D::FailsOnUnknown,
            "unknown-setting",
            Verdict::Warn,
            "failed: no",
        ),
        (
            "measure",
            D::UndescribedMetric,
            "measure",
            Verdict::Fail,
            "`surprise` was measured and never described",
        ),
        (
            "measure",
            D::MissingMetric,
            "measure",
            Verdict::Warn,
            "`latency` was described and not measured",
        ),
        (
            "measure",
            D::NotFinite,
            "measure",
            Verdict::Fail,
            "not a finite number",
        ),
        (
            "measure",
            D::BelowMin,
            "measure",
            Verdict::Warn,
            "`rate` is -1, outside",
        ),
        (
            "measure",
            D::IgnoresChoice,
            "measure-some",
            Verdict::Fail,
            "`rate` alone was asked for",
        ),
        (
            "measure",
            D::StateNotJson,
            "pause",
            Verdict::Fail,
            "not JSON",
        ),
        (
            "measure",
            D::StateTooLarge,
            "pause",
            Verdict::Fail,
            "at most 65536",
        ),
        (
            "measure",
            D::NeverDone,
            "pause",
            Verdict::Fail,
            "not done after 10 steps",
        ),
        (
            "measure",
            D::ProgressBackwards,
            "pause",
            Verdict::Fail,
            "progress went from 0 to -1",
        ),
        (
            "adjust",
            D::LosesState,
            "budget",
            Verdict::Fail,
            "no step in {}",
        ),
        (
            "measure",
            D::DeafToCancel,
            "cancel",
            Verdict::Warn,
            "too quick to notice, or never asks",
        ),
        (
            "measure",
            D::CancelledAsFailed,
            "cancel",
            Verdict::Fail,
            "status `cancelled` is due",
        ),
        (
            "measure",
            D::OverBudget,
            "budget",
            Verdict::Fail,
            "over its budget: cpu 2s",
        ),
    ];
    for (kind, defect, id, verdict, words) in table {
        let report = report(kind, "report", defect).await;
        let seen = report.checks.iter().any(|check| {
            let detail = check.detail.as_deref().unwrap_or_default();
            check.id == id && check.verdict == verdict && detail.contains(words)
        });
        assert!(seen, "{defect:?} of a {kind} driver:\n{report}");
        assert_eq!(report.passed(), report.count(Verdict::Fail) == 0);
    }
    for (kind, defect, words) in [
        (
            "adjust",
            D::CancelStepFails,
            "its cancelled step: broken: trap",
        ),
        (
            "measure",
            D::UndoNeverEnds,
            "its cancelled step: broken: not done after",
        ),
    ] {
        let report = report(kind, "step", defect).await;
        assert!(report.to_string().contains(words), "{report}");
    }
}

#[tokio::test]
async fn the_application_is_left_as_it_was_found() {
    for defect in [
        D::None,
        D::RejectsNeighbour,
        D::SaysAnotherValue,
        D::AcceptsUnknown,
    ] {
        let mut fake = Fake::new("adjust", "step", defect);
        run(&mut fake, &Plan::default()).await;
        assert_eq!((fake.workers, fake.mode), (4, "fast"), "{defect:?}");
    }
}

#[tokio::test]
async fn nothing_is_changed_when_that_is_the_plan() {
    let mut fake = Fake::new("adjust", "report", D::CannotGoBack);
    let plan = Plan {
        change: false,
        ..Plan::default()
    };
    let report = run(&mut fake, &plan).await;
    assert!(report.passed(), "{report}");
    assert_eq!(fake.workers, 4);
}

#[tokio::test]
async fn pauses_are_waited_for_by_the_subject() {
    let mut fake = Fake::new("measure", "none", D::None);
    let report = run(&mut fake, &Plan::default()).await;
    assert_eq!(fake.waited, Duration::from_secs(6));
    assert_eq!(report.count(Verdict::Skip), 1, "{report}");
}

#[test]
fn neighbours() {
    let range = |min: f64, max: f64, step: Option<f64>| {
        Setting::new(SettingKind::Range {
            min: Number::from(min),
            max: Number::from(max),
            step: step.map(Number::from),
            value: None,
        })
    };
    let list = |values: &[&str]| {
        Setting::new(SettingKind::Enum {
            values: values.iter().map(|&value| value.into()).collect(),
            value: None,
        })
    };
    let table: [(Setting, Scalar, Option<Scalar>); 10] = [
        (range(1.0, 8.0, Some(1.0)), 4.into(), Some(5.into())),
        (range(1.0, 8.0, Some(1.0)), 8.into(), Some(7.into())),
        (range(1.0, 8.0, None), 8.into(), Some(7.into())),
        (range(0.0, 1.0, Some(0.25)), 0.5.into(), Some(0.75.into())),
        (range(0.0, 0.5, None), 0.5.into(), Some(0.4375.into())),
        (range(3.0, 3.0, Some(0.0)), 3.into(), None),
        (range(3.0, 3.0, None), 3.into(), None),
        (list(&["a", "b"]), "a".into(), Some("b".into())),
        (list(&["a", "b"]), "b".into(), Some("a".into())),
        (list(&["a"]), "a".into(), None),
    ];
    for (setting, now, expected) in table {
        assert_eq!(
            super::adjust::neighbour(&setting, &now),
            expected,
            "{setting:?} at {now}"
        );
    }
}

#[tokio::test]
async fn a_report_reads_as_a_table_and_as_json() {
    let report = report("measure", "none", D::BelowMin).await;
    assert_eq!(
        report.to_string(),
        "\
fake 1.0.0
  pass  manifest                      says what the driver is
  pass  describe                      describe answers
  pass  describe-stable               describe gives the same answer twice
  pass  describe-valid                what is described is free of contradictions
  warn  measure                       a short measurement gives the described metrics
        `rate` is -1, outside what was described
  pass  measure-some                  one metric can be asked for alone
  skip  cancel                        a cancelled call ends in good order
        the manifest declares none
  pass  pause                         a call goes on from the state it left
  pass  budget                        every call stays within its budget and ends without a crash
7 passed, 1 with a warning, 0 failed, 1 skipped"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["checks"][4]["verdict"], "warn");
}
