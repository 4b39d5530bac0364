//! The `log` crate's way to the operator.
//!
//! Everything down to `debug` is passed on: the host knows what the operator
//! wants to see, and caps lines and bytes for each call.

struct ToHost;

impl log::Log for ToHost {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        #[cfg(target_arch = "wasm32")]
        crate::wasm::imports::write_log(record);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::lines::write_log(record);
    }

    fn flush(&self) {}
}

/// Makes it the logger of this program, unless there is one already.
pub(crate) fn install() {
    if log::set_logger(&ToHost).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}
