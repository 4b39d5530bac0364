//! Why there is no protected connection, each reason in its own words.
//!
//! The dates and names are the certificate's: what the server shows to whoever asks.

use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

/// Names of a certificate that are told.
const MOST_NAMES: usize = 4;

/// Bytes of one of them.
const NAME_BYTES: usize = 64;

/// Why there is no protected connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFailure {
    /// No trusted authority signed the certificate.
    #[error(
        "the certificate is not signed by a trusted authority; if it should be trusted, name \
         its authority, or the certificate itself, with `ca` in the rule"
    )]
    UnknownIssuer,
    /// The certificate is for another host.
    #[error("the certificate is for another host: it is for {}", names(presented))]
    WrongName {
        /// The names in it, as far as they are told.
        presented: Vec<String>,
    },
    /// The certificate's time is over.
    #[error(
        "the certificate has expired: it was valid until {}, and the clock of this host says {}",
        date(*not_after),
        date(*now)
    )]
    Expired {
        /// Its last second, since 1970.
        not_after: u64,
        /// The time of the host.
        now: u64,
    },
    /// The certificate's time has not come.
    #[error(
        "the certificate is not valid yet: it will be from {}, and the clock of this host says \
         {}; is the clock right?",
        date(*not_before),
        date(*now)
    )]
    NotYetValid {
        /// Its first second, since 1970.
        not_before: u64,
        /// The time of the host.
        now: u64,
    },
    /// The certificate is faulty in another way, or too weak.
    #[error("the certificate is not acceptable")]
    Certificate,
    /// The server wants to know who asks.
    #[error(
        "the server wants a client certificate, and got none; give the rule \
         `client_certificate`"
    )]
    ClientCertificateWanted,
    /// The server does not accept who asks.
    #[error("the server refuses the client certificate of the rule")]
    ClientCertificateRefused,
    /// The handshake failed.
    #[error("the handshake failed")]
    Handshake,
}

impl TlsFailure {
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateRequired => Self::ClientCertificateWanted,
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied => Self::ClientCertificateRefused,
                _ => Self::Handshake,
            },
            _ => Self::Handshake,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::NotValidForName => Self::WrongName {
                presented: Vec::new(),
            },
            CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName {
                presented: presented
                    .iter()
                    .take(MOST_NAMES)
                    .map(|name| bare(name))
                    .collect(),
            },
            CertificateError::ExpiredContext { time, not_after } => Self::Expired {
                not_after: not_after.as_secs(),
                now: time.as_secs(),
            },
            CertificateError::Expired => Self::Expired {
                not_after: 0,
                now: UnixTime::now().as_secs(),
            },
            CertificateError::NotValidYetContext { time, not_before } => Self::NotYetValid {
                not_before: not_before.as_secs(),
                now: time.as_secs(),
            },
            _ => Self::Certificate,
        }
    }
}

/// A name without the kind that the library writes around it: `DnsName("a.test")`.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
    let inner = inner.strip_suffix(')').unwrap_or(inner).trim_matches('"');
    servo_text::shown_within(inner, NAME_BYTES).to_string()
}

fn names(presented: &[String]) -> String {
    match presented {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

fn date(seconds: u64) -> String {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .filter(|_| seconds < YEAR_9999)
        .map_or_else(|| format!("{seconds} s"), httpdate::fmt_http_date)
}

/// What the library for dates can write.
const YEAR_9999: u64 = 253_402_300_800;
