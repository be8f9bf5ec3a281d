//! A bare connection, for requests that no HTTP library would send.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::{Client, soon};

pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) async fn connect(node: SocketAddr) -> Self {
        Self(soon(TcpStream::connect(node)).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.0.write_all(bytes)).await.unwrap();
    }

    /// Sends the head of a PUT that announces `len` bytes of content.
    pub(crate) async fn begin_put(&mut self, client: &Client, path: &str, len: usize) {
        let head = format!(
            "PUT {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
             content-length: {len}\r\n\r\n",
            client.token()
        );
        self.send(head.as_bytes()).await;
    }

    /// What comes until the other side closes; empty when it closes without an answer.
    pub(crate) async fn answer(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset is an end as well.
        let _ = soon(self.0.read_to_end(&mut bytes)).await;
        String::from_utf8(bytes).unwrap()
    }
}
