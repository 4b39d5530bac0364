//! The local optimization service.
#![forbid(unsafe_code)]

pub mod sampler;
pub mod space;
