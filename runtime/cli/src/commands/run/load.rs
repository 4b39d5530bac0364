//! From arguments and files to everything that a servo is made of.
//!
//! A reload goes the same way as the start, whole, before anything of the
//! running servo is touched: a servo with half of a new configuration must not
//! exist, and a mistake in a file must not end one that works.

use std::io;
use std::path::Path;
use std::sync::Arc;

use servo_agent::{
    Compat, Drivers, EnvironmentCheck, FileJournal, HttpConfig, HttpTransport, Pace, Recovered,
    Servo, ServoConfig, Token, parse_url, service_url,
};
use servo_config::{Ceilings, DriverRole};
use servo_host::{AppId, DriverHost, Hosted, MetricsPage, Site, default_code_folder, environment};

use super::log::Log;
use super::prompt::Terminal;
use super::settings::Settings;
use crate::args::RunArgs;
use crate::commands::workbench;
use crate::exit::Failed;

/// Where the hosted service was. It is gone; the default stays, because the
/// original's users may have put something in its place.
const HOSTED: &str = "https://api.opsani.com";

/// Where the token is when nothing else is said (protocol section 2.3).
const TOKEN_FILE: &str = "/run/secrets/optune_auth_token";

/// What does not change while the process lives.
#[derive(Clone)]
pub(super) struct Loader {
    args: RunArgs,
    settings: Settings,
    host: DriverHost,
    pace: Pace,
}

impl Loader {
    pub(super) fn new(args: RunArgs) -> Result<Self, Failed> {
        let settings = Settings::read()?;
        let pace = if args.interactive {
            Pace::Interactive(Arc::new(Terminal::new()))
        } else if args.delay.is_zero() {
            Pace::Straight
        } else {
            Pace::Delay(args.delay)
        };
        let host = DriverHost::new(default_code_folder().as_deref()).map_err(Failed::ran)?;
        Ok(Self {
            args,
            settings,
            host,
            pace,
        })
    }

    /// Serves the counters of this process, if that is asked for.
    pub(super) async fn serve_metrics(&self) -> Result<(), Failed> {
        let Some(address) = self.args.metrics else {
            return Ok(());
        };
        let refused = |error: io::Error| Failed::ran(format_args!("--metrics {address}: {error}"));
        let page = MetricsPage::bind(address, self.host.auditor().clone()).await;
        let page = page.map_err(refused)?;
        let address = page.address().map_err(refused)?;
        tracing::info!(target: "servo", "counters are at http://{address}/metrics");
        tokio::spawn(async move {
            if let Err(error) = page.serve().await {
                tracing::error!(target: "servo", "no more counters: {error}");
            }
        });
        Ok(())
    }

    pub(super) fn app(&self) -> &AppId {
        &self.args.app_id
    }

    /// Reads the files, finds the service.
    pub(super) fn prepare(&self) -> Result<Prepared, Failed> {
        let site = workbench::site(&self.args.site).map_err(Failed::usage)?;
        let service = service(&self.args, &site)?;
        let transport = self.host.transport(self.app().as_str(), service);
        Ok(Prepared {
            site,
            transport: Arc::new(transport.map_err(Failed::usage)?),
        })
    }

    /// Loads the drivers.
    pub(super) async fn load(&self, prepared: Prepared) -> Result<Loaded, Failed> {
        let Prepared { site, transport } = prepared;
        let (args, app) = (&self.args, self.app());
        let terms = self.settings.terms(&args.site, app, &site, args.compat);
        let mut loaded = Loaded {
            transport,
            measure: None,
            adjust: None,
            environment: environment(&site, &terms).map_err(Failed::usage)?,
            ceilings: site.file().ceilings().map_err(Failed::usage)?,
        };
        for role in [DriverRole::Measure, DriverRole::Adjust] {
            let driver = self
                .host
                .driver(&site, role, self.app(), &terms)
                .await
                .map_err(Failed::usage)?;
            match &driver {
                Some(driver) => tracing::info!(target: "servo", "{role}: {driver}"),
                None => tracing::warn!(target: "servo", "no driver to {role}"),
            }
            match role {
                DriverRole::Measure => loaded.measure = driver,
                DriverRole::Adjust => loaded.adjust = driver,
            }
        }
        Ok(loaded)
    }

