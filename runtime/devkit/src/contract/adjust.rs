//! What is asked of a driver that adjusts.
//!
//! As the service does, each request names all settings that may be changed,
//! one of them with a new value.

use servo_protocol::{
    AdjustParam, Application, AppliedApplication, Number, Scalar, Setting, SettingKind, Status,
    check,
};

use super::report::Verdict;
use super::run::Runner;
use super::{Described, Done, Fault, Plan, Request, Subject};

impl<S: Subject + ?Sized> Runner<'_, S> {
    /// Moves every setting to its neighbour and back.
    pub(super) async fn adjust(&mut self, application: &Application) {
        if !self.plan.change {
            return self.skip("adjust", "settings are not to be changed");
        }
        for (component, name, setting) in application.settings() {
            let subject = Some(format!("{component}/{name}"));
            let (Some(now), false) = (setting.value(), setting.pinned) else {
                let why = match setting.pinned {
                    true => "it is pinned",
                    false => "its present value is not known, so it could not be put back",
                };
                self.add("adjust", subject, Verdict::Skip, Some(why.to_owned()));
                continue;
            };
            if !fits(application, component, name, &now) {
                let why = format!("its present value {now} is outside what is described");
                self.add("adjust", subject, Verdict::Skip, Some(why));
                continue;
            }
            let Some(next) = neighbour(setting, &now) else {
                let why = "it has only one value".to_owned();
                self.add("adjust", subject, Verdict::Skip, Some(why));
                continue;
            };
            let moved = self
                .bring_into_force(application, component, name, &next)
                .await;
            // Whatever came of it, what was there is put back.
            let back = self
                .bring_into_force(application, component, name, &now)
                .await;
            let (verdict, detail) = match (moved, back) {
                (Ok(()), Ok(())) => (Verdict::Pass, None),
                (_, Err(problem)) => (
                    Verdict::Fail,
                    Some(format!("could not be put back to {now}: {}", problem.text)),
                ),
                (Err(problem), Ok(())) => (problem.verdict, Some(problem.text)),
            };
            self.add("adjust", subject, verdict, detail);
        }
    }

    async fn bring_into_force(
        &mut self,
        application: &Application,
        component: &str,
        name: &str,
        value: &Scalar,
    ) -> Result<(), Problem> {
        let same = |other: &Scalar| {
            let setting = application.setting(component, name);
            setting.is_some_and(|setting| setting.same_value(other, value))
        };
        let mut wanted = present(application);
        if let Some(applied) = wanted
            .components
            .get_mut(component)
            .and_then(|component| component.settings.get_mut(name))
        {
            applied.value = Some(value.clone());
        }
        let request = Request::Adjust(param(wanted, self.plan));
        let applied = match self.call(&request).await {
            Ok(Done::Adjusted(applied)) => applied,
            Ok(Done::Measured(_)) => return Err(Problem::fail("it measured instead".to_owned())),
            Err(Fault::Failure {
                status: Status::Rejected,
                message,
            }) => {
                return Err(Problem {
                    verdict: Verdict::Warn,
                    text: format!("it rejected {value}, which it described: {message}"),
                });
            }
            Err(fault) => return Err(Problem::fail(format!("adjusting to {value}: {fault}"))),
        };
        let said = applied
            .values()
            .find(|(c, n, _)| *c == component && *n == name)
            .map(|(_, _, said)| said);
        if let Some(said) = said
            && !same(said)
        {
            return Err(Problem::fail(format!(
                "asked for {value}, it says {said} is in force"
            )));
        }
        match self.described().await {
            Err(fault) => Err(Problem::fail(format!("describing after {value}: {fault}"))),
            Ok(Described::Application(now)) => {
                let read = now.setting(component, name).and_then(Setting::value);
                match read {
                    Some(read) if same(&read) => Ok(()),
                    Some(read) => Err(Problem::fail(format!(
                        "asked for {value}, read back {read}"
                    ))),
                    None => Err(Problem::fail(format!(
                        "asked for {value}, read back nothing"
                    ))),
                }
            }
            Ok(Described::Metrics(_)) => Err(Problem::fail("it describes metrics".to_owned())),
        }
    }

    /// Asks for a setting that nobody described.
    pub(super) async fn unknown_setting(&mut self, application: &Application) {
        const UNKNOWN: &str = "no-such-setting";
        let component = application.components.keys().next();
        let Some(component) = component.cloned() else {
            return self.skip("unknown-setting", "no component is described");
        };
        let values = [(component, UNKNOWN.to_owned(), Scalar::from(1))];
        let wanted = AppliedApplication::from_values(values);
        let request = Request::Adjust(param(wanted, self.plan));
        let answer = self.call(&request).await;
        let before = Described::Application(application.clone());
        match (answer, self.described().await) {
            (_, Ok(after)) if after != before => {
                self.fail("unknown-setting", "it changed the application".to_owned());
            }
            (_, Err(fault)) => {
                self.fail("unknown-setting", format!("describing after it: {fault}"))
            }
            (Ok(_), _) => self.fail("unknown-setting", "it was accepted".to_owned()),
            (
                Err(Fault::Failure {
                    status: Status::Rejected,
                    ..
                }),
                _,
            ) => {
                self.pass("unknown-setting");
            }
            (Err(fault), _) => self.warn(
                "unknown-setting",
                format!("it ended with {fault}; `rejected` tells the service not to try again"),
            ),
        }
    }

    /// The request that changes nothing: every setting as it is.
    pub(super) fn restore(application: &Application, plan: &Plan) -> Request {
        Request::Adjust(param(present(application), plan))
    }
}

