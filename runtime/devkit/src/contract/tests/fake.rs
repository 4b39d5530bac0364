//! A driver of either kind that keeps the contract, or breaks it in one point.

use std::time::Duration;

use async_trait::async_trait;
use servo_artifact::Manifest;
use servo_protocol::{
    AdjustParam, Application, Component, Instance, Metric, Named, Number, Point, Reading, Sample,
    Scalar, Setting, SettingKind, Status,
};

use super::super::*;

/// What a fake gets wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Defect {
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
    UndoNeverEnds,
    OverBudget,
}
use Defect as D;

pub(super) struct Fake {
    manifest: Manifest,
    defect: Defect,
    pub(super) workers: i64,
    pub(super) mode: &'static str,
    described: u32,
    pub(super) waited: Duration,
}

impl Fake {
    pub(super) fn new(kind: &str, cancel: &str, defect: Defect) -> Fake {
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

    async fn cancelled(
        &mut self,
        _: &Request,
        _: &str,
        resume: Option<&str>,
    ) -> Result<Undo, Fault> {
        match (self.defect, resume) {
            (D::CancelStepFails, _) => Err(Fault::Broken("trap".to_owned())),
            (D::UndoNeverEnds, _) | (_, None) => Ok(Undo::Wait {
                wait: Duration::from_secs(3),
                state: "{\"undone\":1}".to_owned(),
            }),
            _ => Ok(Undo::Done),
        }
    }

    async fn wait(&mut self, duration: Duration) {
        self.waited += duration;
    }
}
