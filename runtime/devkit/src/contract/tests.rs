//! A driver that keeps the contract, and the same one with one defect each.

use std::time::Duration;

use async_trait::async_trait;
use servo_artifact::Manifest;
use servo_protocol::{
    AdjustParam, Application, Component, Instance, Metric, Named, Number, Point, Reading, Sample,
    Scalar, Setting, SettingKind, Status,
};

use super::*;

/// What a fake gets wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    None,
    DescribeFails,
    OtherKind,
    OtherLimitsEachTime,
    DriftingValue,
    MinAboveMax,
    ValueOffGrid,
    NothingDescribed,
    KeepsOldValue,
    SaysAnotherValue,
    RejectsNeighbour,
    CannotGoBack,
    AcceptsUnknown,
    ChangesOnUnknown,
    FailsOnUnknown,
    UndescribedMetric,
    MissingMetric,
    NotFinite,
    BelowMin,
    IgnoresChoice,
    StateNotJson,
    StateTooLarge,
    NeverDone,
    ProgressBackwards,
    LosesState,
    DeafToCancel,
    CancelledAsFailed,
    CancelStepFails,
    OverBudget,
}
use Defect as D;

struct Fake {
    manifest: Manifest,
    defect: Defect,
    workers: i64,
    mode: &'static str,
    described: u32,
    waited: Duration,
}

