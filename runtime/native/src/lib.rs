//! Drivers as the original ran them: ordinary programs.
//!
//! They have every privilege of the person who runs the servo, so they exist
//! only where the operator says `--allow-native-drivers`. They stand in a
//! crate of their own because this is the one place of the runtime that starts
//! programs: a reader who wants to know what can be started reads this crate.
//! It speaks the calling convention of the protocol, section 13.

#![forbid(unsafe_code)]
