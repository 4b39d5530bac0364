//! Every limit of a call: one place, one default, one range, one reason.
//!
//! A limit that is not here does not exist, and a limit that is here is
//! enforced by the sandbox or by the egress. The defaults fit a driver that
//! polls an HTTP interface; a load generator asks for more in its manifest,
//! and the operator grants it in `grants.limits`. The hard tops exist so that
//! a slip of the keyboard (`memory: 64GiB`) is an error at load time and not
//! an incident; they are far above every driver we know.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Advice, ByteSize, PolicyError, Span};

/// Writes the budget, the operator's partial form of it, the defaults, and the
/// range check from one table, so that the four cannot drift apart.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $ty:ty, $spec:ty = $default:expr, $low:expr => $high:expr;)+) => {
        /// What one call may use. Build one with [`Budget::default`] or from
        /// the operator's [`LimitsSpec`].
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Budget { $($(#[doc = $doc])+ pub $name: $ty,)+ }

        /// The limits as an operator writes them, or a manifest asks for them:
        /// only what differs from the defaults. Sizes are written `64MiB`,
        /// durations `30s`.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct LimitsSpec {
            $($(#[doc = $doc])+
            #[serde(
                default,
                deserialize_with = "crate::present::present",
                skip_serializing_if = "Option::is_none"
            )]
            pub $name: Option<$spec>,)+
        }

        impl Default for Budget {
            fn default() -> Self { Self { $($name: $default,)+ } }
        }

        impl LimitsSpec {
            /// The defaults with these limits laid over them.
            ///
            /// # Errors
            /// The first limit that is out of range; the error names its key and range.
            pub fn resolve(&self) -> Result<Budget, PolicyError> {
                let mut wrong = Vec::new();
                let budget = self.resolve_into(&mut wrong);
                match wrong.into_iter().next() {
                    Some(error) => Err(error),
                    None => Ok(budget),
                }
            }

            /// The same; every limit that is out of range goes to `wrong`.
            pub(crate) fn resolve_into(&self, wrong: &mut Vec<PolicyError>) -> Budget {
                let mut budget = Budget::default();
                let before = wrong.len();
                $(if let Some(given) = self.$name {
                    let value: $ty = <$ty as Limit<$spec>>::from_spec(given);
                    if ($low..=$high).contains(&value) {
                        budget.$name = value;
                    } else {
                        wrong.push(PolicyError::Limit {
                            key: stringify!($name),
                            value: <$ty as Limit<$spec>>::show(value),
                            low: <$ty as Limit<$spec>>::show($low),
                            high: <$ty as Limit<$spec>>::show($high),
                        });
                    }
                })+
                // Limits of which one is wrong may contradict each other for that alone.
                match budget.consistent() {
                    Ok(budget) => budget,
                    Err(error) => {
                        if wrong.len() == before {
                            wrong.push(error);
                        }
                        Budget::default()
                    }
                }
            }

            /// The limits that are named here, with their values in human form.
            pub(crate) fn named(&self) -> Vec<(&'static str, String)> {
                let mut named = Vec::new();
                $(if let Some(given) = self.$name {
                    let value: $ty = <$ty as Limit<$spec>>::from_spec(given);
                    named.push((stringify!($name), <$ty as Limit<$spec>>::show(value)));
                })+
                named
            }

            /// The limits of `budget` that are above those named here: the key,
            /// what there is and what is named.
            pub(crate) fn exceeded_by(&self, budget: &Budget) -> Vec<(&'static str, String, String)> {
                let mut exceeded = Vec::new();
                $(if let Some(given) = self.$name {
                    let most: $ty = <$ty as Limit<$spec>>::from_spec(given);
                    if budget.$name > most {
                        exceeded.push((
                            stringify!($name),
                            <$ty as Limit<$spec>>::show(budget.$name),
                            <$ty as Limit<$spec>>::show(most),
                        ));
                    }
                })+
                exceeded
            }

            /// Limits out of their range go to `wrong`, under `key`.
            pub(crate) fn check_ranges(&self, key: &str, wrong: &mut Vec<PolicyError>) {
                $(if let Some(given) = self.$name {
                    let value: $ty = <$ty as Limit<$spec>>::from_spec(given);
                    if !($low..=$high).contains(&value) {
                        let show = <$ty as Limit<$spec>>::show;
                        wrong.push(PolicyError::Grant {
                            key: format!("{key}.{}", stringify!($name)),
                            advice: Advice::new(format!("{} is out of range", show(value)), format!("use a value from {} to {}", show($low), show($high))),
                        });
                    }
                })+
            }

            /// Is every limit asked for here within `budget`? The keys of those
            /// that are not, with what was asked and what there is.
            pub fn beyond(&self, budget: &Budget) -> Vec<(&'static str, String, String)> {
                let mut beyond = Vec::new();
                $(if let Some(given) = self.$name {
                    let value: $ty = <$ty as Limit<$spec>>::from_spec(given);
                    if value > budget.$name {
                        beyond.push((
                            stringify!($name),
                            <$ty as Limit<$spec>>::show(value),
                            <$ty as Limit<$spec>>::show(budget.$name),
                        ));
                    }
                })+
                beyond
            }
        }

        impl Budget {
            /// Every limit with what it is by default, what it may be, and why,
            /// in the order of this file.
            pub fn describe() -> Vec<LimitRow> {
                let default = Self::default();
                vec![$(LimitRow {
                    key: stringify!($name),
                    default: <$ty as Limit<$spec>>::show(default.$name),
                    low: <$ty as Limit<$spec>>::show($low),
                    high: <$ty as Limit<$spec>>::show($high),
                    reason: [$($doc),+].concat().trim().to_owned(),
                },)+]
            }

            /// Every limit by name with its value in human form, in the order
            /// of this file.
            pub fn table(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($name), <$ty as Limit<$spec>>::show(self.$name)),)+]
            }
        }
    };
}

