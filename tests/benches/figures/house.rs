//! What all figures share: the components, one driver host as `servo run` has
//! it, and a runtime as its binary starts one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use servo_host::{DriverHost, Sandboxed};
use servo_policy::GrantsSpec;
use servo_sandbox::{Driver, MemoryState};
use servo_tests::components;
use tokio::runtime::Runtime;

/// The components, the host of drivers and the runtime.
pub(crate) struct House {
    pub(crate) runtime: Runtime,
    pub(crate) host: DriverHost,
}

impl House {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            // While guests compute, a poll lasts a tick; networks and timers are to
            // be looked at after each, not after 61.
            .event_interval(2)
            .enable_all()
            .build()
            .unwrap();
        // The gate's clients want a runtime around them.
        let entered = runtime.enter();
        let host = DriverHost::new(Some(&components::code_folder())).unwrap();
        drop(entered);
        Self { runtime, host }
    }

    /// The names of all components: the drivers, and `hostile`.
    pub(crate) fn components() -> Vec<String> {
        let folders = std::fs::read_dir(components::tree().join("drivers")).unwrap();
        let mut names: Vec<String> = folders
            .map(|folder| folder.unwrap())
            .filter(|folder| folder.path().join("driver.toml").is_file())
            .map(|folder| folder.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names.push("hostile".to_owned());
        names
    }

    pub(crate) fn component(name: &str) -> PathBuf {
        components::component(name)
    }

    pub(crate) fn load(&self, name: &str) -> Driver {
        let path = Self::component(name);
        self.runtime.block_on(self.host.load(&path)).unwrap()
    }

    pub(crate) fn bind(&self, driver: &Driver, config: Value, grants: Value) -> Sandboxed {
        let members: Map<String, Value> = serde_json::from_value(config.clone()).unwrap();
        let grants: GrantsSpec = serde_json::from_value(grants).unwrap();
        let grants = grants.resolve(&config, Path::new("/")).unwrap();
        let state = Arc::new(MemoryState::default());
        self.host
            .bind(driver, "bench", members, grants, state)
            .unwrap()
    }
}
