//! Which imports exist at all.
//!
//! An interface that is not in the linker cannot be abused: a component that
//! imports it is refused when it is loaded, before any of its code runs. The
//! linkers are built once; cloning one has been an advisory.

use wasmtime::Engine;
use wasmtime::component::{HasData, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random, sockets};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};

use crate::bindings::Hosting;
use crate::disk;
use crate::errors::{Errors, ErrorsView};
use crate::host::CallState;
use crate::sockets::{self as dead, Refused};

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// The imports of the driver worlds.
pub(crate) fn drivers(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    type T = CallState;
    let mut linker = Linker::new(engine);
    let l = &mut linker;

    io::error::add_to_linker::<T, Errors>(l, |t| ErrorsView(t.ctx().table))?;
    io::poll::add_to_linker::<T, Table>(l, |t| t.ctx().table)?;
    io::streams::add_to_linker::<T, Table>(l, |t| t.ctx().table)?;
    clocks::wall_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    random::random::add_to_linker::<T, WasiRandom>(l, |t| t.wasi.random())?;
    random::insecure::add_to_linker::<T, WasiRandom>(l, |t| t.wasi.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(l, |t| t.wasi.random())?;
    filesystem::types::add_to_linker::<T, disk::Metered>(l, disk::view)?;
    filesystem::preopens::add_to_linker::<T, disk::Metered>(l, disk::view)?;
    cli::exit::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::environment::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stderr::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(l, T::cli)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(l)?;
    Hosting::add_to_linker::<T, HasSelf<T>>(l, |t| t)?;
    Ok(linker)
}

/// The same and `wasi:sockets`, for the standard libraries that import it
/// whether a driver uses it or not. Every use of it is refused.
pub(crate) fn drivers_with_dead_sockets(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    type T = CallState;
    let mut linker = drivers(engine)?;
    let l = &mut linker;
    let options = wasmtime_wasi::p2::bindings::LinkOptions::default();

    sockets::tcp::add_to_linker::<T, WasiSockets>(l, T::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<T, Refused>(l, dead::view)?;
    sockets::udp::add_to_linker::<T, WasiSockets>(l, T::sockets)?;
    sockets::udp_create_socket::add_to_linker::<T, Refused>(l, dead::view)?;
    sockets::instance_network::add_to_linker::<T, WasiSockets>(l, T::sockets)?;
    sockets::network::add_to_linker::<T, WasiSockets>(l, &(&options).into(), T::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<T, Refused>(l, dead::view)?;
    Ok(linker)
}
