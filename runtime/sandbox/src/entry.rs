//! The exported functions of a driver: how each is entered, and what its answer
//! must pass before it is believed.

use std::future::Future;

use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::adjust::{self, AdjustFailure, AdjustRequest, AdjustStep, Interruption};
use crate::bindings::measure::{self, MeasureRequest, MeasureStep};
use crate::bindings::model::{Application, Failure, Metric};
use crate::check::{self, Bounds, Violation};
use crate::driver::Exports;
use crate::host::CallState;
use crate::outcome::Failed;

/// How a guest function returned.
#[derive(Debug)]
pub(crate) enum Returned<T> {
    /// With an answer.
    Answer(T),
    /// With a failure.
    Failure(Failed),
    /// Not at all: the engine ended it.
    Error(wasmtime::Error),
}

impl<T, F: Into<Failed>> From<wasmtime::Result<Result<T, F>>> for Returned<T> {
    fn from(result: wasmtime::Result<Result<T, F>>) -> Self {
        match result {
            Ok(Ok(answer)) => Self::Answer(answer),
            Ok(Err(failure)) => Self::Failure(failure.into()),
            Err(error) => Self::Error(error),
        }
    }
}

/// A guest that has been instantiated, and where its exports are.
pub(crate) struct Entered {
    pub(crate) instance: Instance,
    pub(crate) exports: Exports,
}

impl Entered {
    fn measure(&self, store: &mut Store<CallState>) -> wasmtime::Result<measure::Guest> {
        match &self.exports {
            Exports::Measure(exports) => exports.load(store, &self.instance),
            Exports::Adjust(_) => Err(wasmtime::Error::msg("an adjust driver does not measure")),
        }
    }

    fn adjust(&self, store: &mut Store<CallState>) -> wasmtime::Result<adjust::Guest> {
        match &self.exports {
            Exports::Adjust(exports) => exports.load(store, &self.instance),
            Exports::Measure(_) => Err(wasmtime::Error::msg("a measure driver does not adjust")),
        }
    }
}

/// As the engine has it.
pub(crate) type Answered<E> = wasmtime::Result<Result<<E as Entry>::Answer, <E as Entry>::Failure>>;

/// One exported function with its arguments.
pub(crate) trait Entry: Sized + Send {
    /// What the function answers when it succeeds.
    type Answer: Send;

    /// What it answers when it does not.
    type Failure: Into<Failed>;

    /// Its name, for records.
    const NAME: &'static str;

    /// Calls it.
    fn enter(
        self,
        store: &mut Store<CallState>,
        entered: &Entered,
    ) -> impl Future<Output = Answered<Self>> + Send;

    /// What the answer must pass.
    fn check(bounds: &Bounds, answer: &Self::Answer) -> Result<(), Violation>;

    /// Whether the answer asks for a further step.
    fn pauses(_: &Self::Answer) -> bool {
        false
    }
}

/// `measure.describe`
pub(crate) struct DescribeMetrics<'a> {
    pub(crate) app: &'a str,
}

impl Entry for DescribeMetrics<'_> {
    type Answer = Vec<Metric>;
    type Failure = Failure;
    const NAME: &'static str = "describe";

    async fn enter(self, store: &mut Store<CallState>, entered: &Entered) -> Answered<Self> {
        let guest = entered.measure(store)?;
        guest.call_describe(store, self.app).await
    }

    fn check(bounds: &Bounds, answer: &Self::Answer) -> Result<(), Violation> {
        check::metrics(bounds, answer)
    }
}

/// `measure.measure`
pub(crate) struct Measure<'a> {
    pub(crate) request: &'a MeasureRequest,
    pub(crate) resume: Option<&'a str>,
}

impl Entry for Measure<'_> {
    type Answer = MeasureStep;
    type Failure = Failure;
    const NAME: &'static str = "measure";

    async fn enter(self, store: &mut Store<CallState>, entered: &Entered) -> Answered<Self> {
        let guest = entered.measure(store)?;
        guest.call_measure(store, self.request, self.resume).await
    }

    fn check(bounds: &Bounds, answer: &Self::Answer) -> Result<(), Violation> {
        check::measure_step(bounds, answer)
    }

    fn pauses(answer: &Self::Answer) -> bool {
        matches!(answer, MeasureStep::Wait(_))
    }
}

