//! The points that were tried, and the search for one that was not.

use std::collections::HashSet;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use crate::space::{Point, Space};

/// Random draws before the grid is walked: in a space that is mostly unseen a
/// draw misses at most half of the time, so this many misses in a row mean
/// that the space is nearly exhausted and small enough to walk.
const DRAWS: usize = 64;

/// Set of told points.
#[derive(Debug, Default)]
pub(super) struct Seen(HashSet<Point>);

impl Seen {
    pub(super) fn insert(&mut self, point: Point) {
        self.0.insert(point);
    }

    pub(super) fn contains(&self, point: &Point) -> bool {
        self.0.contains(point)
    }

    /// All points of the space were told.
    pub(super) fn covers(&self, space: &Space) -> bool {
        self.0.len() as u128 >= space.size()
    }

    /// A random point that was not told yet.
    pub(super) fn unseen(&self, space: &Space, generator: &mut ChaCha8Rng) -> Option<Point> {
        if self.covers(space) {
            return None;
        }
        for _ in 0..DRAWS {
            let point = uniform(space, generator);
            if !self.contains(&point) {
                return Some(point);
            }
        }
        let size = space.size();
        let start = generator.random_range(0..size);
        // At most one step more than there are told points.
        (0..size)
            .map(|n| space.nth((start + n) % size))
            .find(|point| !self.contains(point))
    }
}

/// A point drawn evenly.
fn uniform(space: &Space, generator: &mut ChaCha8Rng) -> Point {
    Point(
        space
            .dimensions
            .iter()
            .map(|each| generator.random_range(0..each.domain.count().max(1)))
            .collect(),
    )
}
