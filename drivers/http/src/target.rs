//! The application as the configuration describes it, and every exchange with
//! it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use servo_driver::{
    Context, Failure,
    http::{self, Method, Retry},
    model::{self, Scalar, SettingValue},
};

use crate::{
    config::{Config, Kind, Ready, Setting, WriteForm, WriteMethod},
    document::{Member, same},
    in_force,
};

/// The longest time of one exchange.
const PATIENCE: Duration = Duration::from_secs(10);

/// Statuses that say something of the request or the server's state and
/// nothing of the values: another point would fare no better.
const NOT_THE_VALUES: [u16; 7] = [401, 403, 404, 405, 407, 408, 429];

/// A setting whose definition has been checked.
#[derive(Debug)]
pub(crate) struct Known {
    name: String,
    path: String,
    domain: Domain,
    unit: Option<String>,
    default: Option<Scalar>,
    pinned: bool,
}

#[derive(Debug)]
enum Domain {
    Range {
        min: f64,
        max: f64,
        step: Option<f64>,
    },
    Choice(Vec<Scalar>),
}

/// The application.
pub(crate) struct Target<'a> {
    client: http::Client,
    config: &'a Config,
    settings: BTreeMap<&'a str, Known>,
    timeout: Duration,
    interval: Duration,
    settle: Duration,
}

impl<'a> Target<'a> {
    /// Checks the configuration.
    pub(crate) fn new(config: &'a Config, cx: &Context) -> Result<Self, Failure> {
        let Ready {
            timeout, interval, ..
        } = config.ready;
        if config.ready.equals.is_some() != config.ready.path.is_some() {
            return Err(invalid("ready", "`path` and `equals` belong together"));
        }
        let settings = config
            .settings
            .iter()
            .map(|(name, setting)| Ok((name.as_str(), Known::new(name, setting)?)))
            .collect::<Result<_, Failure>>()?;
        let mut client = cx
            .http()
            .timeout(PATIENCE)
            .header("accept", "application/json");
        for (name, value) in &config.headers {
            client = client.header(name, value);
        }
        Ok(Self {
            client,
            config,
            settings,
            timeout: seconds("ready.timeout", timeout, 0.0)?,
            interval: seconds("ready.interval", interval, 0.1)?,
            settle: seconds("settle", config.settle, 0.0)?,
        })
    }

    pub(crate) fn component(&self) -> &str {
        &self.config.component
    }

    pub(crate) fn settings(&self) -> impl Iterator<Item = &Known> {
        self.settings.values()
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    pub(crate) fn settle(&self) -> Duration {
        self.settle
    }

    /// What the requested settings are in the document.
    pub(crate) fn wanted(&self, requested: &[SettingValue]) -> Result<Vec<Member>, Failure> {
        requested
            .iter()
            .map(|one| {
                let known = self.settings.get(one.setting.as_str());
                let Some(known) = known.filter(|_| one.component == self.config.component) else {
                    let text = format!("there is no setting {}/{}", one.component, one.setting);
                    return Err(Failure::rejected(text).reason("invalid-setting"));
                };
                known.member(&one.value)
            })
            .collect()
    }

    /// The document.
    pub(crate) fn read(&self) -> Result<Value, Failure> {
        Ok(self.client.get_json(&self.config.endpoint)?)
    }

    /// Writes members into the document. Writing the same values twice does
    /// the same as once, so it is repeated with any method.
    pub(crate) fn write(&self, document: &Value, members: &[Member]) -> Result<(), Failure> {
        let method = match self.config.method {
            WriteMethod::Put => Method::Put,
            WriteMethod::Post => Method::Post,
            WriteMethod::Patch => Method::Patch,
        };
        let changed = method == Method::Patch;
        let form = if changed {
            WriteForm::Changed
        } else {
            WriteForm::Whole
        };
        let mut body = document.clone();
        let mut members = members.to_vec();
        if self.config.write.unwrap_or(form) == WriteForm::Changed {
            body = Value::Object(serde_json::Map::new());
            // What shall not be there has to be said too.
            for member in &mut members {
                member.value.get_or_insert(Value::Null);
            }
        }
        for member in &members {
            member.put(&mut body);
        }
        let request = self.client.request(method, &self.config.endpoint);
        let retry = Retry::default().any_method();
        match request.json(&body).retry(retry).fetch() {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.status() {
                Some(status @ 400..500) if !NOT_THE_VALUES.contains(&status) => {
                    Failure::rejected(error.to_string()).reason("invalid-setting")
                }
                _ => Failure::from(error),
            }),
        }
    }

