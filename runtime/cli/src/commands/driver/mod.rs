//! `servo driver …`

mod call;
mod given;
mod test;

use serde_json::Value;
use servo_artifact::{Artifact, DriverKind};
use servo_config::{ConfigFile, DriverRole};
use servo_devkit::build::{self, BuildOptions};
use servo_devkit::scaffold;
use servo_host::AssembleError;

use crate::args::{BuildArgs, DriverCommand, InspectArgs, Kind, NewArgs};
use crate::exit::{Failed, Outcome};
use crate::output;

/// The contract, as it was when this program was built.
const WIT: [&str; 4] = [
    include_str!("../../../../../wit/driver.wit"),
    include_str!("../../../../../wit/imports.wit"),
    include_str!("../../../../../wit/fetch.wit"),
    include_str!("../../../../../wit/model.wit"),
];

pub(crate) async fn run(command: DriverCommand) -> Outcome {
    match command {
        DriverCommand::New(args) => new(args),
        DriverCommand::Build(args) => build(args).await,
        DriverCommand::Run(args) => call::run(args).await,
        DriverCommand::Inspect(args) => inspect(&args),
        DriverCommand::Test(args) => test::run(args).await,
        DriverCommand::Wit => output::line(WIT.join("\n").trim_end()),
    }
}

fn new(args: NewArgs) -> Outcome {
    let kind = match args.kind {
        Kind::Measure => DriverKind::Measure,
        Kind::Adjust => DriverKind::Adjust,
    };
    let project = scaffold::create(&args.dir, &args.name, kind).map_err(Failed::usage)?;
    let folder = project.folder.display();
    output::line(format_args!("created {folder}"))?;
    output::line(format_args!(
        "next:    cargo test --manifest-path {folder}/Cargo.toml"
    ))?;
    output::line(format_args!("then:    servo driver build {folder}"))
}

async fn build(args: BuildArgs) -> Outcome {
    let options = BuildOptions {
        paths: args.paths,
        out: args.out,
        install: args.install,
        quiet: false,
    };
    // Compilers block for minutes.
    let built = tokio::task::spawn_blocking(move || build::build(&options))
        .await
        .map_err(Failed::ran)?
        .map_err(Failed::ran)?;
    for driver in built {
        if args.json {
            let line = serde_json::json!({
                "name": driver.name, "kind": driver.kind, "path": driver.path,
                "size": driver.size, "digest": driver.digest.to_string(),
                "route": driver.route.to_string(), "seconds": driver.elapsed.as_secs_f64(),
            });
            output::line(line)?;
        } else {
            output::line(format_args!(
                "{:<10} {:<8} {:>6} KiB  {}  {}",
                driver.name,
                driver.kind,
                driver.size.div_ceil(1024),
                driver.path.display(),
                driver.digest,
            ))?;
        }
    }
    Ok(())
}

/// The role that a kind of driver has in `servo.yaml`.
pub(super) fn role(kind: DriverKind) -> DriverRole {
    match kind {
        DriverKind::Measure => DriverRole::Measure,
        DriverKind::Adjust => DriverRole::Adjust,
    }
}

fn inspect(args: &InspectArgs) -> Outcome {
    let path = &args.artifact;
    let artifact = Artifact::read(path).map_err(|source| {
        Failed::usage(AssembleError::Artifact {
            path: path.clone(),
            source,
        })
    })?;
    let config = match &args.config {
        None => None,
        Some(file) => {
            let file = ConfigFile::read(file).map_err(Failed::usage)?;
            file.driver(role(artifact.kind()))
                .map(|section| Value::Object(section.config.clone()))
        }
    };
    let inspection = artifact.inspect(config.as_ref());
    if args.json {
        output::json(&inspection, false)
    } else {
        output::line(inspection)
    }
}
