//! The behaviours themselves, where there is a host to try them on.

mod files;
mod memory;
mod network;
mod output;
mod raw;
mod secrets;
mod time;

use std::time::Duration;

use servo_driver::{Context, Failure};
use wasip2::cli::{environment, stdin};
use wasip2::random::random::get_random_bytes;

use crate::{Behaviour, Findings, Through};

pub(crate) fn behave(
    behaviour: &Behaviour,
    through: Through,
    cx: &Context,
) -> Result<Findings, Failure> {
    match behaviour {
        Behaviour::Nothing
        | Behaviour::Metrics { .. }
        | Behaviour::Pause { .. }
        | Behaviour::PauseWith { .. } => Ok(vec![]),
        Behaviour::Spin => time::spin(),
        Behaviour::PollReady => time::poll_ready(),
        Behaviour::Sleep { nanos } => Ok(time::sleep(*nanos)),
        Behaviour::SleepUntil { instant } => Ok(time::sleep_until(*instant)),
        Behaviour::Deaf => time::deaf(cx),
        Behaviour::Wait { seconds } => time::wait(cx, *seconds),
        Behaviour::Defy => Ok(time::defy(cx)),
        Behaviour::Grow { crash } => Ok(memory::grow(*crash)),
        Behaviour::GrowAndFill => Ok(memory::grow_and_fill()),
        Behaviour::Recurse => Ok(note("depth", memory::recurse(1))),
        Behaviour::Hold { handle } => memory::hold(*handle),
        Behaviour::Fields { count, bytes } => Ok(memory::fields(*count, *bytes)),
        Behaviour::Result { bytes } => Ok(note("large", "x".repeat(*bytes))),
        Behaviour::Random { bytes } => Ok(note("random", get_random_bytes(*bytes).len())),
        Behaviour::Http {
            url,
            count,
            at_once,
        } => network::http(cx, url, *count, *at_once),
        Behaviour::Raw { requests } => Ok(raw::requests(requests, through)),
        Behaviour::Drain {
            request,
            pause_millis,
        } => Ok(raw::count(
            request,
            through,
            Duration::from_millis(*pause_millis),
        )),
        Behaviour::HoldAnswers { requests } => Ok(raw::hold(requests, through)),
        Behaviour::Follow { request, hops } => raw::follow(request, through, *hops),
        Behaviour::Storm { request, times } => Ok(raw::storm(request, through, *times)),
        Behaviour::Search {
            requests,
            backwards,
            planted,
        } => Ok(secrets::search(requests, through, backwards, *planted)),
        Behaviour::Act { name } => Ok(note(
            "act",
            format!("{:?}", cx.actions().run(name, [("", ""); 0])),
        )),
        Behaviour::Clocks => Ok(time::clocks()),
        Behaviour::List { folder } => files::list(folder),
        Behaviour::Descriptors { path } => files::descriptors(path),
        Behaviour::Sockets { ip, port } => Ok(network::sockets(*ip, *port)),
        Behaviour::Listen { port } => network::listen(cx, *port),
        Behaviour::Lookup { name } => Ok(network::lookup(name)),
        Behaviour::Files { actions } => files::act(actions),
        Behaviour::Fill { folder, with } => files::fill(folder, *with),
        Behaviour::Environment => Ok(environment()),
        Behaviour::Print { bytes, text } => Ok(output::print(*bytes, text)),
        Behaviour::Log { lines, bytes } => Ok(output::log(*lines, *bytes)),
        Behaviour::Progress => cx.progress(50.0).map(|()| vec![]).map_err(Into::into),
        Behaviour::Remember => Ok(memory::remember()),
        Behaviour::Crash => std::process::abort(),
        Behaviour::CrashAfter { behaviour } => {
            behave(behaviour, through, cx)?;
            std::process::abort()
        }
        Behaviour::Store { key, bytes } => {
            cx.store().set(key, &"v".repeat(*bytes))?;
            Ok(note("keys", cx.store().keys()?.join(",")))
        }
    }
}

pub(crate) fn note(name: impl Into<String>, text: impl ToString) -> Findings {
    vec![(name.into(), text.to_string())]
}

fn environment() -> Findings {
    let read = stdin::get_stdin().blocking_read(64);
    [
        ("variables", format!("{:?}", environment::get_environment())),
        ("arguments", format!("{:?}", environment::get_arguments())),
        ("folder", format!("{:?}", environment::initial_cwd())),
        ("input", format!("{read:?}")),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .to_vec()
}
