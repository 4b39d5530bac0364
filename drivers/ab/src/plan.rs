//! What is to be done, put together from the service's request, the operator's
//! configuration and the defaults of the original driver, in that order.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use servo_driver::{Control, Failure, http};

/// The driver's configuration section. Everything is optional, and what the
/// service sends in `load` wins.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address to load.
    pub test_url: Option<String>,
    /// Headers to send, each `Name: value`.
    pub headers: Option<Vec<String>>,
    /// Requests in flight.
    pub n_threads: Option<Amount>,
    /// Most requests of the warm-up, and of the measured window.
    pub n_requests: Option<Amount>,
    /// Length of the measured window in seconds; 0: as long as the requests take.
    pub t_limit: Option<Amount>,
    /// Length of the warm-up in seconds; 0: none.
    pub t_warmup: Option<Amount>,
    /// User for basic authentication.
    pub user: Option<String>,
    /// Password for basic authentication.
    pub password: Option<String>,
    /// Keeps connections for more than one request (`ab -k`).
    pub keep_alive: bool,
    /// What is sent.
    pub method: LoadMethod,
    /// Longest time one request may take, in seconds; 30 if nothing is said.
    pub timeout: Option<Amount>,
}

/// The service's `load`: the members the original driver knows. Others are
/// left alone, as it did.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Params {
    /// See [`Config::test_url`].
    pub test_url: Option<String>,
    /// See [`Config::headers`].
    pub headers: Option<Vec<String>>,
    /// See [`Config::n_threads`].
    pub n_threads: Option<Amount>,
    /// See [`Config::n_requests`].
    pub n_requests: Option<Amount>,
    /// See [`Config::t_limit`].
    pub t_limit: Option<Amount>,
    /// See [`Config::t_warmup`].
    pub t_warmup: Option<Amount>,
    /// See [`Config::user`].
    pub user: Option<String>,
    /// See [`Config::password`].
    pub password: Option<String>,
}

/// What is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LoadMethod {
    /// The whole resource.
    #[default]
    Get,
    /// Its headers (`ab -i`).
    Head,
}

/// A number, or a text that holds one: services send both.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Amount(pub f64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of zero or more")
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Amount, E> {
                if number.is_finite() && number >= 0.0 {
                    return Ok(Amount(number));
                }
                Err(E::invalid_value(de::Unexpected::Float(number), &self))
            }

            #[allow(clippy::cast_precision_loss)]
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Amount, E> {
                self.visit_f64(number as f64)
            }

            #[allow(clippy::cast_precision_loss)]
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Amount, E> {
                self.visit_f64(number as f64)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                match text.trim().parse() {
                    Ok(number) => self.visit_f64(number),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// One of the two parts of a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Phase {
    /// Its length; without one it lasts until its requests are answered.
    pub(crate) limit: Option<Duration>,
    /// The percentage of the whole at its beginning, and its share of it.
    pub(crate) offset: f64,
    pub(crate) share: f64,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) url: String,
    pub(crate) method: LoadMethod,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) keep_alive: bool,
    pub(crate) threads: usize,
    pub(crate) requests: u64,
    pub(crate) t_limit: f64,
    pub(crate) t_warmup: f64,
    pub(crate) timeout: Duration,
}

/// The longest that can be asked for: a week.
const LONGEST: f64 = 604_800.0;

