//! What a driver can ask of its host during a call.

use std::{rc::Rc, time::Duration};

use crate::{
    access::{Access, Backend},
    actions::Actions,
    failure::Cancelled,
    folder::{self, Folder},
    host::Host as _,
    http,
    report::Report,
    store::Store,
};

/// The way to everything outside: HTTP, progress, waiting, the store, actions
/// and clocks. It is handed to every function of a driver.
///
/// Nothing here works unless the operator granted it, apart from progress,
/// clocks and the log.
#[derive(Clone)]
pub struct Context {
    pub(crate) host: Access,
    app: Rc<str>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

impl Context {
    pub(crate) fn new(host: Rc<Backend>, app: &str) -> Self {
        Self {
            host: Access::new(host),
            app: app.into(),
        }
    }

    /// The same context, deaf to a cancel: for undoing what must not be left
    /// behind after a [`Cancelled`]. The host's grace period still applies.
    /// The `cancelled` step of a driver gets such a context by itself.
    #[must_use]
    pub fn shielded(&self) -> Self {
        Self {
            host: self.host.shielded(),
            app: Rc::clone(&self.app),
        }
    }

    /// The application's id.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// An HTTP client with default timeouts and retries.
    pub fn http(&self) -> http::Client {
        http::Client::new(self.host.clone())
    }

    /// The store of values that outlive the call.
    pub fn store(&self) -> Store {
        Store::new(self.host.clone())
    }

    /// A folder that the operator grants under this name.
    ///
    /// # Errors
    ///
    /// [`folder::Error::NotGranted`] when there is none; it names the grant.
    pub fn folder(&self, name: &str) -> Result<Folder, folder::Error> {
        Folder::new(name, self.host.folder(name))
    }

    /// The programs the operator lets this driver start.
    pub fn actions(&self) -> Actions {
        Actions::new(self.host.clone())
    }

    /// Tells how far the call is. Cheap, and may be called often: the host
    /// sends the newest report at most once a second.
    ///
    /// ```
    /// # use servo_driver::{Context, Cancelled, Report};
    /// # fn f(cx: &Context) -> Result<(), Cancelled> {
    /// cx.progress(40.0)?;
    /// cx.progress(Report::percent(60.0).message("warm"))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when the call is no longer wanted: undo what must not be
    /// left behind and return it.
    pub fn progress(&self, report: impl Into<Report>) -> Result<(), Cancelled> {
        self.host.report(&report.into())
    }

    /// Asks whether the call is still wanted, reporting nothing.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when it is not.
    pub fn check(&self) -> Result<(), Cancelled> {
        self.host.check()
    }

    /// Waits. For more than a few seconds return [`Step::wait`](crate::Step::wait)
    /// instead: it holds no memory and survives a crash of the host.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], early, as soon as the call is no longer wanted.
    pub fn wait(&self, duration: Duration) -> Result<(), Cancelled> {
        self.host.wait(duration)
    }

    /// Time on a clock that never goes back. Only differences mean anything,
    /// and only within one step.
    pub fn now(&self) -> Duration {
        self.host.now()
    }

    /// Time since the Unix epoch. It may jump: build window bounds from it,
    /// measure with [`now`](Self::now).
    pub fn unix_time(&self) -> Duration {
        self.host.unix_time()
    }
}
