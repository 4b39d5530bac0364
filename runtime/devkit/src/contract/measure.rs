//! What is asked of a driver that measures.

use servo_protocol::{Measurement, Metrics, Number, Reading, Scalar, check};

use super::run::Runner;
use super::{Done, Fault, Request, Subject};

impl<S: Subject + ?Sized> Runner<'_, S> {
    pub(super) async fn measure(&mut self, described: &Metrics) {
        match self.measured(None).await {
            Err(fault) => self.fail("measure", fault.to_string()),
            Ok(measurement) => match self.judge(&measurement, described) {
                Err(breach) => self.fail("measure", breach),
                Ok(odd) if odd.is_empty() => self.pass("measure"),
                Ok(odd) => self.warn("measure", odd.join("; ")),
            },
        }
        let Some((first, _)) = described.first() else {
            return self.skip("measure-some", "no metric is described");
        };
        match self.measured(Some(vec![first.clone()])).await {
            Err(fault) => self.fail("measure-some", fault.to_string()),
            Ok(some) if some.metrics.contains_key(first) => self.pass("measure-some"),
            Ok(_) => {
                let detail = format!("`{first}` alone was asked for and is not in the answer");
                self.fail("measure-some", detail);
            }
        }
    }

    async fn measured(&mut self, metrics: Option<Vec<String>>) -> Result<Measurement, Fault> {
        let request = Request::Measure(self.measure_param(metrics));
        match self.call(&request).await? {
            Done::Measured(measurement) => Ok(measurement),
            Done::Adjusted(_) => Err(Fault::Broken("it adjusted instead".to_owned())),
        }
    }

    /// The first breach of the contract, or what is only odd.
    fn judge(&self, got: &Measurement, described: &Metrics) -> Result<Vec<String>, String> {
        check::check_measurement(got, None, &self.plan.control).map_err(|f| f.to_string())?;
        if let Some(name) = got
            .metrics
            .keys()
            .find(|name| !described.contains_key(*name))
        {
            return Err(format!("`{name}` was measured and never described"));
        }
        let mut odd = Vec::new();
        for (name, metric) in described {
            let Some(sample) = got.metrics.get(name) else {
                odd.push(format!("`{name}` was described and not measured"));
                continue;
            };
            let numbers = numbers(&sample.reading);
            if numbers.is_empty() {
                odd.push(format!("`{name}` has no value"));
            }
            let below = |n: &Number| metric.min.is_some_and(|min| n.as_f64() < min.as_f64());
            let above = |n: &Number| metric.max.is_some_and(|max| n.as_f64() > max.as_f64());
            if let Some(number) = numbers.iter().flatten().find(|n| below(n) || above(n)) {
                odd.push(format!("`{name}` is {number}, outside what was described"));
            }
        }
        Ok(odd)
    }
}

/// Every value of a reading; text counts as a value without a number.
fn numbers(reading: &Reading) -> Vec<Option<Number>> {
    match reading {
        Reading::Single(None) => Vec::new(),
        Reading::Single(Some(value)) => vec![Scalar::as_number(value)],
        Reading::Series(instances) => instances
            .iter()
            .flat_map(|instance| &instance.points)
            .filter_map(|point| point.value.map(Some))
            .collect(),
    }
}
