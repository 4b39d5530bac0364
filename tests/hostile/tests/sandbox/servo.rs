//! Our host under the kit: `servo-sandbox` with `servo-egress` as its only way
//! out, and `servo-policy` reading the grants.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use servo_artifact::{Artifact, CodeCache, DEFAULT_CACHE_LIMIT};
use servo_audit::{Auditor, Capability};
use servo_egress::{Gate, Resolver};
use servo_hostile::guest;
use servo_hostile::host::{
    Answer, Compiling, Ended, Function, HostUnderTest, Listener, Start, Step, Terms, Used,
};
use servo_hostile::witness::{Names, Recorded, Records};
use servo_policy::GrantsSpec;
use servo_sandbox::{
    Binding, BoundDriver, Call, CallObserver, CodeOrigin, CompileLimits, Compiler, Driver, End,
    LogLevel, MemoryState, Progress, Sandbox, SandboxOptions, StepReport, adjust, measure,
};
use servo_test_support::binding::{control, measurement, owner_of};
use tokio_util::sync::CancellationToken;

/// The sandbox and the gate of one test.
#[derive(Clone)]
pub struct Servo {
    sandbox: Sandbox,
    gate: Arc<Gate>,
    auditor: Auditor,
}

/// The kit's names as a resolver.
pub struct Resolving(pub Arc<Names>);

#[async_trait]
impl Resolver for Resolving {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.look_up(host, port)
    }
}

struct Hearing(Arc<Listener>);

impl CallObserver for Hearing {
    fn progress(&self, progress: Progress) {
        self.0.progress(progress.message.as_deref());
    }

    fn log(&self, _: LogLevel, _: &str, message: &str) {
        self.0.log(message);
    }
}

/// A call and the way to end it.
pub struct Begun {
    call: Call,
    cancel: CancellationToken,
}

impl HostUnderTest for Servo {
    type Driver = Driver;
    type Bound = BoundDriver;
    type Call = Begun;

    fn start(start: Start) -> Self {
        let folder = start.cache.unwrap_or_else(guest::code_folder);
        let cache = CodeCache::open(folder, DEFAULT_CACHE_LIMIT).unwrap();
        let auditor = Auditor::new(Taking(start.records));
        let sandbox = Sandbox::new(SandboxOptions {
            concurrent_steps: start.places,
            cache: Some(cache),
            audit: auditor.clone(),
            compiler: compiler(&start.compiling),
            ..SandboxOptions::default()
        });
        let gate = Gate::builder(Arc::new(Resolving(start.names)));
        Self {
            sandbox: sandbox.unwrap(),
            gate: gate.auditor(auditor.clone()).build().unwrap(),
            auditor,
        }
    }

    async fn load(&self, artifact: &[u8]) -> Result<Driver, String> {
        let artifact = Artifact::from_bytes(artifact.to_vec()).map_err(|e| e.to_string())?;
        self.sandbox
            .load(&artifact)
            .await
            .map_err(|e| e.to_string())
    }

    async fn load_file(&self, file: &Path) -> Result<Driver, String> {
        let artifact = Artifact::read(file).map_err(|e| e.to_string())?;
        self.sandbox
            .load(&artifact)
            .await
            .map_err(|e| e.to_string())
    }

    fn is_from_cache(&self, driver: &Driver) -> bool {
        driver.code_origin() == CodeOrigin::Cached
    }

    fn digest(&self, driver: &Driver) -> String {
        driver.digest().to_string()
    }

    fn refused_cache(folder: &Path) -> Option<String> {
        let opened = CodeCache::open(folder, DEFAULT_CACHE_LIMIT);
        opened.err().map(|error| error.to_string())
    }

    fn bind(&self, driver: &Driver, terms: Terms) -> Result<BoundDriver, String> {
        let spec: GrantsSpec = serde_json::from_value(terms.grants).map_err(|e| e.to_string())?;
        let grants = spec.resolve(&terms.config, Path::new("/"));
        let binding = Binding {
            owner: owner_of(&terms.tenant),
            grants: grants.map_err(|e| e.to_string())?,
            config: terms.config,
            state: Arc::new(MemoryState::default()),
        };
        driver.bind(&self.gate, binding).map_err(|e| e.to_string())
    }

    fn begin(&self, bound: &BoundDriver, listener: Arc<Listener>) -> Begun {
        let cancel = CancellationToken::new();
        Begun {
            call: bound.begin(Arc::new(Hearing(listener)), cancel.clone()),
            cancel,
        }
    }

