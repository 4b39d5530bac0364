//! One limit over all memories of a store.
//!
//! The engine's ready-made limiter bounds each memory by itself, which bounds
//! nothing as long as a component may have several. This one adds up what all
//! memories (and all tables) of the store hold.

use wasmtime::ResourceLimiter;

use crate::engine::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLES};
use crate::outcome::Limit;

/// What the memories and tables of one store hold, and may hold together.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    memory: Sum,
    tables: Sum,
    /// The limit that was last refused to the guest. A guest usually aborts on
    /// a refusal; this tells why it did.
    refused: Option<Limit>,
}

/// What everything of one kind holds together.
#[derive(Debug)]
struct Sum {
    kind: Limit,
    used: usize,
    limit: usize,
}

impl Sum {
    fn new(kind: Limit, limit: usize) -> Self {
        Self {
            kind,
            used: 0,
            limit,
        }
    }

    /// Whether one of the kind may grow, and if so, counts it. A growth past
    /// the guest's own `maximum` fails by itself; only one past our limit is
    /// noted as refused.
    fn grow(
        &mut self,
        (current, desired, maximum): (usize, usize, Option<usize>),
        refused: &mut Option<Limit>,
    ) -> bool {
        let sum = desired
            .checked_sub(current)
            .and_then(|more| self.used.checked_add(more))
            .filter(|sum| *sum <= self.limit);
        match sum {
            Some(_) if maximum.is_some_and(|maximum| desired > maximum) => false,
            Some(sum) => {
                self.used = sum;
                true
            }
            None => {
                *refused = Some(self.kind);
                false
            }
        }
    }
}

impl MemoryLimiter {
    pub(crate) fn new(memory_bytes: u64, table_elements: u32) -> Self {
        let limit = |amount: u64| usize::try_from(amount).unwrap_or(usize::MAX);
        Self {
            memory: Sum::new(Limit::Memory, limit(memory_bytes)),
            tables: Sum::new(Limit::Tables, limit(table_elements.into())),
            refused: None,
        }
    }

    /// Bytes that all memories hold now.
    pub(crate) fn memory_used(&self) -> usize {
        self.memory.used
    }

    /// The limit a refused growth ran into, if there was one.
    pub(crate) fn refused(&self) -> Option<Limit> {
        self.refused
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = (current, desired, maximum);
        Ok(self.memory.grow(growth, &mut self.refused))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = (current, desired, maximum);
        Ok(self.tables.grow(growth, &mut self.refused))
    }

    fn instances(&self) -> usize {
        // Component instances count here too; a few more than core ones.
        (MAX_CORE_INSTANCES as usize) * 2
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_memories_are_limited_by_their_sum() {
        let mut limiter = MemoryLimiter::new(100, 10);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert_eq!(limiter.refused(), Some(Limit::Memory));
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert_eq!(limiter.memory_used(), 100);
    }

    #[test]
    fn the_engine_s_own_maximum_does_not_hide_the_limit() {
        let mut limiter = MemoryLimiter::new(100, 10);
        assert!(!limiter.memory_growing(0, 90, Some(80)).unwrap());
        assert_eq!((limiter.refused(), limiter.memory_used()), (None, 0));
        assert!(!limiter.table_growing(0, 1000, Some(10)).unwrap());
        assert_eq!(limiter.refused(), Some(Limit::Tables));
        assert!(!limiter.memory_growing(0, 1000, Some(100)).unwrap());
        assert_eq!(limiter.refused(), Some(Limit::Memory));
    }

    #[test]
    fn a_memory_that_grows_is_counted_once() {
        let mut limiter = MemoryLimiter::new(100, 10);
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert!(limiter.memory_growing(40, 100, None).unwrap());
        assert_eq!(limiter.memory_used(), 100);
    }

    #[test]
    fn b4_tables_are_limited_by_their_sum() {
        let mut limiter = MemoryLimiter::new(100, 10);
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(!limiter.table_growing(0, 1, None).unwrap());
        assert_eq!(limiter.refused(), Some(Limit::Tables));
    }
}
