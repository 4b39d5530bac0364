//! The process that compiles drivers in this crate's suite, as `servo` does.

use std::process::ExitCode;

fn main() -> ExitCode {
    servo_sandbox::compile_child::answer_if_asked().unwrap_or(ExitCode::FAILURE)
}
