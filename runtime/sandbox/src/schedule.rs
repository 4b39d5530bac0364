//! Who may use a worker next.
//!
//! A guest that computes comes back at every tick, but to come back is not
//! enough: all that compute stand in the runtime's queue again, and a call of
//! somebody else stands behind them all. So a poll of a step needs a *turn*.
//! There are as many turns as workers, and those who wait for one are not in
//! the runtime's queue. The next turn goes to the tenant that has used the
//! least time on a worker (start-time fair queueing); within a tenant, first
//! come, first served. A tenant comes back from doing nothing with
//! [`CREDIT`] in hand and no more: enough to be next, too little to hold up
//! the others.
//!
//! Wakers are called and dropped outside the lock only: dropping one may drop
//! the last hold on a task, and with it a [`Runnable`], which takes the lock.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::engine::TICK;

/// Nanoseconds by which a tenant that did nothing is ahead of those that did.
/// One tick: what one turn of somebody else can cost.
const CREDIT: u64 = TICK.as_nanos() as u64;

/// Ticks after which a turn that was given and not taken goes to the next. A
/// step may be held by a task that is busy with something else.
const LAPSE: u64 = 4;

/// Every so many ticks, tenants of which nothing is left to know are forgotten.
const SWEEP: u64 = 256;

/// The turns of one sandbox. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Turns that nobody has. Not zero only when nobody waits.
    free: usize,
    tick: u64,
    next_seat: u64,
    next_order: u64,
    /// Virtual time: that of the last tenant that was given a turn.
    now: u64,
    tenants: HashMap<Arc<str>, Tenant>,
    /// The tenants of which somebody waits, the next one first.
    queue: BTreeSet<(Place, Arc<str>)>,
    waiting: HashMap<u64, Waker>,
    /// Turns that were given and not taken yet, with the tick of the giving.
    given: HashMap<u64, (u64, Arc<str>)>,
}

/// Virtual time, then the order of coming.
type Place = (u64, u64);

#[derive(Debug)]
struct Tenant {
    weight: NonZeroU32,
    /// Nanoseconds used, by weight.
    used: u64,
    seats: usize,
    /// Turns it has, taken or not.
    turns: u64,
    /// The seats that wait, first come first.
    line: VecDeque<u64>,
    /// Where it stands in the queue.
    place: Option<Place>,
    order: u64,
}

impl Tenant {
    /// The time it will have used when its turns are over, as far as one can know.
    fn expected(&self) -> u64 {
        let share = CREDIT / u64::from(self.weight.get());
        self.used.saturating_add(self.turns.saturating_mul(share))
    }
}

/// How busy the turns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Turns that nobody has.
    pub free: usize,
    /// Steps that wait for one.
    pub waiting: usize,
    /// Steps there are.
    pub seats: usize,
}

impl Turns {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: count.max(1),
            tick: 0,
            next_seat: 0,
            next_order: 0,
            now: CREDIT,
            tenants: HashMap::new(),
            queue: BTreeSet::new(),
            waiting: HashMap::new(),
            given: HashMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one step of `tenant`.
    pub(crate) fn runnable(&self, tenant: &Arc<str>) -> Runnable {
        let mut state = self.lock();
        state.next_seat += 1;
        let id = state.next_seat;
        state.tenant(tenant).seats += 1;
        drop(state);
        Runnable {
            turns: self.clone(),
            tenant: Arc::clone(tenant),
            id,
            waits: false,
        }
    }

    /// Gives `tenant` a share of so many parts; one is what everybody has.
    pub(crate) fn set_weight(&self, tenant: &Arc<str>, weight: NonZeroU32) {
        self.lock().tenant(tenant).weight = weight;
    }

    /// A tick has passed: turns that were given and not taken go to the next.
    pub(crate) fn tick(&self) {
        let mut state = self.lock();
        state.tick += 1;
        let tick = state.tick;
        if tick.is_multiple_of(SWEEP) {
            state.sweep();
        }
        if state.given.is_empty() {
            return;
        }
        let lapsed: Vec<_> = state
            .given
            .iter()
            .filter(|(_, (since, _))| tick.saturating_sub(*since) >= LAPSE)
            .map(|(id, (_, tenant))| (*id, Arc::clone(tenant)))
            .collect();
        let mut next = Vec::new();
        for (id, tenant) in lapsed {
            state.given.remove(&id);
            next.extend(state.give_back(&tenant, Duration::ZERO));
        }
        drop(state);
        next.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn load(&self) -> Load {
        let state = self.lock();
        Load {
            free: state.free,
            waiting: state.waiting.len(),
            seats: state.tenants.values().map(|tenant| tenant.seats).sum(),
        }
    }
}

impl State {
    fn tenant(&mut self, name: &Arc<str>) -> &mut Tenant {
        self.tenants
            .entry(Arc::clone(name))
            .or_insert_with(|| Tenant {
                weight: NonZeroU32::MIN,
                used: 0,
                seats: 0,
                turns: 0,
                line: VecDeque::new(),
                place: None,
                order: 0,
            })
    }

    /// Whoever did nothing begins with a credit, and with no more than that.
    fn arrive(&mut self, name: &Arc<str>) {
        let earliest = self.now.saturating_sub(CREDIT);
        let tenant = self.tenant(name);
        if tenant.turns == 0 && tenant.line.is_empty() {
            tenant.used = tenant.used.max(earliest);
        }
    }

