//! Sockets, which no plugin gets: the calls that would make one, or look a name up, are refused and recorded.
//!
//! The other interfaces work on sockets; without one there is nothing to call them with.

use kiln_telemetry::DeniedCapability;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{self, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{SocketError, SocketResult, TcpSocket, UdpSocket};
use wasmtime_wasi_io::poll::DynPollable;
use wasmtime_wasi_io::streams::Error as IoError;

use crate::store_data::StoreData;

impl StoreData {
    fn no_socket(&self, target: &str) -> SocketError {
        let text = "no plugin gets sockets: use HTTP, which is granted by origin";
        self.denied(DeniedCapability::Sockets, target, "never", text);
        ErrorCode::AccessDenied.into()
    }
}

impl network::Host for StoreData {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, _: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl network::HostNetwork for StoreData {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.wasi.table.delete(network)?;
        Ok(())
    }
}

impl tcp_create_socket::Host for StoreData {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        Err(self.no_socket("tcp"))
    }
}

impl udp_create_socket::Host for StoreData {
    async fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        Err(self.no_socket("udp"))
    }
}

impl ip_name_lookup::Host for StoreData {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        Err(self.no_socket(&name))
    }
}

impl ip_name_lookup::HostResolveAddressStream for StoreData {
    fn resolve_next_address(&mut self, _: Resource<ResolveAddressStream>) -> SocketResult<Option<IpAddress>> {
        Err(ErrorCode::InvalidState.into())
    }

    fn subscribe(&mut self, _: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        Err(wasmtime::Error::msg("there is no name lookup to wait for"))
    }

    fn drop(&mut self, _: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        Ok(())
    }
}
