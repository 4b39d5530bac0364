//! The words of the contract, with constructors.
//!
//! The records and variants are the ones generated from the contract's text,
//! so what rustdoc shows here is what the contract says. What is added are
//! constructors that read well, because a driver's `describe` should look like
//! the thing it describes.

mod scalar;

pub use crate::bindings::servo::driver::model::{
    Application, Component, EnumSetting, Instance, Metric, Note, Point, RangeSetting, Reading,
    Sample, Scalar, Setting, SettingKind, SettingValue,
};

impl Application {
    /// An application of these components.
    pub fn new(components: impl IntoIterator<Item = Component>) -> Self {
        Self {
            components: components.into_iter().collect(),
        }
    }
}

impl Component {
    /// A component without settings; the name must be unique within the
    /// application.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            settings: Vec::new(),
        }
    }

    /// Adds a setting.
    #[must_use]
    pub fn setting(mut self, setting: Setting) -> Self {
        self.settings.push(setting);
        self
    }
}

impl Setting {
    fn new(name: String, kind: SettingKind) -> Self {
        Self {
            name,
            kind,
            unit: None,
            default: None,
            pinned: false,
        }
    }

    /// A number from `min` to `max`, both included, with any value between
    /// until a [`step`](Self::step) is given.
    pub fn range(name: impl Into<String>, min: f64, max: f64) -> Self {
        Self::new(
            name.into(),
            SettingKind::Range(RangeSetting {
                min,
                max,
                step: None,
                value: None,
            }),
        )
    }

    /// One of a list of values.
    pub fn choice<V: Into<Scalar>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self::new(
            name.into(),
            SettingKind::Choice(EnumSetting {
                values,
                value: None,
            }),
        )
    }

    /// Sets the distance between two neighbouring values. A choice has none
    /// and stays as it is.
    #[must_use]
    pub fn step(mut self, step: f64) -> Self {
        if let SettingKind::Range(range) = &mut self.kind {
            range.step = Some(step);
        }
        self
    }

    /// Sets what is in force now. A range takes numbers only: text leaves its
    /// value unknown.
    #[must_use]
    pub fn value(mut self, value: impl Into<Scalar>) -> Self {
        let value = value.into();
        match &mut self.kind {
            SettingKind::Range(range) => range.value = value.as_f64(),
            SettingKind::Choice(choice) => choice.value = Some(value),
        }
        self
    }

    /// Sets the unit for display, for example `cores`.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// Sets the value that is assumed when the application has none.
    #[must_use]
    pub fn default(mut self, value: impl Into<Scalar>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Lets the service know the setting but not change it.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }
}

impl SettingValue {
    /// A value for one setting of one component.
    pub fn new(
        component: impl Into<String>,
        setting: impl Into<String>,
        value: impl Into<Scalar>,
    ) -> Self {
        Self {
            component: component.into(),
            setting: setting.into(),
            value: value.into(),
        }
    }
}

impl Metric {
    /// A metric without unit; the name must be unique within the driver.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            unit: None,
            annotation: None,
            min: None,
            max: None,
        }
    }

    /// Sets the unit for display, for example `ms`.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// Sets a note for people, usually where the figure comes from.
    #[must_use]
    pub fn annotation(mut self, text: impl Into<String>) -> Self {
        self.annotation = Some(text.into());
        self
    }

    /// Sets the smallest value it can have.
    #[must_use]
    pub fn min(mut self, min: f64) -> Self {
        self.min = Some(min);
        self
    }

    /// Sets the largest value it can have.
    #[must_use]
    pub fn max(mut self, max: f64) -> Self {
        self.max = Some(max);
        self
    }
}

impl Sample {
    /// One value for the whole measurement.
    pub fn single(metric: impl Into<String>, value: impl Into<Scalar>) -> Self {
        Self::new(metric, Reading::Single(Some(value.into())))
    }

    /// The metric was asked for and there is no value.
    pub fn nothing(metric: impl Into<String>) -> Self {
        Self::new(metric, Reading::Single(None))
    }

    /// One time series for each instance. They are sorted by id, as the
    /// contract wants them.
    pub fn series(
        metric: impl Into<String>,
        instances: impl IntoIterator<Item = Instance>,
    ) -> Self {
        let mut instances: Vec<_> = instances.into_iter().collect();
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        Self::new(metric, Reading::Series(instances))
    }

    fn new(metric: impl Into<String>, reading: Reading) -> Self {
        Self {
            metric: metric.into(),
            reading,
            unit: None,
            annotation: None,
        }
    }

    /// Sets the unit.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// Sets a note for people, usually the query.
    #[must_use]
    pub fn annotation(mut self, text: impl Into<String>) -> Self {
        self.annotation = Some(text.into());
        self
    }
}

impl Instance {
    /// The points of one instance, as pairs of Unix seconds and value.
    pub fn new(
        id: impl Into<String>,
        points: impl IntoIterator<Item = (f64, Option<f64>)>,
    ) -> Self {
        let points = points
            .into_iter()
            .map(|(time, value)| Point { time, value })
            .collect();
        Self {
            id: id.into(),
            points,
        }
    }
}

/// What a measure driver found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measurement {
    /// One for each metric.
    pub samples: Vec<Sample>,
    /// Notes for people. The service receives them, so never a secret.
    pub notes: Vec<Note>,
}

impl Measurement {
    /// A measurement of these samples.
    pub fn new(samples: impl IntoIterator<Item = Sample>) -> Self {
        Self {
            samples: samples.into_iter().collect(),
            notes: Vec::new(),
        }
    }

    /// Adds a note for people; the name must be unique within the measurement.
    #[must_use]
    pub fn note(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.notes.push(Note {
            name: name.into(),
            text: text.into(),
        });
        self
    }

    /// The sample of a metric, if there is one.
    pub fn sample(&self, metric: &str) -> Option<&Sample> {
        self.samples.iter().find(|sample| sample.metric == metric)
    }

    /// The single value of a metric, if it has one.
    pub fn value(&self, metric: &str) -> Option<&Scalar> {
        match &self.sample(metric)?.reading {
            Reading::Single(value) => value.as_ref(),
            Reading::Series(_) => None,
        }
    }
}

/// What an adjust driver changed: the settings now in force, where the driver
/// can tell. Empty means those that were requested.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adjustment {
    /// The settings in force.
    pub settings: Vec<SettingValue>,
}

impl Adjustment {
    /// What was requested is in force.
    pub fn as_requested() -> Self {
        Self::default()
    }

    /// These settings are in force, as read back from the application.
    pub fn in_force(settings: impl IntoIterator<Item = SettingValue>) -> Self {
        Self {
            settings: settings.into_iter().collect(),
        }
    }
}
