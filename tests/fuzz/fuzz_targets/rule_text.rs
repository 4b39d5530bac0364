//! See `bodies::rule_text`.
#![no_main]

servo_fuzz::target!(rule_text);