    /// A servo of what was loaded.
    pub(super) fn servo(
        &self,
        loaded: &Loaded,
        journal: &FileJournal,
        recovered: Recovered,
    ) -> Servo {
        let limits = |driver: &Option<Hosted>| {
            let limits = driver.as_ref().map(Hosted::limits);
            limits.unwrap_or_default()
        };
        let mut config = ServoConfig::new(self.app().as_str());
        config.agent.clone_from(&self.args.agent);
        config.servo_uid.clone_from(&self.args.servo_uid);
        config.perf.clone_from(&self.settings.perf);
        config.retry = self.settings.retry;
        config.pace = self.pace.clone();
        config.measure_limits = limits(&loaded.measure);
        config.adjust_limits = limits(&loaded.adjust);
        config.ceilings.clone_from(&loaded.ceilings);
        if self.args.compat {
            config.compat = Compat::original();
        }
        let drivers = Drivers {
            measure: loaded.measure.as_ref().map(Hosted::measure),
            adjust: loaded.adjust.as_ref().map(Hosted::adjust),
        };
        let servo = Servo::new(config, drivers, Arc::clone(&loaded.transport) as _)
            .with_observer(Arc::new(Log))
            .with_journal(Arc::new(journal.clone()))
            .with_recovered(recovered);
        match &loaded.environment {
            Some(check) => servo.with_environment(Arc::clone(check)),
            None => servo,
        }
    }
}

/// The files, read, and the way to the service.
pub(super) struct Prepared {
    site: Site,
    transport: Arc<HttpTransport>,
}

impl Prepared {
    /// Opens the journal, and says what was in hand.
    pub(super) fn journal(&self, app: &AppId) -> Result<(FileJournal, Recovered), Failed> {
        let folder = app.journal_folder(self.site.file().base());
        FileJournal::open(&folder, app.as_str()).map_err(|error| {
            Failed::ran(format_args!(
                "{error}\nWithout its journal a servo could lose a result, so it does not start. \
                 The journal is kept beside the operator's file: --config decides where."
            ))
        })
    }
}

/// Everything that a servo is made of.
pub(super) struct Loaded {
    transport: Arc<HttpTransport>,
    measure: Option<Hosted>,
    adjust: Option<Hosted>,
    environment: Option<Arc<dyn EnvironmentCheck>>,
    ceilings: Ceilings,
}

/// Where the service is, and what lets us in.
fn service(args: &RunArgs, site: &Site) -> Result<HttpConfig, Failed> {
    let (file, section) = (site.file(), &site.file().optune);
    let app = args.app_id.as_str();
    if let Some(other) = section.app.as_deref().filter(|other| *other != app) {
        let problem =
            format!("the file is for the application `{other}`, and the command line says `{app}`");
        return Err(Failed::config(file.error(
            "optune.app",
            problem,
            "correct one of them",
        )));
    }
    let account = args.account.as_ref().filter(|name| !name.is_empty());
    let url = match args.url.as_ref().or(section.url.as_ref()) {
        Some(url) => parse_url(url).map_err(Failed::usage)?,
        None => {
            let account = account.or(section.account.as_ref()).ok_or_else(|| {
                Failed::usage(format_args!(
                    "where is the service? Give --url, or --account, or `optune.url` in {}",
                    file.path.display()
                ))
            })?;
            service_url(HOSTED, account, app).map_err(Failed::usage)?
        }
    };
    let token = if args.no_auth {
        None
    } else {
        let in_file = section.token_file.as_ref();
        let in_file = in_file.map(|path| file.base().join(path));
        let path = args.auth_token.clone().or(in_file);
        let path = path.unwrap_or_else(|| Path::new(TOKEN_FILE).to_owned());
        // The original ends with 1 here, and so do we (section 11).
        Some(Token::read(&path).map_err(Failed::ran)?)
    };
    Ok(HttpConfig {
        url,
        token,
        allow_plaintext: false,
    })
}
