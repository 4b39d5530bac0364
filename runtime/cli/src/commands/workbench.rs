//! The folder that a servo works in, for verbs that need no service.
//!
//! Files are read, drivers found and joined with their grants by the very
//! functions that `servo run` uses: what is seen here is what will run.

use std::path::Path;

use servo_config::{Ceilings, DriverRole};
use servo_host::{AppId, AssembleErrors, DriverHost, Hosted, Site, Terms, default_code_folder};
use servo_policy::Advice;

use super::run::settings::Settings;
use crate::args::{OperatorArgs, SiteArgs};
use crate::exit::Failed;

/// Name of the application where nobody gives one.
const NAMELESS: &str = "app";

/// Files, terms and an engine.
pub(crate) struct Workbench {
    pub(crate) site: Site,
    pub(crate) app: AppId,
    host: DriverHost,
    terms: Terms,
}

impl Workbench {
    /// Of a site that was read.
    pub(crate) fn new(site: Site, args: &SiteArgs, app: Option<&AppId>) -> Result<Self, Failed> {
        let app = match app {
            Some(app) => app.clone(),
            None => default_app(&site)?,
        };
        let settings = Settings::read()?;
        Ok(Self {
            terms: settings.terms(args, &app, &site, false),
            host: DriverHost::new(default_code_folder().as_deref()).map_err(Failed::ran)?,
            site,
            app,
        })
    }

    /// Whether the environment check, if there is one, can be run.
    pub(crate) fn environment(&self) -> Result<(), AssembleErrors> {
        servo_host::environment(&self.site, &self.terms)?;
        Ok(())
    }

    /// The driver for a role, if there is one.
    pub(crate) async fn driver(&self, role: DriverRole) -> Result<Option<Hosted>, AssembleErrors> {
        self.host
            .driver(&self.site, role, &self.app, &self.terms)
            .await
    }
}

/// Reads the files of a site.
pub(crate) fn site(args: &SiteArgs) -> Result<Site, servo_host::SiteError> {
    Site::read(args.config.as_deref(), Path::new("."))?.under(args.ceiling.as_deref())
}

/// The driver for one operation, with the application's id and the ceilings that
/// its settings are under.
pub(crate) async fn driver(
    args: &OperatorArgs,
    role: DriverRole,
) -> Result<(Hosted, AppId, Ceilings), Failed> {
    let site = site(&args.site).map_err(Failed::usage)?;
    let bench = Workbench::new(site, &args.site, args.app.as_ref())?;
    let driver = bench.driver(role).await.map_err(Failed::usage)?;
    let driver = driver.ok_or_else(|| {
        Failed::usage(format_args!(
            "{}: drivers.{role}: there is no driver to {role}; add it there, or put one in ./{role}",
            bench.site.file().path.display()
        ))
    })?;
    let ceilings = bench.site.file().ceilings().map_err(Failed::usage)?;
    Ok((driver, bench.app, ceilings))
}

fn default_app(site: &Site) -> Result<AppId, Failed> {
    let file = site.file();
    let text = file.optune.app.as_deref().unwrap_or(NAMELESS);
    text.parse().map_err(|error: servo_host::AppIdError| {
        let Advice { problem, remedy } = error.advice();
        Failed::config(file.error("optune.app", problem, remedy))
    })
}
