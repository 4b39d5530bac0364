//! `servo adjust`: settings changed once with the configured driver, no
//! service.
//!
//! The driver is asked first which settings there are. A value that does not
//! fit is refused then, as the agent does, and the driver is never asked to
//! adjust. Names of components and settings are free text that may hold dots,
//! so what `a.b.c` means is found among what is described, and what could mean
//! two things is refused rather than guessed.

use servo_agent::{AdjustRequest, DriverFailure, fitted};
use servo_config::{Ceilings, DriverRole};
use servo_host::Hosted;
use servo_protocol::{
    Application, AppliedApplication, Control, Event, Failure, Reason, Report, Scalar, State, Status,
};

use super::dry_run;
use super::operation::{self, Assignment, Operation};
use super::workbench;
use crate::args::AdjustArgs;
use crate::exit::{Failed, Outcome};

/// Most settings that a refusal lists.
const LISTED: usize = 20;

pub(crate) async fn run(args: AdjustArgs) -> Outcome {
    let assignments = args
        .settings
        .iter()
        .map(|text| Assignment::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    let control = operation::control(args.control.as_deref(), [])?;
    operation::without_environment(&control)?;
    let (driver, app, ceilings) = workbench::driver(&args.operator, DriverRole::Adjust).await?;
    let driver = match args.dry_run {
        true => dry_run::of(&driver)?,
        false => driver,
    };
    let operation = Operation::begin(app.as_str(), driver.limits())?;
    let change = Change {
        assignments,
        control,
        dry_run: args.dry_run,
    };
    let outcome = match adjust(&operation, &driver, change, &ceilings).await {
        Ok(state) => operation::wire(&Event::Adjustment(Report {
            outcome: Ok(state),
            cmd_uid: None,
        })),
        Err(Refused::Usage(failed)) => return Err(failed),
        Err(Refused::Failure(failure)) => Err(failure),
    };
    let outcome = match (&driver, args.dry_run) {
        (Hosted::Sandboxed(driver), true) => dry_run::told(outcome, driver),
        _ => outcome,
    };
    let outcome = operation.finish(outcome);
    operation::tell_refusals_of(&driver);
    outcome
}

/// What is asked for.
struct Change {
    assignments: Vec<Assignment>,
    control: Control,
    dry_run: bool,
}

/// Why nothing was adjusted.
enum Refused {
    /// What was asked for is not clear.
    Usage(Failed),
    /// It failed, in the words of the wire.
    Failure(Failure),
}

async fn adjust(
    operation: &Operation,
    driver: &Hosted,
    change: Change,
    ceilings: &Ceilings,
) -> Result<State, Refused> {
    let failure = |failure: DriverFailure| Refused::Failure(failure.into());
    let driver = driver.adjust();
    let described = operation
        .call()
        .application(driver.as_ref())
        .await
        .map_err(failure)?;
    let wanted = wanted(&change.assignments, &described)?;
    let request = AdjustRequest {
        application: fitted(&wanted, &described, ceilings).map_err(failure)?,
        control: change.control,
        dry_run: change.dry_run,
    };
    let ended = operation.call().adjust(driver.as_ref(), &request).await;
    let applied = operation::brought(ended).map_err(Refused::Failure)?;
    // The driver's state or the requested one, never a mixture (section 17).
    Ok(State::from(if applied.is_empty() {
        wanted
    } else {
        applied
    }))
}

/// The values asked for, by the names that are described.
fn wanted(
    assignments: &[Assignment],
    described: &Application,
) -> Result<AppliedApplication, Refused> {
    let mut values: Vec<(&str, &str, Scalar)> = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        let (component, setting) = named(&assignment.name, described)?;
        if values
            .iter()
            .any(|(c, s, _)| (*c, *s) == (component, setting))
        {
            return Err(Refused::Usage(Failed::usage(format_args!(
                "{component}.{setting} is given twice; keep one of the two"
            ))));
        }
        values.push((component, setting, assignment.value.clone()));
    }
    Ok(AppliedApplication::from_values(values))
}

