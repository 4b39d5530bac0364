//! What happens to a world, beside the weather of its networks: a list of
//! strikes, drawn before it begins.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use servo_agent::StopReason;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::chance::Chance;
use crate::crash::When;
use crate::net::Net;
use crate::office::Office;
use crate::servant::{Death, Servant, Wreck};

/// One of them.
#[derive(Debug, Clone, Copy)]
pub enum Strike {
    /// The servo is killed, at a point or a poll from then on.
    KillServo(When, Death),
    /// The service is killed.
    KillService(Duration),
    /// The servo's disk takes so many bytes, for so long.
    ServoDisk(usize, Duration),
    /// The service's disk is full for so long.
    ServiceDisk(Duration),
    /// The servo's clock jumps, in milliseconds.
    ServoClock(i64),
    /// The service's clock jumps, in milliseconds.
    ServiceClock(i64),
    /// SIGHUP for the servo.
    Restart,
    /// SIGTERM for the servo, and a start after a while.
    Term(Duration),
    /// The operator ends the study.
    Stop,
    /// Nothing gets through to the service.
    CutOff(Duration),
    /// Nothing gets through to the application.
    Unreachable(Duration),
}

fn jump(chance: &mut Chance) -> i64 {
    let by = match chance.between(0, 3) {
        0 => chance.between(1, 10_000),
        1 => chance.between(1, 3_600_000),
        2 => chance.between(1, 86_400_000),
        _ => 0,
    };
    let by = i64::try_from(by).unwrap_or_default();
    if chance.happens(0.5) { -by } else { by }
}

impl Strike {
    fn draw(chance: &mut Chance) -> Self {
        let death = |chance: &mut Chance| Death {
            downtime: chance.seconds(0, 200),
            wreck: chance
                .pick(&[Wreck::Clean, Wreck::TornTail, Wreck::NewFile])
                .unwrap_or(Wreck::Clean),
            jump: jump(chance),
        };
        match chance.between(0, 99) {
            0..20 => Self::KillServo(When::Point(chance.between(0, 40)), death(chance)),
            20..35 => Self::KillServo(When::Poll(chance.between(0, 60)), death(chance)),
            35..50 => Self::KillService(chance.seconds(0, 200)),
            50..60 => {
                let room = chance.pick(&[0, 1, 100, 1000]).unwrap_or(0);
                Self::ServoDisk(room, chance.seconds(1, 300))
            }
            60..67 => Self::ServiceDisk(chance.seconds(1, 300)),
            67..73 => Self::ServoClock(jump(chance)),
            73..77 => Self::ServiceClock(jump(chance)),
            77..82 => Self::Restart,
            82..87 => Self::Term(chance.seconds(0, 100)),
            87..89 => Self::Stop,
            89..95 => Self::CutOff(chance.seconds(1, 400)),
            _ => Self::Unreachable(chance.seconds(1, 400)),
        }
    }
}

/// All strikes of a world, each with the pause before it.
#[derive(Debug, Clone)]
pub struct Storm(Vec<(Duration, Strike)>);

/// The room on a disk that is not full.
pub const PLENTY: usize = usize::MAX;

impl Storm {
    /// The storm of a seed.
    pub fn draw(chance: &mut Chance) -> Self {
        let number = chance.between(3, 14);
        let strikes = (0..number).map(|_| (chance.seconds(0, 250), Strike::draw(chance)));
        Self(strikes.collect())
    }

    /// Lets it happen to the end, everything that lasts a while included.
    pub async fn pass(self, servant: &Arc<Servant>, office: &Arc<Office>, field: &Arc<Net>) {
        let lasting = TaskTracker::new();
        for (pause, strike) in self.0 {
            sleep(pause).await;
            servant.log.note(format!("STRIKE {strike:?}"));
            let later = |time: Duration, what: Box<dyn Fn() + Send>| {
                lasting.spawn(async move {
                    sleep(time).await;
                    what();
                });
            };
            match strike {
                Strike::KillServo(when, death) => {
                    *servant.death.lock().unwrap_or_else(PoisonError::into_inner) = death;
                    servant.crash.arm(Some(when));
                }
                Strike::KillService(downtime) => office.restart(downtime).await,
                Strike::ServoDisk(room, time) => {
                    servant.room.store(room, Ordering::SeqCst);
                    let servant = Arc::clone(servant);
                    let free = move || servant.room.store(PLENTY, Ordering::SeqCst);
                    later(time, Box::new(free));
                }
                Strike::ServiceDisk(time) => {
                    office.fill(true);
                    let office = Arc::clone(office);
                    later(time, Box::new(move || office.fill(false)));
                }
                Strike::ServoClock(by) => servant.jump(by),
                Strike::ServiceClock(by) => office.jump(by),
                Strike::Restart => servant.handle().stop_after_turn(StopReason::Restart),
                Strike::Term(downtime) => {
                    servant
                        .death
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .downtime = downtime;
                    servant.handle().stop_now(StopReason::Sigterm);
                }
                Strike::Stop => {
                    office.stop();
                }
                Strike::CutOff(time) => {
                    servant.net.partition(true);
                    let net = Arc::clone(&servant.net);
                    later(time, Box::new(move || net.partition(false)));
                }
                Strike::Unreachable(time) => {
                    field.partition(true);
                    let net = Arc::clone(field);
                    later(time, Box::new(move || net.partition(false)));
                }
            }
        }
        lasting.close();
        lasting.wait().await;
        servant.crash.arm(None);
        servant.net.calm();
        field.calm();
        servant.log.note("THE STORM IS OVER");
    }
}
