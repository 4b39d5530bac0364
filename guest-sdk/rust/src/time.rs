//! Times as text: RFC 3339, both ways.
//!
//! A moment is a [`Duration`] since the Unix epoch, as
//! [`Context::unix_time`](crate::Context::unix_time) gives it. A calendar
//! library would weigh more than a small driver; all that backends want is
//! this one form.
//!
//! ```
//! use std::time::Duration;
//! use servo_driver::time;
//!
//! let moment = time::from_rfc3339("2023-11-14T23:13:20.25+01:00").unwrap();
//! assert_eq!(moment, Duration::from_millis(1_700_000_000_250));
//! assert_eq!(time::to_rfc3339(moment), "2023-11-14T22:13:20.25Z");
//! assert_eq!(time::to_rfc3339_at(moment, 60), "2023-11-14T23:13:20.25+01:00");
//! ```

use std::time::Duration;

use crate::failure::Failure;

const DAY: u64 = 86_400;

/// Days from the first of March of the year 0 to the Unix epoch.
const EPOCH: u64 = 719_468;

/// The last second that has a name in RFC 3339: 9999-12-31T23:59:59Z.
const LAST: u64 = 253_402_300_799;

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a time as RFC 3339 writes it, such as 2023-11-14T22:13:20Z: {problem}")]
pub struct Error {
    text: String,
    problem: &'static str,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// The moment that a text such as `2023-11-14T23:13:20.25+01:00` names.
///
/// Digits after the ninth of a fraction are cut off, and a leap second is the
/// one after it.
///
/// # Errors
///
/// [`Error`], also for moments before 1970.
pub fn from_rfc3339(text: &str) -> Result<Duration, Error> {
    parse(text).map_err(|problem| Error {
        text: text.chars().take(64).collect(),
        problem,
    })
}

fn parse(text: &str) -> Result<Duration, &'static str> {
    const SHAPE: &str = "the date and the time have a fixed width";
    let mut rest = text.as_bytes();
    let mut number = |width: usize, after: &[u8]| -> Result<u64, &'static str> {
        let (digits, tail) = rest.split_at_checked(width).ok_or(SHAPE)?;
        let mut value = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return Err(SHAPE);
            }
            value = 10 * value + u64::from(digit - b'0');
        }
        rest = match tail.split_first() {
            _ if after.is_empty() => tail,
            Some((mark, tail)) if after.contains(mark) => tail,
            _ => return Err(SHAPE),
        };
        Ok(value)
    };
    let (year, month, day) = (number(4, b"-")?, number(2, b"-")?, number(2, b"Tt ")?);
    let (hour, minute, second) = (number(2, b":")?, number(2, b":")?, number(2, b"")?);
    if hour > 23 || minute > 59 || second > 60 {
        return Err("there is no such time of day");
    }
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = fraction.iter().take_while(|c| c.is_ascii_digit()).count();
        if count == 0 {
            return Err("digits must follow the point");
        }
        let digits = fraction.iter().take(count).chain(std::iter::repeat(&b'0'));
        for digit in digits.take(9) {
            nanos = 10 * nanos + u32::from(digit - b'0');
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    let days = days(year, month, day).ok_or("there is no such day")?;
    let seconds = i128::from(days) * i128::from(DAY)
        + i128::from(hour * 3600 + minute * 60 + second)
        - i128::from(EPOCH * DAY);
    let seconds =
        u64::try_from(seconds - i128::from(offset(rest)?)).map_err(|_| "it lies before 1970")?;
    Ok(Duration::new(seconds, nanos))
}