/// The described setting that a name means.
fn named<'a>(name: &str, described: &'a Application) -> Result<(&'a str, &'a str), Refused> {
    let settings: Vec<(&str, &str)> = described
        .components
        .iter()
        .flat_map(|(component, described)| {
            let settings = described.settings.keys();
            settings.map(move |setting| (component.as_str(), setting.as_str()))
        })
        .collect();
    let whole = |(component, setting): &(&str, &str)| {
        name.strip_prefix(component)
            .and_then(|rest| rest.strip_prefix('.'))
            == Some(*setting)
    };
    let mut meant: Vec<(&str, &str)> = settings.iter().copied().filter(whole).collect();
    if meant.is_empty() {
        let bare = settings.iter().copied();
        meant = bare.filter(|(_, setting)| *setting == name).collect();
    }
    match meant.as_slice() {
        [one] => Ok(*one),
        [] => Err(Refused::Failure(Failure {
            status: Status::Rejected,
            reason: Some(Reason::InvalidSetting),
            message: Some(format!(
                "the driver describes no setting `{name}`; it describes {}",
                list(&settings)
            )),
            state: None,
        })),
        several => Err(Refused::Usage(Failed::usage(format_args!(
            "`{name}` can mean {}; write the component, too",
            list(several)
        )))),
    }
}

fn list(settings: &[(&str, &str)]) -> String {
    if settings.is_empty() {
        return "none".to_owned();
    }
    let mut names: Vec<String> = settings
        .iter()
        .take(LISTED)
        .map(|(component, setting)| format!("{component}.{setting}"))
        .collect();
    if settings.len() > LISTED {
        names.push(format!("and {} more", settings.len() - LISTED));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described() -> Application {
        let range = json!({ "min": 1, "max": 8, "step": 1, "value": 2 });
        serde_json::from_value(json!({ "components": {
            "web": { "settings": { "cpu": range, "a.b": range, "only": range } },
            "web.a": { "settings": { "b": range } },
            "db": { "settings": { "cpu": range } },
        }}))
        .unwrap()
    }

    #[test]
    fn a_name_means_one_described_setting_or_is_refused() {
        for (name, expected) in [
            ("web.cpu", Ok(("web", "cpu"))),
            ("db.cpu", Ok(("db", "cpu"))),
            ("only", Ok(("web", "only"))),
            ("b", Ok(("web.a", "b"))),
            ("a.b", Ok(("web", "a.b"))),
            ("cpu", Err("web.cpu, db.cpu")),
            ("web.a.b", Err("web.a.b, web.a.b")),
            ("web.memory", Err("no setting `web.memory`")),
            ("memory", Err("no setting `memory`")),
            ("web", Err("no setting `web`")),
            (".cpu", Err("no setting `.cpu`")),
        ] {
            let described = described();
            let found = named(name, &described).map_err(|refused| match refused {
                Refused::Usage(failed) => failed.to_string(),
                Refused::Failure(failure) => {
                    assert_eq!(failure.reason, Some(Reason::InvalidSetting), "{name}");
                    failure.message.unwrap_or_default()
                }
            });
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
                (Err(said), Err(word)) => assert!(said.contains(word), "{name}: {said}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn values_are_numbers_where_they_are_and_text_otherwise() {
        for (text, value) in [
            ("a.b=4", json!(4)),
            ("a.b=0.5", json!(0.5)),
            ("a.b=t3.large", json!("t3.large")),
            ("a.b=\"4\"", json!("4")),
            ("a.b=x=y", json!("x=y")),
            ("a.b=", json!("")),
        ] {
            let assignment = Assignment::parse(text).unwrap();
            assert_eq!(assignment.name, "a.b");
            assert_eq!(serde_json::to_value(assignment.value).unwrap(), value);
        }
        for text in ["a.b", "=4", ""] {
            assert!(Assignment::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_setting_given_twice_is_refused() {
        let assignments = ["only=1", "web.only=2"].map(|text| Assignment::parse(text).unwrap());
        let refused = wanted(&assignments, &described());
        assert!(matches!(refused, Err(Refused::Usage(_))));
    }
}
