//! The TCP connection under a conversation: its first byte and its ways to end.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::server::TlsStream;

/// Silence after which the system asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long, and how many bytes, a caller may go on sending after the last response. Generous in bytes: a client that
/// sends as fast as this side takes looks for an answer only when sending pauses or ends.
const LINGER_DEADLINE: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: u64 = 256 << 20;

/// Bytes to and from a TCP connection, encrypted or not.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Sends small messages at once, and notices in the end when the other machine is gone.
pub(super) fn prepare(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    SockRef::from(tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}

/// Waits for the first byte and leaves it where it is; nothing when the caller has gone.
pub(super) async fn first_byte(tcp: &TcpStream) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let read = tcp.peek(&mut byte).await?;
    Ok((read > 0).then_some(byte[0]))
}

/// Ends a connection so that the last response arrives: a caller that was refused in the middle of its upload still
/// sends, and closing on unread bytes would reset the connection and take the answer with it.
pub(super) async fn part<I: Socket>(mut io: I) {
    let end = async {
        io.shutdown().await?;
        tokio::io::copy(&mut io.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // However it ends, the connection is over.
    let _: Result<io::Result<u64>, _> = timeout(LINGER_DEADLINE, end).await;
}

/// Makes the coming close throw away what the socket still has to send, instead of sending it on for minutes.
pub(super) fn discard(io: &impl Socket) -> io::Result<()> {
    SockRef::from(io.tcp()).set_linger(Some(Duration::ZERO))
}