/// Seconds that the clock of this offset is ahead of UTC.
fn offset(text: &[u8]) -> Result<i64, &'static str> {
    const SHAPE: &str = "it must end with Z or an offset such as +01:00";
    let digit = |digit: &u8| {
        let value = digit.wrapping_sub(b'0');
        (value < 10).then_some(i64::from(value)).ok_or(SHAPE)
    };
    match text {
        b"Z" | b"z" => Ok(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = 10 * digit(h1)? + digit(h2)?;
            let minutes = 10 * digit(m1)? + digit(m2)?;
            if hours > 23 || minutes > 59 {
                return Err("there is no such offset");
            }
            let seconds = 60 * (60 * hours + minutes);
            Ok(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => Err(SHAPE),
    }
}

/// The text of a moment in UTC, with as many digits of a fraction as it has.
///
/// What lies after the year 9999 has no such text and becomes its last second.
pub fn to_rfc3339(moment: Duration) -> String {
    to_rfc3339_at(moment, 0)
}

/// The text of a moment on a clock that is so many minutes ahead of UTC, at
/// most a day in either direction.
pub fn to_rfc3339_at(moment: Duration, minutes: i16) -> String {
    let minutes = i64::from(minutes.clamp(-1439, 1439));
    let shifted = moment.as_secs().saturating_add_signed(60 * minutes);
    // Before 1970 there are no moments; the clock of an offset may be there.
    let before = moment.as_secs() < minutes.unsigned_abs() * 60 && minutes < 0;
    let (seconds, nanos) = match shifted {
        0..=LAST => (shifted, moment.subsec_nanos()),
        _ => (LAST, 0),
    };
    let (seconds, minutes) = if before {
        (moment.as_secs(), 0)
    } else {
        (seconds, minutes)
    };
    let (year, month, day) = date(seconds / DAY);
    let second = seconds % DAY;
    let mut text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
    if nanos > 0 {
        let fraction = format!(".{nanos:09}");
        text.push_str(fraction.trim_end_matches('0'));
    }
    if minutes == 0 {
        text.push('Z');
    } else {
        let (sign, minutes) = if minutes < 0 {
            ('-', -minutes)
        } else {
            ('+', minutes)
        };
        text.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
    }
    text
}

/// Days from the first of March of the year 0 to a day of the Gregorian
/// calendar, if there is such a day. Years begin in March here, so that the
/// day that is not always there is the last.
pub(crate) fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    Some(365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1)
}

/// Unix seconds of a moment in UTC.
pub(crate) fn unix_seconds(days: u64, hour: u64, minute: u64, second: u64) -> Option<u64> {
    let days = days.checked_sub(EPOCH)?;
    Some(days * DAY + hour * 3600 + minute * 60 + second)
}

/// Year, month and day of so many days after the Unix epoch.
fn date(days: u64) -> (u64, u64, u64) {
    const FOUR_CENTURIES: u64 = 146_097;
    let days = days + EPOCH;
    let day = days % FOUR_CENTURIES;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let year = year + days / FOUR_CENTURIES * 400 + u64::from(month >= 10);
    let day = day - (153 * month + 2) / 5 + 1;
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1970-01-01T01:00:00+01:00", 0, 0),
            ("1969-12-31T23:30:00-00:30", 0, 0),
            ("2023-11-14T22:13:20Z", 1_700_000_000, 0),
            ("2023-11-14t22:13:20z", 1_700_000_000, 0),
            ("2023-11-14 22:13:20.5Z", 1_700_000_000, 500_000_000),
            ("2023-11-15T03:58:20+05:45", 1_700_000_000, 0),
            (
                "2023-11-14T22:13:20.1234567899-00:00",
                1_700_000_000,
                123_456_789,
            ),
            ("2024-02-29T12:00:00Z", 1_709_208_000, 0),
            ("2000-02-29T00:00:00Z", 951_782_400, 0),
            ("2016-12-31T23:59:60Z", 1_483_228_800, 0),
            ("9999-12-31T23:59:59Z", LAST, 0),
        ] {
            assert_eq!(
                from_rfc3339(text),
                Ok(Duration::new(seconds, nanos)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_told() {
        for (text, problem) in [
            ("", "fixed width"),
            ("2023-11-14", "fixed width"),
            ("2023-1-14T22:13:20Z", "fixed width"),
            ("2023-11-14T22:13Z", "fixed width"),
            ("+023-11-14T22:13:20Z", "fixed width"),
            ("2023-02-29T00:00:00Z", "no such day"),
            ("1900-02-29T00:00:00Z", "no such day"),
            ("2023-13-01T00:00:00Z", "no such day"),
            ("2023-04-31T00:00:00Z", "no such day"),
            ("2023-04-00T00:00:00Z", "no such day"),
            ("2023-04-01T24:00:00Z", "no such time"),
            ("2023-04-01T00:00:00", "must end"),
            ("2023-04-01T00:00:00+0100", "must end"),
            ("2023-04-01T00:00:00+01:00 ", "must end"),
            ("2023-04-01T00:00:00+24:00", "no such offset"),
            ("2023-04-01T00:00:00.Z", "digits must follow"),
            ("1969-12-31T23:59:59Z", "before 1970"),
        ] {
            let error = from_rfc3339(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn times_are_written_and_read_back() {
        let mut seconds = 0;
        while seconds < LAST {
            let moment = Duration::new(seconds, 120_000_000);
            let text = to_rfc3339(moment);
            assert_eq!(from_rfc3339(&text), Ok(moment), "{text}");
            for minutes in [-720, -1, 1, 345, 840] {
                let text = to_rfc3339_at(moment, minutes);
                assert_eq!(from_rfc3339(&text), Ok(moment), "{text}");
            }
            // Every day of the year and every hour of the day, in the end.
            seconds += 86_400 * 173 + 3607;
        }
        let far = to_rfc3339(Duration::MAX);
        assert_eq!(far, "9999-12-31T23:59:59Z");
    }
}
