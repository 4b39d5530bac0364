//! `servo check`: would this servo run, and what may its drivers touch?
//!
//! Everything is loaded as `servo run` would load it, and everything that is
//! wrong is told at once, each with its remedy: a person who repairs a file
//! should not have to run this once for each mistake.

mod config_fault;
mod finding;
mod report;

use std::path::{Path, PathBuf};

use servo_agent::{Token, parse_url};
use servo_config::DriverRole;
use servo_host::{AppId, Hosted, Site};
use servo_optune::ObjectiveSpec;
use servo_optune::objective::Objective;
use servo_policy::Advice;
use servo_protocol::{AppliedApplication, Metrics, check as contract};

use self::finding::{Finding, Findings};
use self::report::{DriverReport, Report};
use super::operation::Operation;
use super::workbench::{self, Workbench};
use crate::args::CheckArgs;
use crate::exit::{Failed, Outcome};
use crate::output;

const ROLES: [DriverRole; 2] = [DriverRole::Measure, DriverRole::Adjust];

pub(crate) async fn run(args: CheckArgs) -> Outcome {
    let mut report = Report::default();
    match workbench::site(&args.site) {
        Err(error) => report.findings.site(None, &error),
        Ok(site) => {
            report.file = Some(site.file().path.display().to_string());
            let ceilings = site.file().ceilings().map_err(Failed::usage)?;
            let shown = ceilings.explain();
            let shown = shown.map(|(file, lines)| (file.display().to_string(), lines));
            report.ceilings = shown.collect();
            service(&site, args.app_id.as_ref(), &mut report.findings);
            match Workbench::new(site, &args.site, args.app_id.as_ref()) {
                Err(failed) => report.findings.usage(&failed),
                Ok(bench) => {
                    if let Err(errors) = bench.environment() {
                        report.findings.assembly(None, &errors);
                    }
                    for role in ROLES {
                        driver(&bench, role, args.offline, &mut report).await?;
                    }
                }
            }
        }
    }
    let exit = report.findings.exit();
    let printed = if args.json {
        output::json(&report.json(), false)
    } else {
        output::line(report.text().trim_end())
    };
    match exit {
        None => printed,
        Some(failed) => Err(failed),
    }
}

/// What the file says about the service. Nobody is asked.
fn service(site: &Site, app: Option<&AppId>, findings: &mut Findings) {
    let (file, section) = (site.file(), &site.file().optune);
    if let Some(url) = &section.url
        && let Err(error) = parse_url(url)
    {
        findings.key(file, "optune.url", error.advice());
    }
    if let Some(path) = &section.token_file
        && let Err(error) = Token::read(&file.base().join(path).components().collect::<PathBuf>())
    {
        findings.key(file, "optune.token_file", error.advice());
    }
    if let (Some(app), Some(other)) = (app, &section.app)
        && app.as_str() != other
    {
        let problem =
            format!("the file is for the application `{other}`, and the command line says `{app}`");
        findings.key(
            file,
            "optune.app",
            Advice::new(problem, "correct one of them"),
        );
    }
}

async fn driver(
    bench: &Workbench,
    role: DriverRole,
    offline: bool,
    report: &mut Report,
) -> Outcome {
    let file = bench.site.file();
    let driver = match bench.driver(role).await {
        Ok(Some(driver)) => driver,
        Ok(None) => {
            report.findings.push(Finding::absent(file, role));
            return Ok(());
        }
        Err(errors) => {
            report.findings.assembly(Some(role), &errors);
            return Ok(());
        }
    };
    let mut said = DriverReport::of(&driver, &current_folder());
    if let Hosted::Sandboxed(sandboxed) = &driver {
        for lack in sandboxed.ungranted() {
            report.findings.push(Finding::ungranted(file, role, lack));
        }
    }
    if !offline {
        let operation = Operation::quiet(bench.app.as_str(), driver.limits())?;
        match role {
            DriverRole::Measure => {
                match operation.call().metrics(driver.measure().as_ref()).await {
                    Ok(metrics) => {
                        if let Some(finding) = objective(&metrics) {
                            report.findings.push(finding);
                        }
                        said.metrics(&metrics);
                    }
                    Err(failure) => report
                        .findings
                        .push(Finding::description(file, role, &failure)),
                }
            }
            DriverRole::Adjust => {
                let described = operation.call().application(driver.adjust().as_ref()).await;
                match described {
                    Ok(application) => {
                        for odd in contract::check_application(&application).unwrap_or_default() {
                            report.findings.push(Finding::odd(role, &odd));
                        }
                        let now = application
                            .components
                            .iter()
                            .flat_map(|(component, known)| {
                                let settings = known.settings.iter();
                                settings.filter_map(move |(name, setting)| {
                                    Some((
                                        component.as_str(),
                                        name.as_str(),
                                        setting.value()?.clone(),
                                    ))
                                })
                            });
                        let now = AppliedApplication::from_values(now);
                        let ceilings = file.ceilings().map_err(Failed::usage)?;
                        if let Err(problem) = ceilings.admit_values(&now) {
                            report.findings.push(Finding::above(role, &problem));
                        }
                        said.application(&application);
                    }
                    Err(failure) => report
                        .findings
                        .push(Finding::description(file, role, &failure)),
                }
            }
        }
    }
    report.drivers.push((role, said));
    Ok(())
}

/// What `servo optune` would say of these metrics, unless it is told what to
/// optimize.
fn objective(metrics: &Metrics) -> Option<Finding> {
    let perf = std::env::var("OPTUNE_PERF").ok();
    let perf = perf
        .as_deref()
        .map(str::trim)
        .filter(|perf| !perf.is_empty());
    let names: Vec<&str> = metrics.keys().map(String::as_str).collect();
    Objective::choose(&ObjectiveSpec::Auto, perf, &names)
        .err()
        .map(|problem| Finding::objective(&problem))
}

/// Folders below it are shown as a person would write them.
fn current_folder() -> PathBuf {
    std::path::absolute(Path::new(".")).unwrap_or_default()
}
