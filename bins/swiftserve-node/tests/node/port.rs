//! Ports that nobody else takes while a node is down.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A free port of this machine, kept for one test.
///
/// A node names its port before it binds it, and binds it again after a restart. In between, the system could give the
/// port to any connection of another test. On Linux a bound socket that does not listen prevents that without being in
/// the way of one that does.
pub(crate) struct Port {
    number: u16,
    _kept: Option<TcpSocket>,
}

impl Port {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let number = socket.local_addr().unwrap().port();
        Self { number, _kept: cfg!(target_os = "linux").then_some(socket) }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}
