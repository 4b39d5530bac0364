//! Whatever can be said survives being written and read.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use servo_protocol::{
    AdjustParam, Annotation, Application, AppliedApplication, Command, CommandBody, Component,
    Control, DescribeParam, Descriptor, Event, Failure, Goodbye, Hello, Instance, MeasureParam,
    Measurement, Members, Metric, MetricsDescriptor, Named, Number, Operation, Optimization, Point,
    Progress, Reading, Report, Sample, Scalar, Seconds, Setting, SettingKind, SleepParam, State,
    Status, Success, parse_duration_text,
};

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::Integer),
        prop::num::f64::NORMAL.prop_map(Number::Float),
    ]
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        number().prop_map(Scalar::Number),
        text().prop_map(Scalar::Text)
    ]
}

/// Members that no type knows.
fn extra() -> impl Strategy<Value = Members> {
    vec(("x-[a-z]{1,4}", number()), 0..3).prop_map(|members| {
        members
            .into_iter()
            .map(|(name, value)| (name, serde_json::to_value(value).unwrap()))
            .collect()
    })
}

fn named<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Named<T>> {
    vec((text(), value), 0..4).prop_map(|entries| entries.into_iter().collect())
}

fn setting() -> impl Strategy<Value = Setting> {
    let range =
        (number(), number(), of(number()), of(number())).prop_map(|(min, max, step, value)| {
            SettingKind::Range {
                min,
                max,
                step,
                value,
            }
        });
    let choice = (vec(scalar(), 0..4), of(scalar()))
        .prop_map(|(values, value)| SettingKind::Enum { values, value });
    let kind = prop_oneof![range, choice];
    (kind, of(text()), of(scalar()), any::<bool>(), extra()).prop_map(
        |(kind, unit, default, pinned, extra)| Setting {
            kind,
            unit,
            default,
            pinned,
            extra,
        },
    )
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    let component =
        (named(setting()), extra()).prop_map(|(settings, extra)| Component { settings, extra });
    let metric = (of(text()), of(text()), of(number()), of(number()), extra()).prop_map(
        |(unit, annotation, min, max, extra)| Metric {
            unit,
            annotation,
            min,
            max,
            extra,
        },
    );
    (named(component), named(metric), of(text()), extra()).prop_map(
        |(components, metrics, perf, extra)| Descriptor {
            application: Application {
                components,
                extra: Members::new(),
            },
            measurement: MetricsDescriptor {
                metrics,
                extra: Members::new(),
            },
            optimization: perf.map(|perf| Optimization {
                perf: Some(perf),
                extra: Members::new(),
            }),
            extra,
        },
    )
}

fn measurement() -> impl Strategy<Value = Measurement> {
    let point = (number(), of(number())).prop_map(|(time, value)| Point { time, value });
    let instance = (text(), vec(point, 0..4)).prop_map(|(id, points)| Instance { id, points });
    let reading = prop_oneof![
        of(scalar()).prop_map(Reading::Single),
        vec(instance, 0..4).prop_map(Reading::Series),
    ];
    let sample = (reading, of(text()), of(text()), extra()).prop_map(
        |(reading, unit, annotation, extra)| Sample {
            reading,
            unit,
            annotation,
            extra,
        },
    );
    let annotation = prop_oneof![
        text().prop_map(Annotation::Text),
        vec(text(), 0..3).prop_map(Annotation::List),
    ];
    (named(sample), named(annotation)).prop_map(|(metrics, annotations)| Measurement {
        metrics,
        annotations,
    })
}

fn state() -> impl Strategy<Value = State> {
    vec((text(), text(), scalar()), 0..5)
        .prop_map(|values| State::from(AppliedApplication::from_values(values)))
}

fn failure() -> impl Strategy<Value = Failure> {
    let status = prop_oneof![
        Just("failed".to_owned()),
        Just("environment-mismatch".to_owned()),
        "[a-z]{3,9}"
    ]
    .prop_map(|word| match Status::from(word.as_str()) {
        Status::Ok => Status::Failed,
        other => other,
    });
    (status, of("[a-z-]{1,9}"), of(text())).prop_map(|(status, reason, message)| Failure {
        status,
        reason: reason.map(|reason| reason.as_str().into()),
        message,
        state: None,
    })
}

