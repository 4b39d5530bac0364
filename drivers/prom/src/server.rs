//! Prometheus, and the one question it is asked.

use std::time::Duration;

use servo_driver::{
    Context, Failure,
    http::{self, Retry, Timeouts},
    model::Instance,
};

use crate::{
    answer::{Answer, Series},
    config::{Config, Metric},
    labels,
};

/// For one attempt. Prometheus itself gives up a query after two minutes, but
/// one that takes that long disturbs what is being measured.
const PATIENCE: Duration = Duration::from_secs(30);

/// The second is for a connection that was closed meanwhile, or a server that
/// says it is busy.
const ATTEMPTS: u32 = 2;

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
        let client = client
            .header("accept", "application/json")
            .timeouts(Timeouts {
                total: Some(PATIENCE),
                ..Timeouts::default()
            })
            .retry(Retry::attempts(ATTEMPTS));
        Ok(Self { client })
    }

    /// The time series of a metric between two moments in milliseconds, both
    /// included.
    pub(crate) fn query(
        &self,
        name: &str,
        metric: &Metric,
        start: u64,
        end: u64,
    ) -> Result<Vec<Instance>, Failure> {
        let doing = || {
            let query = metric.query.as_str();
            format!("metric {name:?}, query {query:?}")
        };
        let series = self
            .series(metric, start, end)
            .map_err(|failure| failure.context(doing()))?;
        let ids = labels::ids(series.iter().map(|series| &series.metric));
        let mut dropped = 0;
        let instances: Vec<_> = ids
            .into_iter()
            .zip(series)
            .map(|(id, series)| {
                let all = series.values.len();
                let instance = instance(id, series);
                dropped += all - instance.points.len();
                instance
            })
            .collect();
        if dropped > 0 {
            log::info!("{name}: points left out because they are no finite numbers: {dropped}");
        }
        Ok(instances)
    }

    fn series(&self, metric: &Metric, start: u64, end: u64) -> Result<Vec<Series>, Failure> {
        let response = self
            .client
            .get("api/v1/query_range")
            .query("query", metric.query.as_str())
            .query("start", seconds(start))
            .query("end", seconds(end))
            .query("step", metric.period.seconds())
            .send()?;
        let status = response.status();
        let answer = response.json::<Answer>();
        if let Ok(answer) = &answer
            && (answer.error.is_some() || answer.error_type.is_some())
        {
            let parts = [&answer.error_type, &answer.error];
            let text: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
            let text: String = text.join(": ").chars().take(ERROR_TEXT).collect();
            return Err(Failure::failed(format!("status {status}, {text}")));
        }
        response.ok()?;
        let answer = answer?;
        for warning in &answer.warnings {
            log::warn!("Prometheus warns of {:?}: {warning}", metric.query.as_str());
        }
        match answer.data {
            Some(data) if answer.status == "success" => Ok(data.result),
            Some(_) => {
                let text = format!("the answer has the status {:?}", answer.status);
                Err(Failure::failed(text))
            }
            None => Err(Failure::failed("the answer has no `data`")),
        }
    }
}

/// Milliseconds as a decimal fraction of seconds.
pub(crate) fn seconds(millis: u64) -> String {
    match (millis / 1000, millis % 1000) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{rest:03}"),
    }
}

fn instance(id: String, series: Series) -> Instance {
    let mut points: Vec<_> = series
        .values
        .into_iter()
        .filter_map(|(time, value)| Some((time, Some(value.0?))))
        .collect();
    points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    Instance::new(id, points)
}
