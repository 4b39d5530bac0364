use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

/// A task of which only the wake-ups matter.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A step that wants turns, and how often it had one.
struct Step {
    runnable: Runnable,
    woken: Arc<Woken>,
    turns: usize,
}

impl Step {
    fn new(turns: &Turns, tenant: &str) -> Self {
        Self {
            runnable: turns.runnable(&Arc::from(tenant)),
            woken: Arc::default(),
            turns: 0,
        }
    }

    /// Polls once; a turn that comes is used for `spent` when `hold` returns.
    fn poll(&mut self, spent: Duration, hold: impl FnOnce()) -> bool {
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.runnable.poll_turn(&Context::from_waker(&waker)) {
            Poll::Ready(turn) => {
                self.woken.0.store(0, Ordering::SeqCst);
                hold();
                turn.end(spent);
                self.turns += 1;
                true
            }
            Poll::Pending => false,
        }
    }

    fn was_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst) > 0
    }
}

/// Lets everybody stand in line, and then the one run whose turn it is, `rounds`
/// times; on one turn.
fn spin(steps: &mut [Step], rounds: usize) {
    for _ in 0..rounds {
        let at = steps.iter().position(Step::was_woken).unwrap();
        assert!(steps[at].poll(TICK, || {}), "woken without a turn");
        // It has more to do, and stands in line again.
        assert!(!steps[at].poll(TICK, || {}), "the turn was the next one's");
    }
}

/// Steps of which the first has just had the only turn, and the others wait.
fn contended(turns: &Turns, tenants: impl IntoIterator<Item = String>) -> Vec<Step> {
    let mut steps: Vec<_> = tenants
        .into_iter()
        .map(|tenant| Step::new(turns, &tenant))
        .collect();
    let (first, others) = steps.split_first_mut().unwrap();
    assert!(first.poll(TICK, || {
        for step in others {
            assert!(!step.poll(TICK, || {}));
        }
    }));
    assert!(!first.poll(TICK, || {}));
    steps
}

#[test]
fn a7_a_newcomer_is_next_whoever_spins() {
    let turns = Turns::new(1);
    let mut steps = contended(&turns, (0..64).map(|n| format!("spinner {n}")));
    spin(&mut steps, 500);
    let mut canary = Step::new(&turns, "canary");
    for _ in 0..20 {
        let at = steps.iter().position(Step::was_woken).unwrap();
        // It comes while a spinner has the turn, and has the very next one.
        assert!(steps[at].poll(TICK, || {
            assert!(!canary.poll(Duration::ZERO, || {}));
        }));
        assert!(canary.was_woken());
        assert!(canary.poll(Duration::from_micros(100), || {}));
        assert!(!steps[at].poll(TICK, || {}));
        spin(&mut steps, 30);
    }
}

#[test]
fn a7_many_calls_of_one_tenant_weigh_as_much_as_one_call_of_another() {
    let turns = Turns::new(1);
    let mut steps = contended(&turns, (0..64).map(|_| "many".to_owned()));
    spin(&mut steps, 10);
    steps.push(Step::new(&turns, "one"));
    let alone = steps.len() - 1;
    let at = steps.iter().position(Step::was_woken).unwrap();
    let (many, one) = steps.split_at_mut(alone);
    assert!(many[at].poll(TICK, || assert!(!one[0].poll(TICK, || {}))));
    assert!(!many[at].poll(TICK, || {}));
    spin(&mut steps, 1_000);
    assert!(
        (499..=502).contains(&steps[alone].turns),
        "{} of 1000",
        steps[alone].turns
    );
    // Within the tenant, everybody has the same.
    let within: Vec<_> = steps[..alone].iter().map(|step| step.turns).collect();
    let (least, most) = (within.iter().min().unwrap(), within.iter().max().unwrap());
    assert!(most - least <= 1, "{least} to {most}");
}

#[test]
fn a_weight_is_a_share() {
    let turns = Turns::new(1);
    turns.set_weight(&Arc::from("three"), NonZeroU32::new(3).unwrap());
    let tenants = ["three", "three", "one"].map(str::to_owned);
    let mut steps = contended(&turns, tenants);
    let before = steps[2].turns;
    spin(&mut steps, 400);
    let one = steps[2].turns - before;
    assert!((99..=101).contains(&one), "{one} of 400");
}

#[test]
fn who_did_nothing_for_long_has_no_more_than_one_tick_in_hand() {
    let turns = Turns::new(1);
    let mut steps = contended(&turns, ["idle", "busy"].map(str::to_owned));
    // The idle one leaves the line and stays away.
    let waits = steps[0].runnable.turns.load().waiting;
    steps[0] = Step::new(&turns, "idle");
    assert_eq!(turns.load().waiting, waits - 1);
    let busy = &mut steps[1..];
    spin_alone(&mut busy[0], 10_000);
    let (idle, busy) = steps.split_at_mut(1);
    assert!(busy[0].poll(TICK, || assert!(!idle[0].poll(TICK, || {}))));
    assert!(!busy[0].poll(TICK, || {}));
    let before = idle[0].turns;
    spin(&mut steps, 100);
    let ahead = steps[0].turns - before;
    assert!((50..=52).contains(&ahead), "{ahead} of 100");
}