/// `measure.cancelled`
pub(crate) struct MeasureCancelled<'a> {
    pub(crate) request: &'a MeasureRequest,
    pub(crate) state: &'a str,
    pub(crate) resume: Option<&'a str>,
}

impl Entry for MeasureCancelled<'_> {
    type Answer = measure::UndoStep;
    type Failure = Failure;
    const NAME: &'static str = "cancelled";

    async fn enter(self, store: &mut Store<CallState>, entered: &Entered) -> Answered<Self> {
        let guest = entered.measure(store)?;
        guest
            .call_cancelled(store, self.request, self.state, self.resume)
            .await
    }

    fn check(bounds: &Bounds, answer: &Self::Answer) -> Result<(), Violation> {
        check::measure_undo(bounds, answer)
    }

    fn pauses(answer: &Self::Answer) -> bool {
        matches!(answer, measure::UndoStep::Wait(_))
    }
}

/// `adjust.describe`
pub(crate) struct DescribeApplication<'a> {
    pub(crate) app: &'a str,
}

impl Entry for DescribeApplication<'_> {
    type Answer = Application;
    type Failure = Failure;
    const NAME: &'static str = "describe";

    async fn enter(self, store: &mut Store<CallState>, entered: &Entered) -> Answered<Self> {
        let guest = entered.adjust(store)?;
        guest.call_describe(store, self.app).await
    }

    fn check(bounds: &Bounds, answer: &Self::Answer) -> Result<(), Violation> {
        check::application(bounds, answer)
    }
}

/// `adjust.adjust`
pub(crate) struct Adjust<'a> {
    pub(crate) request: &'a AdjustRequest,
    pub(crate) resume: Option<&'a str>,
}

impl Entry for Adjust<'_> {
    type Answer = AdjustStep;
    type Failure = AdjustFailure;
    const NAME: &'static str = "adjust";

    async fn enter(self, store: &mut Store<CallState>, entered: &Entered) -> Answered<Self> {
        let guest = entered.adjust(store)?;
        guest.call_adjust(store, self.request, self.resume).await
    }

    fn check(bounds: &Bounds, answer: &Self::Answer) -> Result<(), Violation> {
        check::adjust_step(bounds, answer)
    }

    fn pauses(answer: &Self::Answer) -> bool {
        matches!(answer, AdjustStep::Wait(_))
    }
}

/// `adjust.recover`
pub(crate) struct Recover<'a> {
    pub(crate) request: &'a AdjustRequest,
    pub(crate) interruption: &'a Interruption,
}

impl Entry for Recover<'_> {
    type Answer = AdjustStep;
    type Failure = AdjustFailure;
    const NAME: &'static str = "recover";

    async fn enter(self, store: &mut Store<CallState>, entered: &Entered) -> Answered<Self> {
        let guest = entered.adjust(store)?;
        guest
            .call_recover(store, self.request, self.interruption)
            .await
    }

    fn check(bounds: &Bounds, answer: &Self::Answer) -> Result<(), Violation> {
        check::adjust_step(bounds, answer)
    }

    fn pauses(answer: &Self::Answer) -> bool {
        matches!(answer, AdjustStep::Wait(_))
    }
}

/// `adjust.cancelled`
pub(crate) struct AdjustCancelled<'a> {
    pub(crate) request: &'a AdjustRequest,
    pub(crate) state: &'a str,
    pub(crate) resume: Option<&'a str>,
}

impl Entry for AdjustCancelled<'_> {
    type Answer = adjust::UndoStep;
    type Failure = AdjustFailure;
    const NAME: &'static str = "cancelled";

    async fn enter(self, store: &mut Store<CallState>, entered: &Entered) -> Answered<Self> {
        let guest = entered.adjust(store)?;
        guest
            .call_cancelled(store, self.request, self.state, self.resume)
            .await
    }

    fn check(bounds: &Bounds, answer: &Self::Answer) -> Result<(), Violation> {
        check::adjust_undo(bounds, answer)
    }

    fn pauses(answer: &Self::Answer) -> bool {
        matches!(answer, adjust::UndoStep::Wait(_))
    }
}