    async fn step(&self, begun: &Begun, function: Function) -> Step {
        let call = &begun.call;
        match function {
            Function::DescribeMetrics => {
                step(call.describe_metrics("shop").await, |metrics| Answer {
                    metrics: metrics.into_iter().map(|metric| metric.name).collect(),
                    ..Answer::default()
                })
            }
            Function::Measure => step(call.measure(&measurement(), None).await, measured),
            Function::DescribeApplication => step(call.describe_application("shop").await, |_| {
                Answer::default()
            }),
            Function::Adjust => {
                let request = adjust::AdjustRequest {
                    app: "shop".to_owned(),
                    settings: vec![],
                    control: control(),
                    dry_run: false,
                };
                step(call.adjust(&request, None).await, |_| Answer::default())
            }
        }
    }

    fn cancel(&self, begun: &Begun) {
        begun.cancel.cancel();
    }

    fn denied(&self, capability: &str) -> u64 {
        let known = Capability::ALL
            .iter()
            .find(|known| known.as_str() == capability);
        self.auditor.counters().denied(*known.unwrap())
    }

    fn limit_hits(&self, limit: &str) -> u64 {
        let hits = self.auditor.counters().limit_hits();
        hits.get(limit).copied().unwrap_or_default()
    }

    fn metrics(&self) -> String {
        self.auditor.counters().prometheus()
    }
}

fn measured(step: measure::MeasureStep) -> Answer {
    match step {
        measure::MeasureStep::Done(done) => Answer {
            notes: done
                .notes
                .into_iter()
                .map(|note| (note.name, note.text))
                .collect(),
            ..Answer::default()
        },
        measure::MeasureStep::Wait(_) => Answer {
            pause: true,
            ..Answer::default()
        },
    }
}

fn step<T: std::fmt::Debug>(
    step: servo_sandbox::Step<T>,
    answer: impl FnOnce(T) -> Answer,
) -> Step {
    let end = match step.end {
        End::Ok(value) => Ended::Answered(answer(value)),
        End::Failure(failed) => Ended::Failed(format!(
            "{}: {}",
            failed.failure.reason.unwrap_or_default(),
            failed.failure.message
        )),
        End::Trap(text) => Ended::Trap(text),
        End::Limit { limit, allowed } => Ended::Limit {
            name: limit.key().unwrap_or("stack").to_owned(),
            text: failure_text(End::<()>::Limit { limit, allowed }),
        },
        End::Denied { denial, .. } => Ended::Denied(denial),
        End::Cancelled => Ended::Cancelled,
    };
    Step {
        end,
        used: used(step.report),
    }
}

/// What the service, and so the operator, is told.
fn failure_text(end: End<()>) -> String {
    let failed = end.into_result().expect_err("it did not end well");
    failed.failure.message
}

fn used(report: StepReport) -> Used {
    Used {
        cpu: report.cpu,
        memory: report.memory,
        requests: report.network.requests,
        denied: report.network.denied,
        bytes_out: report.network.bytes_out,
        bytes_in: report.network.bytes_in,
        output: report.output.kept,
        output_dropped: report.output.dropped,
        log_lines_dropped: report.log_lines_dropped,
    }
}

/// The program of this crate that compiles, or what stands in its place.
pub fn compiler(compiling: &Compiling) -> Compiler {
    const PROGRAM: &str = env!("CARGO_BIN_EXE_servo-hostile-compiler");
    let compiler = match &compiling.script {
        None => Compiler::program(PROGRAM, [] as [&str; 0]),
        Some(script) => Compiler::program("/bin/sh", ["-c", script]),
    };
    let usual = CompileLimits::default();
    compiler.with_limits(CompileLimits {
        cpu: compiling.cpu.unwrap_or(usual.cpu),
        wall: compiling.wall.unwrap_or(usual.wall),
        ..usual
    })
}

/// Takes what the auditor is given.
struct Taking(Arc<Records>);

impl servo_audit::Sink for Taking {
    fn write(&self, record: &servo_audit::Record<'_>) {
        self.0.write(Recorded {
            tenant: record.owner.tenant.clone(),
            driver: record.owner.driver.clone(),
            call: record.call.to_owned(),
            capability: record.capability.to_string(),
            what: record.what.to_owned(),
            rule: record.rule,
            verdict: record.verdict.to_string(),
            reason: record.reason.to_string(),
            outcome: record.outcome.to_owned(),
        });
    }
}