/// The only one there is runs on and on.
fn spin_alone(step: &mut Step, rounds: usize) {
    for _ in 0..rounds {
        assert!(step.poll(TICK, || {}));
    }
}

#[test]
fn a_short_poll_gives_the_turn_to_the_next_at_once() {
    let turns = Turns::new(2);
    let mut steps: Vec<_> = (0..3).map(|n| Step::new(&turns, &n.to_string())).collect();
    let [one, two, three] = steps.as_mut_slice() else {
        panic!()
    };
    assert!(one.poll(Duration::ZERO, || {
        assert!(two.poll(Duration::ZERO, || {
            assert!(!three.poll(Duration::ZERO, || {}));
        }));
        assert!(three.was_woken());
    }));
    assert!(three.poll(Duration::ZERO, || {}));
    let idle = Load {
        free: 2,
        waiting: 0,
        seats: 3,
    };
    assert_eq!(turns.load(), idle);
}

#[test]
fn a_turn_that_is_not_taken_goes_to_the_next() {
    let turns = Turns::new(1);
    let mut steps = contended(&turns, ["a", "b", "c"].map(str::to_owned));
    let deaf = steps.iter().position(Step::was_woken).unwrap();
    for _ in 0..LAPSE {
        assert_eq!(steps.iter().filter(|step| step.was_woken()).count(), 1);
        turns.tick();
    }
    let woken = steps.iter().filter(|step| step.was_woken()).count();
    assert_eq!(woken, 2, "another has it now");
    // Who comes late stands in line again.
    assert!(!steps[deaf].poll(TICK, || {}));
    steps[deaf].woken.0.store(0, Ordering::SeqCst);
    spin(&mut steps, 30);
}

#[test]
fn a_turn_is_over_when_its_poll_breaks_off() {
    let turns = Turns::new(1);
    let mut step = Step::new(&turns, "a");
    let waker = Waker::from(Arc::clone(&step.woken));
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _turn = step.runnable.poll_turn(&Context::from_waker(&waker));
        panic!("in the middle");
    }));
    assert!(broken.is_err());
    assert_eq!(turns.load().free, 1);
    assert!(step.poll(TICK, || {}));
}

#[test]
fn tenants_that_are_gone_are_forgotten() {
    let turns = Turns::new(1);
    for n in 0..1_000 {
        assert!(Step::new(&turns, &format!("tenant {n}")).poll(TICK, || {}));
    }
    spin_alone(&mut Step::new(&turns, "last"), 10);
    (0..SWEEP).for_each(|_| turns.tick());
    assert!(turns.lock().tenants.len() <= 2);
}

/// Small and seeded: which step does what next.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

#[test]
fn i4_whatever_is_dropped_no_turn_is_lost() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let count = 1 + dice.below(3);
        let turns = Turns::new(count);
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..400 {
            let tenant = format!("{}", dice.below(5));
            match dice.below(10) {
                0..4 => steps.push(Step::new(&turns, &tenant)),
                4..8 if !steps.is_empty() => {
                    let at = dice.below(steps.len());
                    let others = steps.split_off(at + 1);
                    let mut others = others;
                    let mut step = steps.pop().unwrap();
                    let spent = Duration::from_micros(dice.below(6_000) as u64);
                    step.poll(spent, || {
                        // While it has a turn, others come, and some of them go.
                        for other in others.iter_mut().take(3) {
                            other.poll(spent, || {});
                        }
                        others.truncate(5);
                    });
                    steps.push(step);
                    steps.append(&mut others);
                }
                8 if !steps.is_empty() => {
                    steps.swap_remove(dice.below(steps.len()));
                }
                _ => turns.tick(),
            }
            let load = turns.load();
            assert!(load.free == 0 || load.waiting == 0, "seed {seed}: {load:?}");
            assert!(load.free <= count, "seed {seed}: {load:?}");
            assert_eq!(load.seats, steps.len(), "seed {seed}");
        }
        // Those that were woken are enough to bring all of them to an end.
        while let Some(at) = steps.iter().position(Step::was_woken) {
            let mut step = steps.swap_remove(at);
            step.poll(TICK, || {});
            if step.runnable.waits {
                step.woken.0.store(0, Ordering::SeqCst);
                steps.push(step);
            }
        }
        assert_eq!(
            turns.load().waiting,
            0,
            "seed {seed}: somebody waits for ever"
        );
        drop(steps);
        let idle = Load {
            free: count,
            waiting: 0,
            seats: 0,
        };
        assert_eq!(turns.load(), idle, "seed {seed}");
    }
}
