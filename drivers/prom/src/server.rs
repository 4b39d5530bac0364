//! Prometheus, and the one question it is asked.

use std::time::Duration;

use servo_driver::{
    Context, Failure,
    http::{self, Retry},
    model::Instance,
};

use crate::{
    answer::{Answer, Series, Value},
    config::{Config, Metric},
    labels,
};

/// For one attempt. Prometheus itself gives up a query after two minutes, but
/// one that takes that long disturbs what is being measured.
const PATIENCE: Duration = Duration::from_secs(30);

/// The second is for a connection that was closed meanwhile, or a server that
/// says it is busy.
const ATTEMPTS: u32 = 2;

/// Bytes of a query that still goes into the address. Servers and proxies take
/// some 8,000 bytes there, and a longer query goes as the body of a form.
const ADDRESS: usize = 4000;

/// Characters of an error text that are passed on.
const ERROR_TEXT: usize = 500;

/// A moment in milliseconds since the Unix epoch: Prometheus knows no finer.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) struct Server {
    client: http::Client,
}

impl Server {
    pub(crate) fn new(config: &Config, cx: &Context) -> Result<Self, Failure> {
        let client = cx.http().base(config.endpoint()).map_err(|error| {
            Failure::from(error)
                .context("config.prometheus_endpoint")
                .reason("invalid-config")
        })?;
        let client = config
            .headers
            .iter()
            .fold(client, |client, (name, value)| client.header(name, value))
            .header("accept", "application/json")
            .timeout(PATIENCE)
            // A query only reads, also when it is sent with POST.
            .retry(Retry::attempts(ATTEMPTS).any_method());
        Ok(Self { client })
    }

    /// The time series of a metric between two moments in milliseconds, both
    /// included, and what the server says against them.
    pub(crate) fn query(
        &self,
        name: &str,
        metric: &Metric,
        start: u64,
        end: u64,
    ) -> Result<Read, Failure> {
        let doing = || {
            let query: String = metric.query.as_str().chars().take(ERROR_TEXT).collect();
            format!("metric {name:?}, query {query:?}")
        };
        let (series, doubts) = self
            .series(metric, start, end)
            .map_err(|failure| failure.context(doing()))?;
        for doubt in &doubts {
            log::warn!("Prometheus warns of {name:?}: {doubt}");
        }
        let ids = labels::ids(series.iter().map(|series| &series.metric));
        let (mut not_finite, mut odd) = (0, 0);
        let series = ids
            .into_iter()
            .zip(series)
            .map(|(id, series)| {
                let mut points = Vec::new();
                for (time, value) in series.values.unwrap_or_default() {
                    match value {
                        Value::Number(number) => points.push((time, Some(number))),
                        Value::NotFinite => not_finite += 1,
                        Value::Odd => odd += 1,
                    }
                }
                points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
                Instance::new(id, points)
            })
            .collect();
        if not_finite > 0 {
            log::info!("{name}: points left out because they are no finite numbers: {not_finite}");
        }
        if odd > 0 {
            log::warn!("{name}: points left out because no Prometheus prints such a text: {odd}");
        }
        Ok(Read { series, doubts })
    }

    fn series(
        &self,
        metric: &Metric,
        start: u64,
        end: u64,
    ) -> Result<(Vec<Series>, Vec<String>), Failure> {
        const PATH: &str = "api/v1/query_range";
        let query = metric.query.as_str();
        let fields = [
            ("query", query.to_owned()),
            ("start", seconds(start)),
            ("end", seconds(end)),
            ("step", metric.period.seconds().to_string()),
        ];
        let request = if http::segment(query).len() > ADDRESS {
            self.client.post(PATH).form(fields)
        } else {
            let get = self.client.get(PATH);
            fields
                .iter()
                .fold(get, |get, (name, value)| get.query(name, value))
        };
        let response = request.send()?;
        let status = response.status();
        let answer = response.json::<Answer>();
        if let Ok(answer) = &answer
            && !answer.is_success()
            && (answer.error.is_some() || answer.error_type.is_some())
        {
            let parts = [&answer.error_type, &answer.error];
            let text: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
            let text: String = text.join(": ").chars().take(ERROR_TEXT).collect();
            return Err(Failure::failed(format!("status {status}, {text}")));
        }
        response.ok()?;
        let answer = answer?;
        if !answer.is_success() {
            let text = format!("the answer has the status {:?}", answer.status);
            return Err(Failure::failed(text));
        }
        let doubts = answer.doubts();
        let Some(data) = answer.data else {
            return Err(Failure::failed("the answer has no `data`"));
        };
        let series = data.result.unwrap_or_default();
        for (at, one) in series.iter().enumerate() {
            if one.histograms.as_ref().is_some_and(|all| !all.is_empty()) {
                return Err(histogram());
            }
            if one.values.is_none() && one.histograms.is_none() {
                let text = format!("at data.result[{at}]: missing field `values`");
                return Err(Failure::failed(text));
            }
        }
        Ok((series, doubts))
    }
}

/// What was read for one metric.
pub(crate) struct Read {
    pub(crate) series: Vec<Instance>,
    pub(crate) doubts: Vec<String>,
}

fn histogram() -> Failure {
    Failure::failed(
        "the query gives native histograms, and a metric is numbers: put a function around it \
         that makes numbers of them, such as histogram_quantile(0.95, …), histogram_avg(…), \
         histogram_sum(…) or histogram_count(…)",
    )
    .reason("invalid-input")
}

/// Milliseconds as a decimal fraction of seconds.
pub(crate) fn seconds(millis: u64) -> String {
    match (millis / 1000, millis % 1000) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{rest:03}"),
    }
}