struct Problem {
    verdict: Verdict,
    text: String,
}

impl Problem {
    fn fail(text: String) -> Problem {
        Problem {
            verdict: Verdict::Fail,
            text,
        }
    }
}

fn param(wanted: AppliedApplication, plan: &Plan) -> AdjustParam {
    AdjustParam {
        state: wanted.into(),
        control: plan.control.clone(),
        ..AdjustParam::default()
    }
}

/// All settings that may be changed, as they are. One that has a value outside
/// its own description is left out: no host would let it through.
fn present(application: &Application) -> AppliedApplication {
    let values = application
        .settings()
        .filter(|(_, _, setting)| !setting.pinned)
        .filter_map(|(component, name, setting)| Some((component, name, setting.value()?)));
    AppliedApplication::from_values(
        values.filter(|(component, name, value)| fits(application, component, name, value)),
    )
}

fn fits(application: &Application, component: &str, name: &str, value: &Scalar) -> bool {
    let one = AppliedApplication::from_values([(component, name, value.clone())]);
    check::check_adjustment(&one, application).is_ok()
}

/// The value next to the present one; nothing when there is no other.
pub(super) fn neighbour(setting: &Setting, now: &Scalar) -> Option<Scalar> {
    match &setting.kind {
        SettingKind::Enum { values, .. } => {
            let at = values.iter().position(|value| value.same_as(now));
            let next = at.map_or(0, |at| at + 1);
            let value = values.get(next).or_else(|| values.first())?;
            (!value.same_as(now)).then(|| value.clone())
        }
        SettingKind::Range { min, max, step, .. } => {
            let whole = |number: &Number| matches!(number, Number::Integer(_));
            let (low, high) = (min.as_f64(), max.as_f64());
            let now = now.as_number()?;
            let step = match step {
                Some(step) => step.as_f64(),
                // Without a step any value will do; whole numbers stay whole.
                None if [min, max, &now].into_iter().all(whole) => 1.0,
                None => (high - low) / 8.0,
            };
            let now = now.as_f64();
            let candidates = [now + step, now - step];
            let next = candidates
                .into_iter()
                .find(|next| (low..=high).contains(next))?;
            (step > 0.0).then(|| Scalar::Number(Number::from(next)))
        }
    }
}
