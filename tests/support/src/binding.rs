//! A driver joined with a configuration and grants, where a case does not care
//! whose it is, and a request that asks for nothing in particular.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use servo_audit::Owner;
use servo_policy::GrantsSpec;
use servo_sandbox::{Binding, MemoryState, measure, model};

/// The owner of every driver here: `acme`, servo `shop`, driver `measure`.
#[must_use]
pub fn owner() -> Owner {
    owner_of("acme")
}

/// The same of another tenant.
#[must_use]
pub fn owner_of(tenant: &str) -> Owner {
    Owner {
        tenant: tenant.to_owned(),
        servo: "shop".to_owned(),
        driver: "measure".to_owned(),
        ..Owner::default()
    }
}

/// A binding with these grants, in the words of `servo.yaml`, and a state in
/// memory.
///
/// # Panics
/// The grants are not good ones.
#[must_use]
pub fn binding(config: Value, grants: Value) -> Binding {
    let spec: GrantsSpec = serde_json::from_value(grants).unwrap();
    Binding {
        owner: owner(),
        grants: spec.resolve(&config, Path::new("/")).unwrap(),
        config,
        state: Arc::new(MemoryState::default()),
    }
}

/// Nothing said on how to measure or adjust.
#[must_use]
pub fn control() -> model::Control {
    model::Control {
        warmup: None,
        duration: None,
        delay: None,
        past: None,
        settlement: None,
        load: None,
        userdata: None,
    }
}

/// A request for all metrics of the application `shop`.
#[must_use]
pub fn measurement() -> measure::MeasureRequest {
    measure::MeasureRequest {
        app: "shop".to_owned(),
        metrics: vec![],
        control: control(),
    }
}