    /// Whether these members are in force and the application is ready: the
    /// settings in force, or why not. Only what waiting cannot mend is an
    /// error.
    pub(crate) fn look(
        &self,
        wanted: &[Member],
    ) -> Result<Result<Vec<SettingValue>, String>, Failure> {
        let document: Value = match self.ask(&self.config.endpoint)? {
            Ok(answer) => match answer.ok().and_then(|answer| answer.json()) {
                Ok(document) => document,
                Err(error) => return Ok(Err(error.to_string())),
            },
            Err(why) => return Ok(Err(why)),
        };
        if let Some(member) = wanted.iter().find(|member| !member.holds(&document)) {
            let found = document.pointer(&member.path).unwrap_or(&Value::Null);
            let asked = member.value.as_ref().unwrap_or(&Value::Null);
            let path = &member.path;
            return Ok(Err(format!("{path} still reads {found}, not {asked}")));
        }
        if let Some(why) = self.not_ready()? {
            return Ok(Err(why));
        }
        Ok(Ok(in_force(self, &document)))
    }

    fn not_ready(&self) -> Result<Option<String>, Failure> {
        let ready = &self.config.ready;
        let Some(url) = &ready.url else {
            return Ok(None);
        };
        let answer = match self.ask(url)? {
            Ok(answer) => answer,
            Err(why) => return Ok(Some(why)),
        };
        let status = answer.status();
        if !ready
            .status
            .map_or(answer.is_success(), |wanted| wanted == status)
        {
            return Ok(Some(format!("{url} answers with status {status}")));
        }
        let (Some(path), Some(equals)) = (&ready.path, &ready.equals) else {
            return Ok(None);
        };
        let document: Value = match answer.json() {
            Ok(document) => document,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let found = document.pointer(path).unwrap_or(&Value::Null);
        if same(found, equals, None) {
            return Ok(None);
        }
        Ok(Some(format!("{path} of {url} is {found}, not {equals}")))
    }

    /// Asks once; the next step will ask again. Connections fail while an
    /// application restarts, and that is no reason to give up.
    fn ask(&self, url: &str) -> Result<Result<http::Response, String>, Failure> {
        match self.client.get(url).retry(Retry::none()).send() {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) if error.is_connection() => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }
}

impl Known {
    fn new(name: &str, setting: &Setting) -> Result<Self, Failure> {
        let key = format!("settings.{name}");
        let path = match &setting.path {
            Some(path) if path.starts_with('/') => path.clone(),
            Some(_) => return Err(invalid(&key, "`path` must begin with `/`")),
            None => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        };
        let domain = match (setting.kind, setting.min, setting.max, &setting.values) {
            (Kind::Range, Some(min), Some(max), None) if min <= max => {
                if setting.step.is_some_and(|step| step <= 0.0) {
                    return Err(invalid(&key, "`step` must be above zero"));
                }
                Domain::Range {
                    min,
                    max,
                    step: setting.step,
                }
            }
            (Kind::Range, ..) => {
                return Err(invalid(
                    &key,
                    "a range needs `min` and `max`, min not above max, and no `values`",
                ));
            }
            (Kind::Enum, None, None, Some(values)) if !values.is_empty() => {
                Domain::Choice(values.clone())
            }
            (Kind::Enum, ..) => {
                return Err(invalid(
                    &key,
                    "an enum needs `values`, at least one, and neither `min` nor `max`",
                ));
            }
        };
        Ok(Self {
            name: name.to_owned(),
            path,
            domain,
            unit: setting.unit.clone(),
            default: setting.default.clone(),
            pinned: setting.pinned,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn describe(&self, document: &Value) -> model::Setting {
        let mut setting = match &self.domain {
            Domain::Range { min, max, step } => {
                let range = model::Setting::range(&self.name, *min, *max);
                step.map_or(range.clone(), |step| range.step(step))
            }
            Domain::Choice(values) => model::Setting::choice(&self.name, values.iter().cloned()),
        };
        setting.unit.clone_from(&self.unit);
        setting.default.clone_from(&self.default);
        setting.pinned = self.pinned;
        match self.value(document) {
            Some(value) => setting.value(value),
            None => setting,
        }
    }

    /// The present value; nothing, and a warning, when it is missing or is not
    /// one the setting can have.
    pub(crate) fn value(&self, document: &Value) -> Option<Scalar> {
        let found = document.pointer(&self.path);
        let value = found
            .and_then(Scalar::from_json)
            .map(|value| self.as_written(value))
            .filter(|value| self.takes(value));
        if value.is_none() {
            let found = found.map_or("missing".to_owned(), Value::to_string);
            log::warn!(
                "{}: the value at {} is unknown: {found}",
                self.name,
                self.path
            );
        }
        value
    }

    /// What was written, where the application keeps numbers as 32-bit floats:
    /// `0.4` for `0.4000000059604645`, which lies above a `max` of 0.4 and is a
    /// value that nobody asked for.
    #[allow(clippy::cast_possible_truncation)]
    fn as_written(&self, value: Scalar) -> Scalar {
        match (&self.domain, value) {
            (Domain::Range { .. }, Scalar::Number(number))
                if number.fract() != 0.0 && f64::from(number as f32) == number =>
            {
                let short = (number as f32).to_string().parse();
                Scalar::Number(short.unwrap_or(number))
            }
            (_, value) => value,
        }
    }

    fn takes(&self, value: &Scalar) -> bool {
        match &self.domain {
            Domain::Range { min, max, .. } => value
                .as_f64()
                .is_some_and(|value| (*min..=*max).contains(&value)),
            Domain::Choice(values) => values.iter().any(|one| one.same(value)),
        }
    }

    fn member(&self, value: &Scalar) -> Result<Member, Failure> {
        if self.pinned || !self.takes(value) {
            let why = if self.pinned {
                "is pinned"
            } else {
                "cannot have the value"
            };
            let text = format!("the setting {} {why}: {value}", self.name);
            return Err(Failure::rejected(text).reason("invalid-setting"));
        }
        Ok(Member {
            path: self.path.clone(),
            value: Some(self.to_json(value)),
            steps: match self.domain {
                Domain::Range { min, step, .. } => step.map(|step| (min, step)),
                Domain::Choice(_) => None,
            },
        })
    }

    /// A choice is written as the configuration has it. A number of a range of
    /// whole numbers is written whole however it was sent, since many readers
    /// refuse `3.0` where they want `3`.
    #[allow(clippy::cast_possible_truncation)]
    fn to_json(&self, value: &Scalar) -> Value {
        match (&self.domain, value) {
            (Domain::Choice(values), _) => values
                .iter()
                .find(|one| one.same(value))
                .unwrap_or(value)
                .to_json(),
            (
                Domain::Range {
                    min,
                    step: Some(step),
                    ..
                },
                Scalar::Number(number),
            ) if [*min, *step, *number]
                .iter()
                .all(|n| n.fract() == 0.0 && n.abs() < 9e15) =>
            {
                (*number as i64).into()
            }
            _ => value.to_json(),
        }
    }
}

fn seconds(key: &str, value: f64, least: f64) -> Result<Duration, Failure> {
    match Duration::try_from_secs_f64(value) {
        Ok(duration) if value >= least && value <= 604_800.0 => Ok(duration),
        _ => Err(invalid(
            key,
            &format!("must be {least} to 604800 seconds, not {value}"),
        )),
    }
}

fn invalid(key: &str, problem: &str) -> Failure {
    Failure::failed(format!("config.{key}: {problem}")).reason("invalid-config")
}
