//! The bodies of the targets, which stand beside the tests of the policy.

#[path = "../../../runtime/policy/tests/support/bodies.rs"]
pub mod bodies;
#[path = "../../../runtime/policy/tests/support/matcher.rs"]
pub mod matcher;

pub use libfuzzer_sys;

/// A target that does what the body of its name does.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::bodies::$name(data));
    };
}
