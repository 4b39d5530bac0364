//! The checks that both kinds of driver share, and what the others build on.

use servo_artifact::{CancelSupport, DriverKind};
use servo_protocol::{Application, MeasureParam, Metrics, Status, check};

use super::report::{Check, Report, Verdict};
use super::{Described, Done, Fault, MAX_STATE, Plan, Request, Step, Subject, Undo};

/// The checks by their stable names.
const CHECKS: &[(&str, &str)] = &[
    ("manifest", "says what the driver is"),
    ("describe", "describe answers"),
    ("describe-stable", "describe gives the same answer twice"),
    (
        "describe-valid",
        "what is described is free of contradictions",
    ),
    (
        "adjust",
        "a setting takes its neighbouring value, says so, and goes back",
    ),
    (
        "unknown-setting",
        "an unknown setting is rejected and nothing changes",
    ),
    ("measure", "a short measurement gives the described metrics"),
    ("measure-some", "one metric can be asked for alone"),
    ("pause", "a call goes on from the state it left"),
    ("cancel", "a cancelled call ends in good order"),
    (
        "budget",
        "every call stays within its budget and ends without a crash",
    ),
];

/// Tries a driver.
pub async fn run<S: Subject + ?Sized>(subject: &mut S, plan: &Plan) -> Report {
    let manifest = subject.manifest();
    let driver = format!("{} {}", manifest.name, manifest.version);
    let mut runner = Runner {
        subject,
        plan,
        checks: Vec::new(),
        pauses: Pauses::default(),
        broken: Vec::new(),
    };
    runner.run().await;
    Report {
        driver,
        checks: runner.checks,
    }
}

pub(super) struct Runner<'a, S: ?Sized> {
    pub(super) subject: &'a mut S,
    pub(super) plan: &'a Plan,
    checks: Vec<Check>,
    pauses: Pauses,
    /// Calls that went over their budget or crashed.
    broken: Vec<String>,
}

#[derive(Default)]
struct Pauses {
    seen: usize,
    problem: Option<String>,
}

