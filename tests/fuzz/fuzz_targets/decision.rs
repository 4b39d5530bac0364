//! See `bodies::decision`.
#![no_main]

servo_fuzz::target!(decision);
