//! `servo run` in the place of the original: the real binary in folders as the
//! original knew them, with its options, exit codes and signals.
//!
//! The service is the scripted stub, which also sees to the order of things.
//! What a test waits for is an event of the stub or a line of the servo.

mod begin;
mod codes;
mod counters;
mod cut_short;
mod folders;
mod going_on;
mod world;