impl Fake {
    fn new(kind: &str, cancel: &str, defect: Defect) -> Fake {
        let toml = format!(
            "name = \"fake\"\nversion = \"1.0.0\"\nkind = \"{kind}\"\ncancel = \"{cancel}\"\n\
             description = \"A driver for tests.\"\n"
        );
        Fake {
            manifest: servo_artifact::manifest::from_toml(&toml, "driver.toml".as_ref()).unwrap(),
            defect,
            workers: 4,
            mode: "fast",
            described: 0,
            waited: Duration::ZERO,
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn application(&self) -> Application {
        let mut settings = Named::new();
        let mut max = 8;
        if self.has(D::OtherLimitsEachTime) {
            max += i64::from(self.described);
        }
        if self.has(D::MinAboveMax) {
            max = 0;
        }
        let drift = if self.has(D::DriftingValue) {
            i64::from(self.described % 3)
        } else {
            0
        };
        let value = if self.has(D::ValueOffGrid) {
            Number::Float(4.5)
        } else {
            (self.workers + drift).into()
        };
        let range = SettingKind::Range {
            min: 1.into(),
            max: max.into(),
            step: Some(1.into()),
            value: Some(value),
        };
        let list = SettingKind::Enum {
            values: vec!["slow".into(), "fast".into()],
            value: Some(self.mode.into()),
        };
        let mut pinned = Setting::new(SettingKind::Range {
            min: 1.into(),
            max: 2.into(),
            step: None,
            value: Some(1.into()),
        });
        pinned.pinned = true;
        if !self.has(D::NothingDescribed) {
            settings.insert("workers".to_owned(), Setting::new(range));
            settings.insert("mode".to_owned(), Setting::new(list));
            settings.insert("fixed".to_owned(), pinned);
        }
        let mut application = Application::default();
        let component = Component {
            settings,
            extra: Default::default(),
        };
        application.components.insert("web".to_owned(), component);
        application
    }

    fn metrics(&self) -> Metrics {
        let bounded = Metric {
            min: Some(0.into()),
            ..Metric::default()
        };
        [("rate", bounded), ("latency", Metric::default())]
            .into_iter()
            .filter(|_| !self.has(D::NothingDescribed))
            .map(|(name, metric)| (name.to_owned(), metric))
            .collect()
    }

    fn adjust(&mut self, wanted: &AdjustParam) -> Result<AppliedApplication, Fault> {
        let failure = |status| Fault::Failure {
            status,
            message: "no".to_owned(),
        };
        for (_, name, value) in wanted.state.application.values() {
            match (name, value) {
                ("workers", _) if self.has(D::KeepsOldValue) => {}
                ("workers", Scalar::Number(Number::Integer(n))) => {
                    if self.has(D::RejectsNeighbour) && *n == 5 {
                        return Err(failure(Status::Rejected));
                    }
                    if !(self.has(D::CannotGoBack) && self.workers == 5) {
                        self.workers = *n;
                    }
                }
                ("mode", Scalar::Text(text)) => {
                    self.mode = if text == "slow" { "slow" } else { "fast" };
                }
                ("no-such-setting", _) => match self.defect {
                    D::AcceptsUnknown => {}
                    D::FailsOnUnknown => return Err(failure(Status::Failed)),
                    defect => {
                        self.workers += i64::from(defect == D::ChangesOnUnknown);
                        return Err(failure(Status::Rejected));
                    }
                },
                other => panic!("{other:?} was never described so"),
            }
        }
        let mut said = AppliedApplication::default();
        if self.has(D::SaysAnotherValue) {
            said = AppliedApplication::from_values([("web", "workers", Scalar::from(7))]);
        }
        Ok(said)
    }

    fn measure(&self, wanted: &MeasureParam) -> Measurement {
        let rate = match self.defect {
            D::NotFinite => Number::Float(f64::NAN),
            D::BelowMin => Number::Integer(-1),
            _ => Number::Integer(10),
        };
        let point = Point::from((Number::Integer(1_700_000_000), Some(Number::Float(1.5))));
        let series = Reading::Series(vec![Instance {
            id: "a".to_owned(),
            points: vec![point],
        }]);
        let mut measurement = Measurement::default();
        let mut add = |name: &str, reading| {
            let is_wanted = |names: &Vec<String>| names.iter().any(|n| n == name);
            if wanted.metrics.as_ref().is_none_or(is_wanted) {
                measurement
                    .metrics
                    .insert(name.to_owned(), Sample::new(reading));
            }
        };
        if !(self.has(D::IgnoresChoice) && wanted.metrics.is_some()) {
            add("rate", Reading::Single(Some(Scalar::Number(rate))));
        }
        if !self.has(D::MissingMetric) {
            add("latency", series);
        }
        if self.has(D::UndescribedMetric) {
            add("surprise", Reading::Single(None));
        }
        if measurement.metrics.is_empty() {
            measurement
                .metrics
                .insert("latency".to_owned(), Sample::new(Reading::Single(None)));
        }
        measurement
    }
}

#[async_trait]
impl Subject for Fake {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn describe(&mut self) -> Result<Described, Fault> {
        self.described += 1;
        if self.has(D::DescribeFails) {
            return Err(Fault::Failure {
                status: Status::Failed,
                message: "nobody is there".to_owned(),
            });
        }
        let measures = self.manifest.kind == servo_artifact::DriverKind::Measure;
        Ok(match measures != self.has(D::OtherKind) {
            true => Described::Metrics(self.metrics()),
            false => Described::Application(self.application()),
        })
    }

    /// Two steps: the first pauses, the second does the work.
    async fn step(
        &mut self,
        request: &Request,
        resume: Option<&str>,
        cancel: bool,
    ) -> Result<Step, Fault> {
        if self.has(D::OverBudget) {
            return Err(Fault::Budget("cpu 2s".to_owned()));
        }
        let pauses_first = self.manifest.cancel == servo_artifact::CancelSupport::Step;
        if cancel && !pauses_first && !self.has(D::DeafToCancel) {
            let status = if self.has(D::CancelledAsFailed) {
                Status::Failed
            } else {
                Status::Cancelled
            };
            return Err(Fault::Failure {
                status,
                message: "as you wish".to_owned(),
            });
        }
        let first = resume.is_none() && !(cancel && self.has(D::DeafToCancel));
        if first || self.has(D::NeverDone) {
            let state = match self.defect {
                D::StateNotJson => "{step: 1}".to_owned(),
                D::StateTooLarge => format!("\"{}\"", "x".repeat(MAX_STATE)),
                D::LosesState => "{}".to_owned(),
                _ => "{ \"step\": 1 }".to_owned(),
            };
            let progress = if self.has(D::ProgressBackwards) {
                -1.0
            } else {
                50.0
            };
            return Ok(Step::Wait {
                wait: Duration::from_secs(3),
                state,
                progress: Some(progress),
            });
        }
        if let Some(state) = resume
            && state != "{\"step\":1}"
        {
            return Err(Fault::Broken(format!("no step in {state}")));
        }
        Ok(Step::Done(match request {
            Request::Measure(wanted) => Done::Measured(self.measure(wanted)),
            Request::Adjust(wanted) => Done::Adjusted(self.adjust(wanted)?),
        }))
    }

    async fn cancelled(&mut self, _: &Request, _: &str) -> Result<(), Fault> {
        match self.defect {
            D::CancelStepFails => Err(Fault::Broken("trap".to_owned())),
            _ => Ok(()),
        }
    }

    async fn wait(&mut self, duration: Duration) {
        self.waited += duration;
    }
}

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
    let report = report("adjust", "step", D::CancelStepFails).await;
    assert!(
        report
            .to_string()
            .contains("its cancelled step: broken: trap"),
        "{report}"
    );
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
