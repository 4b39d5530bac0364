//! The open vocabularies of statuses and reasons (protocol section 18).
//!
//! Both are open: a peer may use words we do not know, and a word must survive
//! being read and written again. So each is an enum of the known words with one
//! variant that keeps any other; comparing stays typed, nothing is lost.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A word outside this list, kept as it is.
            Other(String),
        }

        impl $name {
            /// The word as it stands on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }

            /// Every known word.
            pub const KNOWN: &'static [&'static str] = &[$($text),+];
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
            }
        }
    };
}
pub(crate) use vocabulary;

vocabulary! {
    /// How something ended, or what the service thinks of a message.
    Status {
        /// Success.
        Ok = "ok",
        /// Unspecific, or possibly worth another try.
        Failed = "failed",
        /// The requested settings are bad; the point should not be tried again.
        Rejected = "rejected",
        /// Given up early on purpose.
        Aborted = "aborted",
        /// Something unrelated got in between; repeating makes sense.
        TransientFailure = "transient-failure",
        /// Stopped because the service or the operator asked for it.
        Cancelled = "cancelled",
        /// The driver could not read its input.
        BadRequest = "bad-request",
        /// The environment is not the one the command asked for (section 9).
        EnvironmentMismatch = "environment-mismatch",
        /// The driver gave no response.
        NoData = "nodata",
        /// The original's word for a response without status.
        Undefined = "undefined",
        /// Service only: stop the running operation (section 8).
        Cancel = "cancel",
        /// Service only: the report was malformed.
        Invalid = "invalid",
        /// Service only: not the report that was due.
        UnexpectedEvent = "unexpected-event",
    }
}

vocabulary! {
    /// Why something ended as it did: one machine-readable word.
    Reason {
        /// It worked.
        Success = "success",
        /// Nobody knows.
        Unknown = "unknown",
        /// None was given.
        Undefined = "undefined",
        /// The response carried no status.
        NoStatus = "no-status",
        /// The component trapped.
        Trap = "trap",
        /// A time limit was reached.
        Timeout = "timeout",
        /// A capability was refused.
        Denied = "denied",
        /// The memory limit was reached.
        OutOfMemory = "out-of-memory",
        /// A measurement breaks the contract of section 16.2.
        InvalidMeasurement = "invalid-measurement",
        /// A setting or a value of a setting breaks the contract of section 15.1.
        InvalidSetting = "invalid-setting",
        /// The command's parameters cannot be used.
        InvalidInput = "invalid-input",
        /// Stopped on request of the service.
        Cancelled = "cancelled",
        /// Stopped because the servo stops.
        Stopping = "stopping",
        /// A service-level objective was violated.
        SloViolation = "slo-violation",
        /// No driver is configured for this.
        NoDrivers = "no-drivers",
        /// No plugin for environment checks is configured.
        NoPlugin = "no-plugin",
        /// The application is unstable with the requested settings.
        Unstable = "unstable",
        /// The application does not start with the requested settings.
        StartFailed = "start-failed",
        /// The service does not know the command id of a report.
        UnexpectedCmdUid = "unexpected cmd_uid",
    }
}
