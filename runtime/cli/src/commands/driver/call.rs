//! `servo driver run`: one call of one driver, with no service and no file.

use serde_json::{Value, json};
use servo_agent::{
    AdjustDriver, AdjustRequest, CallLimits, MeasureDriver, MeasureRequest, admitted,
};
use servo_artifact::DriverKind;
use servo_config::Ceilings;
use servo_host::Sandboxed;
use servo_protocol::{AppliedApplication, Failure, Scalar};

use super::given;
use crate::args::{DriverCall, DriverRunArgs};
use crate::commands::dry_run;
use crate::commands::operation::{self, Assignment, Operation};
use crate::exit::{Failed, Outcome};

pub(crate) async fn run(args: DriverRunArgs) -> Outcome {
    let (driver, ceilings) = given::driver(&args.artifact, &args.grants).await?;
    let kind = driver.bound().manifest().kind;
    let fits = match args.call {
        DriverCall::Describe => true,
        DriverCall::Measure => kind == DriverKind::Measure,
        DriverCall::Adjust => kind == DriverKind::Adjust,
    };
    if !fits {
        return Err(Failed::usage(format_args!(
            "{}: is a driver to {kind}; call `describe` or `{kind}`",
            args.artifact.display()
        )));
    }
    let driver = match (args.dry_run, args.call) {
        (false, _) => driver,
        (true, DriverCall::Adjust) => driver.as_dry_run(),
        (true, _) => return Err(Failed::usage("--dry-run is for `adjust`")),
    };
    let limits = CallLimits::from(&driver.bound().grants().budget);
    let operation = Operation::begin(&args.grants.app, limits)?;
    let outcome = match args.call {
        DriverCall::Describe => describe(&operation, &driver).await,
        DriverCall::Measure => measure(&operation, &driver, &args).await?,
        DriverCall::Adjust => adjust(&operation, &driver, &args, &ceilings).await?,
    };
    let outcome = match args.dry_run {
        true => dry_run::told(outcome, &driver),
        false => outcome,
    };
    let outcome = operation.finish(outcome);
    operation::tell_refusals(&driver);
    outcome
}

type Answer = Result<Value, Failure>;

async fn describe(operation: &Operation, driver: &Sandboxed) -> Answer {
    let call = operation.call();
    let described = match driver.bound().manifest().kind {
        DriverKind::Measure => call
            .describe(|cx| async move { MeasureDriver::describe(driver, &cx).await })
            .await
            .map(|metrics| json!({ "metrics": metrics })),
        DriverKind::Adjust => call
            .describe(|cx| async move { AdjustDriver::describe(driver, &cx).await })
            .await
            .map(|application| json!({ "application": application })),
    };
    described.map_err(Failure::from)
}

async fn measure(
    operation: &Operation,
    driver: &Sandboxed,
    args: &DriverRunArgs,
) -> Result<Answer, Failed> {
    let request = MeasureRequest {
        metrics: operation::metrics(&args.how),
        control: operation::measure_control(&args.how)?,
    };
    let ended = operation.call().measure(driver, &request).await;
    Ok(operation::brought(ended)
        .and_then(|value| serde_json::to_value(value).map_err(|error| operation::failed(&error))))
}

async fn adjust(
    operation: &Operation,
    driver: &Sandboxed,
    args: &DriverRunArgs,
    ceilings: &Ceilings,
) -> Result<Answer, Failed> {
    let values = args
        .settings
        .iter()
        .map(|text| setting(text))
        .collect::<Result<Vec<_>, _>>()?;
    if values.is_empty() {
        return Err(Failed::usage(
            "nothing to adjust; name settings as COMPONENT.SETTING=VALUE",
        ));
    }
    let request = AdjustRequest {
        application: AppliedApplication::from_values(values),
        control: operation::measure_control(&args.how)?,
        dry_run: args.dry_run,
    };
    if let Err(failure) = admitted(&request.application, ceilings) {
        return Ok(Err(failure.into()));
    }
    let ended = operation.call().adjust(driver, &request).await;
    Ok(operation::brought(ended).map(|applied| {
        let application = if applied.is_empty() {
            request.application
        } else {
            applied
        };
        json!({ "application": application })
    }))
}

/// `web.cpu=1.5`: the component ends at the first dot, since nothing here has
/// been described.
fn setting(text: &str) -> Result<(String, String, Scalar), Failed> {
    let Assignment { name, value } = Assignment::parse(text)?;
    let (component, setting) = name
        .split_once('.')
        .ok_or_else(|| Failed::usage(format_args!("{text:?}: write COMPONENT.SETTING=VALUE")))?;
    Ok((component.to_owned(), setting.to_owned(), value))
}
