//! The driver as a component: what it calls, and what calls it.

pub(crate) mod export;
mod fetch;
mod http;
pub(crate) mod imports;
