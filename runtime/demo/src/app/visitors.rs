//! Visitors of the sample application, for when nobody else asks it anything.
//!
//! A driver that reads an application's own counters measures nothing on an
//! idle one. These are a closed loop, as `ab` is: each has one request under
//! way, so that the throughput follows the settings. Dropping them ends them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use tokio::task::JoinSet;

use super::{Shop, quote};

/// What the application asks of those it turns away, in its `retry-after`.
const TURNED_AWAY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Visitors(JoinSet<()>);

impl Visitors {
    pub(super) fn admit(&mut self, shop: &Arc<Shop>, count: u32) {
        for _ in 0..count {
            let shop = Arc::clone(shop);
            self.0.spawn(async move {
                loop {
                    let answer = quote(State(Arc::clone(&shop))).await;
                    if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
                        tokio::time::sleep(TURNED_AWAY).await;
                    }
                }
            });
        }
    }

    pub(super) async fn send_home(&mut self) {
        self.0.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::atomic::Ordering::Relaxed;

    use crate::app::SampleApp;
    use crate::app::pace::{Cost, Pace};

    use super::*;

    struct AtOnce;

    impl Pace for AtOnce {
        fn spend(&self, _: Cost) {}

        fn linger(&self, _: u32) -> Duration {
            Duration::ZERO
        }
    }

    #[tokio::test]
    async fn visitors_keep_asking_and_leave_with_the_application() {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut app = SampleApp::start_with_pace(loopback, Arc::new(AtOnce))
            .await
            .unwrap();
        let shop = Arc::clone(&app.shop);
        app.admit_visitors(3);
        // Each visitor is answered several times.
        while shop.meters.requests.load(Relaxed) < 30 {
            tokio::task::yield_now().await;
        }
        app.shutdown().await;
        // A visitor that stayed would go on asking, and hold the shop.
        let asked = shop.meters.requests.load(Relaxed);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(shop.meters.requests.load(Relaxed), asked);
        assert_eq!(Arc::strong_count(&shop), 1);
    }
}