/// One limit, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitRow {
    /// Its key in `grants.limits`, and the label of its counter.
    pub key: &'static str,
    /// What it is unless the operator says otherwise.
    pub default: String,
    /// The least it may be.
    pub low: String,
    /// The most it may be.
    pub high: String,
    /// What it is, and why so much.
    pub reason: String,
}

/// How a limit reads in a policy, and how it is shown.
trait Limit<S>: Copy + PartialOrd {
    fn from_spec(spec: S) -> Self;
    fn show(self) -> String;
}

impl Limit<ByteSize> for ByteSize {
    fn from_spec(spec: ByteSize) -> Self {
        spec
    }
    fn show(self) -> String {
        self.to_string()
    }
}

impl Limit<ByteSize> for u64 {
    fn from_spec(spec: ByteSize) -> Self {
        spec.bytes()
    }
    fn show(self) -> String {
        ByteSize(self).to_string()
    }
}

impl Limit<Span> for Duration {
    fn from_spec(spec: Span) -> Self {
        spec.0
    }
    fn show(self) -> String {
        Span(self).to_string()
    }
}

impl Limit<u64> for u64 {
    fn from_spec(spec: u64) -> Self {
        spec
    }
    fn show(self) -> String {
        self.to_string()
    }
}

impl Limit<u32> for u32 {
    fn from_spec(spec: u32) -> Self {
        spec
    }
    fn show(self) -> String {
        self.to_string()
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

limits! {
    /// Linear memory, the sum over all memories of one step. A Rust driver
    /// needs 2 MiB; an interpreter in WebAssembly needs about 40.
    memory: ByteSize, ByteSize = ByteSize::mib(64), ByteSize::kib(64) => ByteSize::mib(4096);
    /// Time on a worker, per step. Polling and parsing take milliseconds; what
    /// takes longer is a loop, or a load generator that asked for more.
    cpu: Duration, Span = secs(2), ms(1) => secs(86_400);
    /// The whole call, waiting included. Measurements last minutes to an hour.
    wall: Duration, Span = secs(1_800), ms(1) => secs(7 * 86_400);
    /// One step from entry to return, waiting for the network included. Long
    /// waits belong between steps, where they hold no memory.
    step_wall: Duration, Span = secs(600), ms(1) => secs(86_400);
    /// Undoing what a cancelled call began, waits between its steps included. It
    /// begins when the call ends: rolling back takes as long as rolling out.
    undo_wall: Duration, Span = secs(300), ms(1) => secs(86_400);
    /// How long a driver told to cancel may take to stop before it is dropped.
    cancel_grace: Duration, Span = secs(10), ms(1) => secs(600);
    /// Elements of all tables. Rust and C programs use one per function whose
    /// address is taken: a few thousand.
    table_elements: u32, u32 = 20_000, 1 => 10_000_000;
    /// Host resources held at once (fields, streams, bodies, pollables). A
    /// request takes eight of them; this is enough to be told, request by
    /// request, that there are too many at once.
    handles: u32, u32 = 1_024, 16 => 100_000;
    /// Bytes the host copies out of the guest in one call of a host function,
    /// before it has looked at them.
    hostcall_bytes: u64, ByteSize = 4 * MIB, KIB => 256 * MIB;
    /// Log lines of a call; more are counted and dropped.
    log_lines: u32, u32 = 1_000, 1 => 1_000_000;
    /// Bytes of log text of a call.
    log_bytes: u64, ByteSize = 256 * KIB, KIB => 256 * MIB;
    /// Bytes kept of stdout and stderr together. They are for a person who
    /// looks for a fault: the beginning is enough.
    output_bytes: u64, ByteSize = 64 * KIB, KIB => 64 * MIB;
    /// Bytes of a result: settings and metrics are a few KiB of text; series of
    /// instances may be a few hundred.
    result_bytes: u64, ByteSize = MIB, KIB => 64 * MIB;
    /// Bytes of the state that a pause hands to the next step. It is journalled
    /// on every pause, so it stays small.
    state_bytes: u64, ByteSize = 64 * KIB, 64 => 16 * MIB;
    /// Decisions of a call that are recorded one by one; more are counted and
    /// summed up in one record. Twice the requests that a call may make.
    audit_records: u32, u32 = 20_000, 1 => 100_000_000;
    /// Steps of a call. Enough for one every ten seconds over a day, and the
    /// end of a driver that spins through pauses of no length.
    steps: u32, u32 = 10_000, 1 => 1_000_000;
    /// Bytes by which a call may lengthen files in the folders it may write.
    /// Reports and generated configuration are far smaller. `/scratch` has a
    /// size of its own.
    disk_bytes: u64, ByteSize = 64 * MIB, KIB => 64 * 1024 * MIB;
    /// Files and folders a call may create in the folders it may write, and a
    /// step in `/scratch`. Each weighs 4 KiB on its place's bytes, too.
    disk_entries: u32, u32 = 10_000, 1 => 1_000_000;
    /// Requests of a call. A poll every second for the default wall time, five
    /// times over.
    requests: u64, u64 = 10_000, 1 => 1_000_000_000;
    /// Requests in flight at once. Each holds a connection and its buffers.
    concurrent_requests: u32, u32 = 16, 1 => 4_096;
    /// Requests a second of each rule that names no rate of its own, over all
    /// calls of the driver; so many may also come at once. Polling needs one.
    request_rate: u32, u32 = 200, 1 => 1_000_000;
    /// Bytes of one request body.
    request_bytes: u64, ByteSize = MIB, 1 => 1024 * MIB;
    /// Bytes of one response body, as they arrive: no encoding is undone.
    response_bytes: u64, ByteSize = 16 * MIB, 1 => 64 * 1024 * MIB;
    /// One request from the first byte of the name lookup to the last byte of
    /// the response body.
    request_time: Duration, Span = secs(30), ms(1) => secs(86_400);
    /// Name lookup, connection and TLS handshake of one request. Longer means
    /// that nobody is there.
    connect_time: Duration, Span = secs(5), ms(1) => secs(120);
    /// Silence of the other side in the middle of a response body.
    idle_time: Duration, Span = secs(15), ms(1) => secs(3_600);
}

impl Budget {
    /// Refuses limits that contradict each other: a part that may take longer
    /// than its whole is a limit that never bites, hence an operator misled.
    fn consistent(self) -> Result<Self, PolicyError> {
        let given = Self::default();
        if self.step_wall > self.wall && self.step_wall != given.step_wall {
            return Err(PolicyError::Grant {
                key: "grants.limits.step_wall".to_owned(),
                advice: Advice::new(
                    format!(
                        "one step may not take longer ({}) than the whole call ({})",
                        Span(self.step_wall),
                        Span(self.wall)
                    ),
                    "raise `wall` or lower `step_wall`",
                ),
            });
        }
        // A default that the operator's smaller whole overtakes is clipped in
        // silence: nobody wrote it.
        let step_wall = self.step_wall.min(self.wall);
        Ok(Self { step_wall, ..self })
    }
}
