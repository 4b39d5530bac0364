//! What a record says.

use std::time::Duration;

/// Whose use of a capability it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The tenant.
    pub tenant: String,
    /// The servo.
    pub servo: String,
    /// The driver's name; for our own calls, what makes them.
    pub driver: String,
    /// The digest of the driver's bytes, `sha256:...`; empty for our own calls.
    pub digest: String,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// The call it belongs to; empty outside calls.
    pub call: &'a str,
    /// What is used.
    pub capability: Capability,
    /// What exactly, in the words of the one who asks, cut and without control
    /// characters, queries and secrets: `GET http://a.example/x`, `open /data/x`.
    pub what: &'a str,
    /// Index of the rule that answers for it, where one does.
    pub rule: Option<usize>,
    /// What was decided.
    pub verdict: Verdict,
    /// Why, where it was not simply allowed.
    pub reason: Reason,
    /// How what was allowed ended, such as `200` or `timed out`; empty where
    /// nothing was begun.
    pub outcome: &'a str,
    /// For people: the same in one line, with what to write if it shall be
    /// allowed. Empty where there is nothing to write.
    pub remedy: &'a str,
    /// Bytes that went out.
    pub bytes_out: u64,
    /// Bytes that came in.
    pub bytes_in: u64,
    /// From the decision to the end of what was allowed.
    pub time: Duration,
}

impl<'a> Record<'a> {
    /// A record of something that was not begun.
    pub fn denied(
        owner: &'a Owner,
        call: &'a str,
        capability: Capability,
        what: &'a str,
        reason: Reason,
    ) -> Self {
        Self {
            owner,
            call,
            capability,
            what,
            rule: None,
            verdict: Verdict::Denied,
            reason,
            outcome: "",
            remedy: "",
            bytes_out: 0,
            bytes_in: 0,
            time: Duration::ZERO,
        }
    }
}

/// Writes a closed list of names once: the type, all of it, and the names.
macro_rules! names {
    ($(#[doc = $doc:literal])+ $type:ident { $($(#[doc = $of:literal])+ $name:ident = $text:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type { $($(#[doc = $of])+ $name,)+ }

        impl $type {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name, for logs and labels.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

names! {
    /// What is used.
    Capability {
        /// Requests of a driver.
        Http = "http",
        /// Requests of servo itself.
        Own = "own",
        /// Files in granted folders.
        Files = "files",
        /// Sockets and name lookup, which nobody gets.
        Sockets = "sockets",
        /// Programs of the operator.
        Action = "action",
        /// What a driver keeps between calls.
        State = "state",
        /// Log lines and output.
        Output = "output",
        /// Secrets that the host uses for a driver.
        Credential = "credential",
        /// Memory, time and the like.
        Budget = "budget",
        /// Compiled code.
        Code = "code",
    }
}

names! {
    /// What was decided.
    Verdict {
        /// Done as asked.
        Allowed = "allowed",
        /// Not done.
        Denied = "denied",
        /// Done in part, the rest thrown away.
        Capped = "capped",
    }
}

names! {
    /// Why.
    Reason {
        /// Nothing to explain.
        None = "-",
        /// No rule, folder or action of that name is granted.
        NotGranted = "not-granted",
        /// No grant can allow this form.
        Malformed = "malformed",
        /// The address is of a class that the rule does not reach.
        Address = "address",
        /// A quota of the call or of the host is used up.
        Quota = "quota",
        /// Too many in too short a time.
        Rate = "rate",
        /// What is granted is granted for reading only.
        ReadOnly = "read-only",
        /// It is a dry run, in which nothing is changed.
        DryRun = "dry-run",
        /// A limit of the budget.
        Limit = "limit",
        /// The call was cancelled.
        Cancelled = "cancelled",
        /// A secret could not be read or used.
        Secret = "secret",
        /// A secret was found in what came back, and taken out.
        Echo = "echo",
        /// An entry of the code cache is not what this installation wrote.
        Altered = "altered",
        /// The compiler ended at a limit or failed.
        Compiler = "compiler",
        /// Many decisions in one record: the call had made too many to record each.
        Summary = "summary",
    }
}
