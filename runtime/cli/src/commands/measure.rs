//! `servo measure`: one measurement with the configured driver, no service.

use servo_agent::MeasureRequest;
use servo_config::DriverRole;
use servo_protocol::{Event, Report};

use super::operation::{self, Operation};
use super::workbench;
use crate::args::MeasureArgs;
use crate::exit::Outcome;

pub(crate) async fn run(args: MeasureArgs) -> Outcome {
    let request = MeasureRequest {
        metrics: operation::metrics(&args.how),
        control: operation::measure_control(&args.how)?,
    };
    operation::without_environment(&request.control)?;
    let (driver, app, _) = workbench::driver(&args.operator, DriverRole::Measure).await?;
    let operation = Operation::begin(app.as_str(), driver.limits())?;
    let ended = operation
        .call()
        .measure(driver.measure().as_ref(), &request)
        .await;
    let outcome = operation::brought(ended).and_then(|measurement| {
        operation::wire(&Event::Measurement(Report {
            outcome: Ok(measurement),
            cmd_uid: None,
        }))
    });
    let outcome = operation.finish(outcome);
    operation::tell_refusals_of(&driver);
    outcome
}
