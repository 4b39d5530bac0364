//! The shop behind the application: which item is asked for, what it costs, and
//! the cache of answers.
//!
//! A load generator such as `ab` can only repeat one URL, so the application
//! picks the item itself, by a fixed pseudo-random sequence in which a few
//! items are asked for often and most of them rarely. Two measurements with the
//! same settings therefore meet the same demand.
//!
//! The cache keeps the best sellers, which the shop knows, and is filled when
//! it is sized. An eviction policy that learns them would come to nearly the
//! same entries, but only after many requests, and every measurement would
//! first have to wait for that.

/// Items in the shop: twice the largest cache, so that none holds them all.
pub(super) const ITEMS: u32 = 8192;

/// Steepness of the demand: the best 1024 of 8192 items draw 70 % of it.
const SKEW: f64 = 0.9;

/// An item, by its rank among the best sellers from 0.
pub(super) type Item = u32;

/// Which items are asked for, in which order.
pub(super) struct Demand {
    /// Share of the demand that falls on the items up to each rank.
    cumulative: Vec<f64>,
}

impl Demand {
    pub(super) fn new() -> Self {
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = (1..=ITEMS)
            .map(|rank| {
                sum += f64::from(rank).powf(-SKEW);
                sum
            })
            .collect();
        for share in &mut cumulative {
            *share /= sum;
        }
        Self { cumulative }
    }

    /// The item of the request with this number.
    pub(super) fn item(&self, request: u64) -> Item {
        // 53 bits fill the fraction of an f64.
        let point = (mix(request) >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = self.cumulative.partition_point(|share| *share <= point);
        u32::try_from(rank).unwrap_or(u32::MAX).min(ITEMS - 1)
    }
}

/// The answer to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    item: Item,
    cents: u32,
}

impl Quote {
    /// The work for one item.
    pub(super) fn of(item: Item) -> Self {
        const ROUNDS: u64 = 64;
        let seed = (0..ROUNDS).fold(u64::from(item), |value, round| mix(value ^ round));
        Self {
            item,
            cents: u32::try_from(seed % 1_000_000).unwrap_or_default(),
        }
    }

    /// The body that is sent. Always of the same length, because `ab` without
    /// `-l` counts a body of another length as a failure.
    pub(super) fn body(self) -> String {
        let Self { item, cents } = self;
        let (whole, rest) = (cents / 100, cents % 100);
        format!("{{\"item\":\"{item:05}\",\"price\":\"{whole:04}.{rest:02}\"}}\n")
    }
}

/// The quotes kept in memory: a plain list that is searched from its start.
#[derive(Default)]
pub(super) struct Cache {
    entries: Vec<(Item, Quote)>,
}

impl Cache {
    /// A cache with the best `entries` sellers.
    pub(super) fn of(entries: u32) -> Self {
        Self {
            entries: (0..entries).map(|item| (item, Quote::of(item))).collect(),
        }
    }

    pub(super) fn entries(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, item: Item) -> Option<Quote> {
        self.entries
            .iter()
            .find(|(kept, _)| *kept == item)
            .map(|(_, quote)| *quote)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): each input gives an output that looks
/// random, so the sequence needs no state but a counter.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_is_the_same_every_time_and_skewed() {
        let demand = Demand::new();
        let first: Vec<Item> = (0..8).map(|request| demand.item(request)).collect();
        assert_eq!(first, [3880, 364, 447, 2, 108, 70, 1423, 72]);

        let among_best = |best: u32| (0..10_000).filter(|n| demand.item(*n) < best).count();
        assert!((6_800..7_100).contains(&among_best(1024)));
        assert!((8_800..9_000).contains(&among_best(4096)));
        assert_eq!(among_best(ITEMS), 10_000);
    }

    #[test]
    fn every_body_has_the_same_length() {
        let lengths: std::collections::BTreeSet<usize> = (0..ITEMS)
            .map(|item| Quote::of(item).body().len())
            .collect();
        assert_eq!(lengths.len(), 1, "{lengths:?}");
        serde_json::from_str::<serde_json::Value>(&Quote::of(7).body()).unwrap();
    }

    #[test]
    fn the_cache_answers_as_the_shop_does() {
        let cache = Cache::of(256);
        assert_eq!(cache.get(255), Some(Quote::of(255)));
        assert_eq!(cache.get(256), None);
        assert_eq!(Cache::default().get(0), None);
    }
}
