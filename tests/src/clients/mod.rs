//! The other clients of the service: servos that are not ours.
//!
//! The service is to serve them unmodified, and only they can say whether it
//! does. servox is installed as its users install it. The original is not on
//! any registry; what it puts on the wire was recorded byte for byte, and
//! [`original`] sends exactly that.

pub mod original;
pub mod python;
pub mod servox;
