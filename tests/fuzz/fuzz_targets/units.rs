//! See `bodies::units`.
#![no_main]

servo_fuzz::target!(units);
