//! `servo demo`: the main job with a progress bar, a line for each trial and a
//! table at the end.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use servo_demo::app::SampleApp;
use servo_demo::job::{self, Components, JobOptions, News};
use servo_demo::report::Style;
use servo_host::default_code_folder;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::{DemoAppArgs, DemoArgs, DemoPart};
use crate::exit::{Failed, Outcome};
use crate::output;

pub(crate) async fn run(args: DemoArgs) -> Outcome {
    match &args.part {
        None => job(args).await,
        Some(DemoPart::App(app)) => sample_app(app).await,
    }
}

/// The sample application alone, until it is told to stop.
async fn sample_app(args: &DemoAppArgs) -> Outcome {
    let mut app = SampleApp::start(args.listen).await.map_err(Failed::usage)?;
    app.admit_visitors(args.visitors);
    let address = app.local_addr();
    output::line(format_args!("application  http://{address}/quote"))?;
    output::line(format_args!("settings     http://{address}/settings"))?;
    output::line(format_args!("metrics      http://{address}/metrics"))?;
    output::line(format_args!("visitors     {}", args.visitors))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failed::ran)?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    app.shutdown().await;
    Ok(())
}

async fn job(args: DemoArgs) -> Outcome {
    let folder = args.drivers.clone();
    // Compilers block for minutes.
    let components = tokio::task::spawn_blocking(move || match folder {
        Some(folder) => Components::in_folder(&folder),
        None => Components::build(&std::env::current_dir().unwrap_or_default()),
    })
    .await
    .map_err(Failed::ran)?
    .map_err(Failed::usage)?;
    let options = JobOptions {
        trials: args.trials,
        seconds: args.seconds,
        seed: args.seed,
        components,
        code: default_code_folder(),
    };

    let screen = Screen::new(args.trials, args.json);
    let watch = |news| screen.show(news);
    let finished = tokio::select! {
        finished = job::run(&options, &watch) => finished.map_err(Failed::ran)?,
        () = screen.unread.cancelled() => return Err(Failed::Unread),
        _ = tokio::signal::ctrl_c() => return Err(Failed::ran("interrupted")),
    };
    screen.end();

    let style = if std::io::stdout().is_terminal() {
        Style::Terminal
    } else {
        Style::Plain
    };
    output::line(format_args!("\n{}", finished.report.text(style).trim_end()))?;
    if args.open_page {
        output::line(format_args!("\npage: {} (Ctrl-C ends it)", finished.page))?;
    }
    if args.json {
        let summary = serde_json::to_string(&finished.report.summary()).map_err(Failed::ran)?;
        output::line(summary)?;
    }
    if args.open_page && tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    finished.close().await;
    Ok(())
}

/// Where the news go: a bar on a terminal, plain lines elsewhere.
struct Screen {
    bar: ProgressBar,
    /// Set when nobody reads standard output any more.
    unread: CancellationToken,
    trials: u32,
    baseline: std::sync::OnceLock<f64>,
}

/// Parts of the bar that one trial takes.
const PARTS: u64 = 100;

impl Screen {
    fn new(trials: u32, quiet: bool) -> Self {
        let target = if quiet || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let length = u64::from(trials).saturating_add(1).saturating_mul(PARTS);
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}%  {elapsed}  {msg}")
        {
            bar.set_style(style);
        }
        Self {
            bar,
            unread: CancellationToken::new(),
            trials,
            baseline: std::sync::OnceLock::new(),
        }
    }

    fn line(&self, text: &str) {
        if self.bar.suspend(|| output::line(text)).is_err() {
            self.unread.cancel();
        }
    }

    fn show(&self, news: News) {
        match news {
            News::Ready { app, page, drivers } => {
                self.line(&format!("application  http://{app}/quote"));
                self.line(&format!("page         {page}"));
                for driver in drivers {
                    self.line(&format!("may touch    {driver}"));
                }
                self.line("");
            }
            News::Trial(trial) => {
                if let (0, Some(score)) = (trial.number, trial.outcome.performance()) {
                    let _ = self.baseline.set(score);
                }
                let baseline = self.baseline.get().copied();
                self.line(&trial.line(self.trials, job::UNIT, baseline));
                self.bar.set_position(
                    u64::from(trial.number)
                        .saturating_add(1)
                        .saturating_mul(PARTS),
                );
            }
            News::Progress { operation, percent } => {
                let percent = percent.map_or_else(String::new, |it| format!(" {it:.0}%"));
                self.bar.set_message(format!("{operation}{percent}"));
            }
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