impl<S: Subject + ?Sized> Runner<'_, S> {
    async fn run(&mut self) {
        self.manifest();
        if let Some(described) = self.describe_twice().await {
            match described {
                Described::Metrics(metrics) => {
                    self.metrics_valid(&metrics);
                    self.measure(&metrics).await;
                    let all = Request::Measure(self.measure_param(None));
                    self.cancel(&all).await;
                }
                Described::Application(application) => {
                    self.application_valid(&application);
                    self.adjust(&application).await;
                    self.unknown_setting(&application).await;
                    match self.plan.change {
                        true => self.cancel(&Self::restore(&application, self.plan)).await,
                        false => self.skip("cancel", "settings are not to be changed"),
                    }
                }
            }
        }
        let pauses = std::mem::take(&mut self.pauses);
        match (pauses.seen, pauses.problem) {
            (0, _) => self.skip("pause", "no call paused"),
            (_, None) => self.pass("pause"),
            (_, Some(problem)) => self.fail("pause", problem),
        }
        match std::mem::take(&mut self.broken).as_slice() {
            [] => self.pass("budget"),
            broken => self.fail("budget", broken.join("; ")),
        }
    }

    fn manifest(&mut self) {
        let manifest = self.subject.manifest();
        let description = manifest.description.as_str();
        if description.split_whitespace().count() < 3 {
            let detail = format!("the description {description:?} tells an operator nothing");
            self.warn("manifest", detail);
        } else {
            self.pass("manifest");
        }
    }

    async fn describe_twice(&mut self) -> Option<Described> {
        let first = match self.described().await {
            Ok(described) => {
                self.pass("describe");
                described
            }
            Err(fault) => {
                self.fail("describe", fault.to_string());
                return None;
            }
        };
        match self.described().await {
            Ok(second) if second == first => self.pass("describe-stable"),
            Ok(second) if without_values(&second) == without_values(&first) => self.warn(
                "describe-stable",
                "present values differ; does something else change them?".to_owned(),
            ),
            Ok(_) => self.fail(
                "describe-stable",
                "names, limits or order differ; the service would see another application"
                    .to_owned(),
            ),
            Err(fault) => self.fail("describe-stable", fault.to_string()),
        }
        Some(first)
    }

    fn metrics_valid(&mut self, metrics: &Metrics) {
        match check::check_metrics(metrics) {
            Err(finding) => self.fail("describe-valid", finding.to_string()),
            Ok(()) if metrics.is_empty() => {
                self.fail("describe-valid", "no metric is described".to_owned());
            }
            Ok(()) => self.pass("describe-valid"),
        }
    }

    fn application_valid(&mut self, application: &Application) {
        match check::check_application(application) {
            Err(finding) => self.fail("describe-valid", finding.to_string()),
            Ok(_) if application.settings().next().is_none() => {
                self.fail("describe-valid", "no setting is described".to_owned());
            }
            Ok(warnings) if warnings.is_empty() => self.pass("describe-valid"),
            Ok(warnings) => {
                let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
                self.warn("describe-valid", texts.join("; "));
            }
        }
    }

    /// Whether a driver that is told to stop does, and leaves nothing behind.
    async fn cancel(&mut self, request: &Request) {
        let support = self.subject.manifest().cancel;
        if support == CancelSupport::None {
            return self.skip("cancel", "the manifest declares none");
        }
        let ended = self.subject.step(request, None, true).await;
        self.note("a cancelled call", &ended);
        match ended {
            Err(Fault::Failure {
                status: Status::Cancelled,
                ..
            }) => self.pass("cancel"),
            Err(fault) => self.fail(
                "cancel",
                format!("it ended with {fault}, where a failure with status `cancelled` is due"),
            ),
            Ok(Step::Done(_)) => self.warn(
                "cancel",
                "it went on to its end: it was too quick to notice, or never asks".to_owned(),
            ),
            Ok(Step::Wait { state, .. }) if support == CancelSupport::Step => {
                let ended = self.undo(request, &state).await;
                self.note("the cancelled step", &ended);
                match ended {
                    Ok(()) => self.pass("cancel"),
                    Err(fault) => self.fail("cancel", format!("its cancelled step: {fault}")),
                }
            }
            // Between two steps the host stops a call by itself.
            Ok(Step::Wait { .. }) => self.pass("cancel"),
        }
    }

    /// All steps of an undo, with the pauses between them.
    async fn undo(&mut self, request: &Request, state: &str) -> Result<(), Fault> {
        let mut resume: Option<String> = None;
        for _ in 0..self.plan.max_steps {
            match self
                .subject
                .cancelled(request, state, resume.as_deref())
                .await?
            {
                Undo::Done => return Ok(()),
                Undo::Wait { wait, state } => {
                    resume = Some(handed_back(&state).map_err(Fault::Broken)?);
                    self.subject.wait(wait).await;
                }
            }
        }
        let problem = format!("not done after {} steps", self.plan.max_steps);
        Err(Fault::Broken(problem))
    }

    pub(super) fn measure_param(&self, metrics: Option<Vec<String>>) -> MeasureParam {
        MeasureParam {
            metrics,
            control: self.plan.control.clone(),
            ..MeasureParam::default()
        }
    }

    /// Describes, and holds the driver to its kind.
    pub(super) async fn described(&mut self) -> Result<Described, Fault> {
        let described = self.subject.describe().await;
        self.note("describe", &described);
        let kind = self.subject.manifest().kind;
        match (kind, described?) {
            (DriverKind::Measure, Described::Application(_))
            | (DriverKind::Adjust, Described::Metrics(_)) => Err(Fault::Broken(format!(
                "the manifest says `{kind}` and the driver describes the other kind"
            ))),
            (_, described) => Ok(described),
        }
    }

    /// A whole call: all of its steps, with the pauses between them.
    pub(super) async fn call(&mut self, request: &Request) -> Result<Done, Fault> {
        let mut resume: Option<String> = None;
        let mut progress = 0.0;
        for _ in 0..self.plan.max_steps {
            let step = self.subject.step(request, resume.as_deref(), false).await;
            self.note("a call", &step);
            let (wait, state, percent) = match step? {
                Step::Done(done) => return Ok(done),
                Step::Wait {
                    wait,
                    state,
                    progress,
                } => (wait, state, progress),
            };
            self.pauses.seen += 1;
            match handed_back(&state) {
                Ok(text) => resume = Some(text),
                Err(problem) => {
                    self.pauses.problem.get_or_insert(problem.clone());
                    return Err(Fault::Broken(problem));
                }
            }
            let percent = percent.unwrap_or(progress);
            if !(0.0..=100.0).contains(&percent) || percent < progress {
                let problem = format!("progress went from {progress} to {percent}");
                self.pauses.problem.get_or_insert(problem);
            } else {
                progress = percent;
            }
            self.subject.wait(wait).await;
        }
        let problem = format!("not done after {} steps", self.plan.max_steps);
        self.pauses.problem.get_or_insert(problem.clone());
        Err(Fault::Broken(problem))
    }

    /// Remembers a call that had to be stopped.
    pub(super) fn note<T>(&mut self, what: &str, result: &Result<T, Fault>) {
        if let Err(fault @ (Fault::Budget(_) | Fault::Broken(_))) = result {
            self.broken.push(format!("{what}: {fault}"));
        }
    }

    pub(super) fn pass(&mut self, id: &'static str) {
        self.add(id, None, Verdict::Pass, None);
    }

    pub(super) fn warn(&mut self, id: &'static str, detail: String) {
        self.add(id, None, Verdict::Warn, Some(detail));
    }

    pub(super) fn fail(&mut self, id: &'static str, detail: String) {
        self.add(id, None, Verdict::Fail, Some(detail));
    }

    pub(super) fn skip(&mut self, id: &'static str, why: &str) {
        self.add(id, None, Verdict::Skip, Some(why.to_owned()));
    }

    pub(super) fn add(
        &mut self,
        id: &'static str,
        subject: Option<String>,
        verdict: Verdict,
        detail: Option<String>,
    ) {
        let what = CHECKS
            .iter()
            .find(|(name, _)| *name == id)
            .map_or("", |(_, what)| what);
        self.checks.push(Check {
            id,
            subject,
            what,
            verdict,
            detail,
        });
    }
}

/// The state as a journal gives it back: the same JSON, written anew.
fn handed_back(state: &str) -> Result<String, String> {
    if state.len() > MAX_STATE {
        return Err(format!(
            "the state has {} bytes; at most {MAX_STATE} are kept",
            state.len()
        ));
    }
    serde_json::from_str::<serde_json::Value>(state)
        .map(|value| value.to_string())
        .map_err(|error| format!("the state is not JSON: {error}"))
}

/// A description without what may change by itself.
fn without_values(described: &Described) -> Described {
    use servo_protocol::SettingKind::{Enum, Range};
    let mut described = described.clone();
    if let Described::Application(application) = &mut described {
        for component in application.components.values_mut() {
            for setting in component.settings.values_mut() {
                match &mut setting.kind {
                    Range { value, .. } => *value = None,
                    Enum { value, .. } => *value = None,
                }
            }
        }
    }
    described
}
