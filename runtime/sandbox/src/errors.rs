//! `wasi:io/error`: what a guest is told of an error of the engine.
//!
//! The engine tells it in the form for its own developers, which holds a backtrace
//! of this host as soon as its environment asks for one. That is for the log; a
//! guest hands the text on to whoever reads its failure.

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::io::error::{Host, HostError};

/// Names [`ErrorsView`] to the linker.
pub(crate) struct Errors;

impl HasData for Errors {
    type Data<'a> = ErrorsView<'a>;
}

/// The errors of one store.
pub(crate) struct ErrorsView<'a>(pub(crate) &'a mut ResourceTable);

impl Host for ErrorsView<'_> {}

impl HostError for ErrorsView<'_> {
    fn drop(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<()> {
        HostError::drop(self.0, error)
    }

    fn to_debug_string(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<String> {
        let error = self.0.get(&error)?;
        tracing::debug!(?error, "a driver is told of an error");
        Ok(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use super::*;

    /// Runs itself again in an environment that asks for backtraces.
    #[test]
    fn field_12_no_backtrace_of_the_host_is_told_to_a_guest() {
        const NAME: &str = "errors::tests::field_12_no_backtrace_of_the_host_is_told_to_a_guest";
        if std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value != "full") {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child
                .args(["--exact", NAME])
                .env("RUST_BACKTRACE", "full")
                .env_remove("RUST_LIB_BACKTRACE");
            let output = child.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("1 passed"), "{text}");
            return;
        }
        let error = wasmtime::Error::msg("the connection was cut").context("the body");
        assert!(format!("{error:?}").contains("errors::tests"), "{error:?}");
        let mut table = ResourceTable::new();
        let error = table.push(error).unwrap();
        let told = ErrorsView(&mut table).to_debug_string(error).unwrap();
        assert_eq!(told, "the body: the connection was cut");
    }
}