fn report<T: std::fmt::Debug + Clone + 'static>(
    payload: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Report<T>> {
    let outcome = prop_oneof![payload.prop_map(Ok), failure().prop_map(Err)];
    (outcome, of("[a-z0-9-]{1,8}")).prop_map(|(outcome, cmd_uid)| Report { outcome, cmd_uid })
}

fn progress() -> impl Strategy<Value = Event> {
    let operation = prop_oneof![Just(Operation::Measure), Just(Operation::Adjust)];
    let numbers = (of(number()), of(number()), of(number()), of(number()));
    let texts = (of(text()), of(text()), vec(text(), 0..3), of(text()));
    (operation, numbers, texts, extra()).prop_map(|(operation, numbers, texts, extra)| {
        let progress = Progress {
            progress: numbers.0,
            runtime: numbers.1,
            stageprogress: numbers.2,
            time_remain: numbers.3,
            message: texts.0,
            stage: texts.1,
            log: texts.2,
            cmd_uid: texts.3,
            extra,
        };
        Event::Progress(operation, progress)
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (text(), named(text()))
            .prop_map(|(agent, telemetry)| Event::Hello(Hello { agent, telemetry })),
        Just(Event::WhatsNext),
        progress(),
        report(descriptor()).prop_map(Event::Description),
        report(measurement()).prop_map(Event::Measurement),
        report(state()).prop_map(Event::Adjustment),
        text().prop_map(|reason| Event::Goodbye(Goodbye { reason })),
    ]
}

fn seconds() -> impl Strategy<Value = Seconds> {
    (0_u32..1_000_000, 0_u32..1000)
        .prop_map(|(s, ms)| Duration::new(s.into(), ms * 1_000_000).into())
}

fn control() -> impl Strategy<Value = Control> {
    let times = (
        of(seconds()),
        of(seconds()),
        of(seconds()),
        of(seconds()),
        of(seconds()),
    );
    (times, of(extra()), of(extra()), extra()).prop_map(|(times, load, userdata, extra)| Control {
        warmup: times.0,
        duration: times.1,
        delay: times.2,
        past: times.3,
        settlement: times.4,
        load,
        userdata,
        environment: None,
        extra,
    })
}

fn command() -> impl Strategy<Value = Command> {
    let body = prop_oneof![
        control().prop_map(|control| CommandBody::Describe(DescribeParam { control })),
        (of(vec(text(), 0..4)), control(), extra()).prop_map(|(metrics, control, extra)| {
            CommandBody::Measure(MeasureParam {
                metrics,
                control,
                extra,
            })
        }),
        (state(), control(), extra()).prop_map(|(state, control, extra)| {
            CommandBody::Adjust(AdjustParam {
                state,
                control,
                extra,
            })
        }),
        seconds().prop_map(|seconds| CommandBody::Sleep(SleepParam::new(seconds.get()))),
    ];
    (body, of(text())).prop_map(|(body, uid)| Command::new(body, uid))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events(event in event(), uid in of(text())) {
        let envelope = event.to_envelope(Success::WithStatus, uid).unwrap();
        let text = serde_json::to_string(&envelope).unwrap();
        let read = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&envelope, &read);
        prop_assert_eq!(Event::from_envelope(&read).unwrap(), event);
    }

    #[test]
    fn commands(command in command()) {
        let text = command.to_value().unwrap().to_string();
        let read = Command::parse(&serde_json::from_str(&text).unwrap()).unwrap();
        prop_assert_eq!(read, command);
    }

    #[test]
    fn duration_texts_never_panic(text in "[-+]?[0-9.]{0,30}[a-z\u{b5}]{0,3}[0-9.]{0,5}[a-z]{0,2}") {
        if let Ok(duration) = parse_duration_text(&text) {
            prop_assert!(duration <= Duration::from_secs(1000 * 365 * 86_400));
        }
    }

    #[test]
    fn seconds_come_back(seconds in seconds()) {
        let text = serde_json::to_string(&seconds).unwrap();
        prop_assert_eq!(serde_json::from_str::<Seconds>(&text).unwrap(), seconds);
    }
}
