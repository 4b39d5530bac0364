//! `wasi:sockets`, of which every use is refused and recorded.
//!
//! Standard libraries import it whether a driver uses it or not, so it has to
//! be there. The functions by which something could begin (a socket, a lookup)
//! are ours and never reach the engine's; no guest holds anything on which the
//! others could be called. The context of a store forbids them all the same.

use std::sync::Arc;

use servo_audit::{Capability, Reason};
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{self, HostResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, ErrorCode, HostNetwork, IpAddress, IpAddressFamily, Network,
};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{DynPollable, SocketError, SocketResult, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::{WasiSocketsCtxView, WasiSocketsView};

use crate::host::{CallShared, CallState};

/// Names [`RefusedView`] to the linker.
pub(crate) struct Refused;

impl HasData for Refused {
    type Data<'a> = RefusedView<'a>;
}

/// The sockets of one store.
pub(crate) struct RefusedView<'a> {
    shared: Arc<CallShared>,
    inner: WasiSocketsCtxView<'a>,
}

pub(crate) fn view(state: &mut CallState) -> RefusedView<'_> {
    RefusedView {
        shared: Arc::clone(&state.shared),
        inner: state.sockets(),
    }
}

impl RefusedView<'_> {
    fn refuse<T>(&self, what: &str) -> SocketResult<T> {
        self.shared
            .records
            .denied(Capability::Sockets, what, Reason::NotGranted);
        Err(ErrorCode::AccessDenied.into())
    }
}

impl network::Host for RefusedView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.inner.convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.inner.network_error_code(error)
    }
}

impl HostNetwork for RefusedView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        HostNetwork::drop(&mut self.inner, network)
    }
}

impl tcp_create_socket::Host for RefusedView<'_> {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.refuse("tcp socket")
    }
}

impl udp_create_socket::Host for RefusedView<'_> {
    async fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.refuse("udp socket")
    }
}

impl ip_name_lookup::Host for RefusedView<'_> {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ip_name_lookup::ResolveAddressStream>> {
        self.refuse(&format!("look up {name}"))
    }
}

impl HostResolveAddressStream for RefusedView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        self.inner.resolve_next_address(stream)
    }

    fn subscribe(
        &mut self,
        stream: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        HostResolveAddressStream::subscribe(&mut self.inner, stream)
    }

    fn drop(
        &mut self,
        stream: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> wasmtime::Result<()> {
        HostResolveAddressStream::drop(&mut self.inner, stream)
    }
}