    /// Writes down that a tenant has one turn more.
    fn grant(&mut self, name: &Arc<str>) {
        let now = self.now;
        self.next_order += 1;
        let order = self.next_order;
        let tenant = self.tenant(name);
        let began = tenant.expected();
        tenant.turns += 1;
        tenant.order = order;
        self.now = now.max(began);
    }

    /// Puts a tenant where it belongs in the queue, now that its time or its
    /// line has changed.
    fn place(&mut self, name: &Arc<str>) {
        let tenant = self.tenant(name);
        let place = (!tenant.line.is_empty()).then(|| (tenant.expected(), tenant.order));
        let old = std::mem::replace(&mut tenant.place, place);
        if old == place {
            return;
        }
        if let Some(old) = old {
            self.queue.remove(&(old, Arc::clone(name)));
        }
        if let Some(place) = place {
            self.queue.insert((place, Arc::clone(name)));
        }
    }

    /// Takes a turn back and gives it to the next. Whom to wake.
    fn give_back(&mut self, name: &Arc<str>, spent: Duration) -> Option<Waker> {
        let spent = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        let tenant = self.tenant(name);
        tenant.turns = tenant.turns.saturating_sub(1);
        tenant.used = tenant
            .used
            .saturating_add(spent / u64::from(tenant.weight.get()));
        self.place(name);
        self.free += 1;
        self.next()
    }

    /// Gives a free turn to the one who waits and is next.
    fn next(&mut self) -> Option<Waker> {
        let name = Arc::clone(&self.queue.first()?.1);
        let id = self.tenant(&name).line.pop_front()?;
        self.free = self.free.saturating_sub(1);
        self.grant(&name);
        self.place(&name);
        self.given.insert(id, (self.tick, name));
        self.waiting.remove(&id)
    }

    /// Forgets tenants that would begin anew with what they have anyway.
    fn sweep(&mut self) {
        let earliest = self.now.saturating_sub(CREDIT);
        self.tenants.retain(|_, tenant| {
            tenant.seats > 0 || tenant.used > earliest || tenant.weight != NonZeroU32::MIN
        });
    }
}

/// The place of one step among those that need turns. Gives back what it has
/// when it is dropped.
#[derive(Debug)]
pub(crate) struct Runnable {
    turns: Turns,
    tenant: Arc<str>,
    id: u64,
    /// In the line, or with a turn that was given and not taken.
    waits: bool,
}

impl Runnable {
    /// A turn, as soon as it is this one's. The turn must be ended.
    pub(crate) fn poll_turn(&mut self, context: &Context<'_>) -> Poll<Turn<'_>> {
        let mut state = self.turns.lock();
        let given = self.waits && state.given.remove(&self.id).is_some();
        if given {
            self.waits = false;
            drop(state);
            return Poll::Ready(Turn::of(self));
        }
        if let Some(waker) = state.waiting.get_mut(&self.id) {
            let old = if waker.will_wake(context.waker()) {
                None
            } else {
                Some(std::mem::replace(waker, context.waker().clone()))
            };
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        // New, or its turn came and lapsed.
        let tenant = Arc::clone(&self.tenant);
        state.arrive(&tenant);
        if state.free > 0 {
            state.free -= 1;
            state.grant(&tenant);
            state.place(&tenant);
            self.waits = false;
            drop(state);
            return Poll::Ready(Turn::of(self));
        }
        state.next_order += 1;
        let order = state.next_order;
        let entry = state.tenant(&tenant);
        if entry.line.is_empty() {
            entry.order = order;
        }
        entry.line.push_back(self.id);
        state.place(&tenant);
        state.waiting.insert(self.id, context.waker().clone());
        drop(state);
        self.waits = true;
        Poll::Pending
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        let own = state.waiting.remove(&self.id);
        if own.is_some() {
            let id = self.id;
            state.tenant(&self.tenant).line.retain(|one| *one != id);
            state.place(&self.tenant);
        }
        let next = if state.given.remove(&self.id).is_some() {
            state.give_back(&self.tenant, Duration::ZERO)
        } else {
            None
        };
        let tenant = state.tenant(&self.tenant);
        tenant.seats = tenant.seats.saturating_sub(1);
        drop(state);
        drop(own);
        if let Some(next) = next {
            next.wake();
        }
    }
}

/// The right to use a worker until it is ended or dropped.
#[derive(Debug)]
#[must_use = "a turn is over at once when it is dropped"]
pub(crate) struct Turn<'a> {
    runnable: &'a mut Runnable,
    spent: Duration,
}

impl<'a> Turn<'a> {
    /// A poll that breaks off without a word is charged a tick.
    fn of(runnable: &'a mut Runnable) -> Self {
        Self {
            runnable,
            spent: TICK,
        }
    }

    /// The worker is free again after so much time.
    pub(crate) fn end(mut self, spent: Duration) {
        self.spent = spent;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.runnable.turns.lock();
        let next = state.give_back(&self.runnable.tenant, self.spent);
        drop(state);
        if let Some(next) = next {
            next.wake();
        }
    }
}

#[cfg(test)]
mod tests;