impl Plan {
    pub(crate) fn new(config: &Config, control: &Control) -> Result<Self, Failure> {
        let load: Params = control.load()?.unwrap_or_default();
        let url = load
            .test_url
            .or_else(|| config.test_url.clone())
            .filter(|url| !url.is_empty())
            .ok_or_else(|| invalid("test_url", "is missing in both `load` and the config"))?;
        let headers = load
            .headers
            .or_else(|| config.headers.clone())
            .unwrap_or_default();
        let user = load
            .user
            .or_else(|| config.user.clone())
            .unwrap_or_default();
        let password = load
            .password
            .or_else(|| config.password.clone())
            .unwrap_or_default();
        let credentials = !(user.is_empty() && password.is_empty());
        let asked = |time: Option<Duration>| time.map(|time| Amount(time.as_secs_f64()));
        let pick = |name, given: Option<Amount>, ours, otherwise, range: (f64, f64)| {
            let Amount(value) = given.or(ours).unwrap_or(Amount(otherwise));
            if value < range.0 || value > range.1 {
                let text = format!("must be {} to {}, not {value}", range.0, range.1);
                return Err(invalid(name, &text));
            }
            Ok(value)
        };
        let t_limit = config.t_limit.or(asked(control.duration));
        let t_warmup = config.t_warmup.or(asked(control.warmup));
        let threads = pick(
            "n_threads",
            load.n_threads,
            config.n_threads,
            10.0,
            (1.0, 4096.0),
        )?;
        let requests = pick(
            "n_requests",
            load.n_requests,
            config.n_requests,
            1e7,
            (1.0, 1e12),
        )?;
        let timeout = pick("timeout", None, config.timeout, 30.0, (1.0, LONGEST))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Self {
            url,
            method: config.method,
            headers: headers
                .iter()
                .enumerate()
                .map(|(at, header)| parse_header(at, header))
                .collect::<Result<_, _>>()?,
            credentials: credentials.then_some((user, password)),
            keep_alive: config.keep_alive,
            threads: threads as usize,
            requests: requests as u64,
            t_limit: pick("t_limit", load.t_limit, t_limit, 180.0, (0.0, LONGEST))?,
            t_warmup: pick("t_warmup", load.t_warmup, t_warmup, 30.0, (0.0, LONGEST))?,
            timeout: Duration::from_secs_f64(timeout),
        })
    }

    /// The warm-up, if there is one.
    pub(crate) fn warmup(&self) -> Option<Phase> {
        (self.t_warmup > 0.0).then(|| Phase {
            limit: Some(Duration::from_secs_f64(self.t_warmup)),
            offset: 0.0,
            share: self.warmup_share(),
        })
    }

    /// The measured window.
    pub(crate) fn measured(&self) -> Phase {
        let share = self.warmup_share();
        Phase {
            limit: (self.t_limit > 0.0).then(|| Duration::from_secs_f64(self.t_limit)),
            offset: 100.0 * share,
            share: 1.0 - share,
        }
    }

    /// A window without time limit is taken for three times the warm-up.
    fn warmup_share(&self) -> f64 {
        if self.t_warmup == 0.0 {
            0.0
        } else if self.t_limit == 0.0 {
            0.25
        } else {
            self.t_warmup / (self.t_warmup + self.t_limit)
        }
    }

    /// The request, ready to be sent.
    pub(crate) fn request(&self, client: &http::Client) -> http::Request {
        let mut request = match self.method {
            LoadMethod::Get => client.get(&self.url),
            LoadMethod::Head => client.head(&self.url),
        };
        request = request
            .header("accept", "*/*")
            .header("user-agent", USER_AGENT);
        if !self.keep_alive {
            request = request.header("connection", "close");
        }
        if let Some((user, password)) = &self.credentials {
            request = request.header("authorization", &http::basic_credentials(user, password));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.timeout(self.timeout)
    }

    /// The command line `ab` would be given, without what is secret: values of
    /// headers that may carry credentials, of the query, and `-A`.
    pub(crate) fn command(&self) -> String {
        let mut words = vec!["ab -l".to_owned()];
        if self.keep_alive {
            words.push("-k".to_owned());
        }
        if self.method == LoadMethod::Head {
            words.push("-i".to_owned());
        }
        words.push(format!("-c {}", self.threads));
        if self.t_limit > 0.0 {
            words.push(format!("-t {}", self.t_limit));
        }
        words.push(format!("-n {}", self.requests));
        for (name, value) in &self.headers {
            words.push(format!("-H {name}: {}", shown(name, value)));
        }
        if self.credentials.is_some() {
            words.push(format!("-A {HIDDEN}"));
        }
        words.push(without_query_values(&self.url));
        words.join(" ")
    }
}

const USER_AGENT: &str = concat!("servo-driver-ab/", env!("CARGO_PKG_VERSION"));
const HIDDEN: &str = "***";

/// Headers that carry no credentials. All others may.
const HARMLESS: [&str; 8] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-type",
    "user-agent",
];

fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if HARMLESS
        .iter()
        .any(|harmless| name.eq_ignore_ascii_case(harmless))
    {
        value
    } else {
        HIDDEN
    }
}

fn without_query_values(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let hidden: Vec<_> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}={HIDDEN}"),
            None => HIDDEN.to_owned(),
        })
        .collect();
    format!("{path}?{}", hidden.join("&"))
}

fn parse_header(at: usize, header: &str) -> Result<(String, String), Failure> {
    match header.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(invalid(
            &format!("headers[{at}]"),
            "must have the form `Name: value`",
        )),
    }
}

fn invalid(name: &str, problem: &str) -> Failure {
    Failure::failed(format!("`{name}` {problem}")).reason("invalid-input")
}
