//! Hears everything that this process logs, at the finest level.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

/// All of it, in order.
#[derive(Clone, Debug, Default)]
pub struct Ears(Arc<Mutex<Vec<u8>>>);

impl Ears {
    /// Listens from now on, in the whole process and for as long as it lives:
    /// to `tracing`, spans included, and to `log`, which TLS speaks to.
    ///
    /// # Panics
    /// Somebody listens already.
    #[must_use]
    pub fn everywhere() -> Self {
        let ears = Self::default();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(ears.clone())
            .init();
        // For as long as the process lives, as the line above.
        log::set_logger(Box::leak(Box::new(ears.clone()))).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        ears
    }

    /// What was heard.
    ///
    /// # Panics
    /// Never: nothing panics while it is noted.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Ears {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Ears {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl log::Log for Ears {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().unwrap().extend_from_slice(line.as_bytes());
    }

    fn flush(&self) {}
}
