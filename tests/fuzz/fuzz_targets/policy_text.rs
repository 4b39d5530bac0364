//! See `bodies::policy_text`.
#![no_main]

servo_fuzz::target!(policy_text);
