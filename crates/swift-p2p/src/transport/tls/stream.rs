//! The dialling end of an encrypted connection, over rustls without its own buffers.
//!
//! It takes up to 128 KiB from the socket at once, that is many records, and decrypts as many of them as the reader has
//! room for. The buffered interface of rustls takes 4 KiB at a time, and tokio-rustls gives out one record at a time.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use rustls::{
    ClientConfig,
    client::UnbufferedClientConnection,
    pki_types::ServerName,
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_util::io::poll_read_buf;

/// What one read from the socket may take: little at first, and more when that was filled.
const READ_LEN_MIN: usize = 8 * 1024;
const READ_LEN_MAX: usize = 128 * 1024;
/// Encrypted at once. What waits for the socket is never much more than this.
const WRITE_LEN_MAX: usize = 64 * 1024;
/// The most content of a record, and more than stands around it.
const RECORD_LEN: usize = 16 * 1024;
const RECORD_EXTRA: usize = 64;

/// An encrypted connection to one node.
pub(in crate::transport) struct SecureStream {
    tcp: TcpStream,
    tls: Box<UnbufferedClientConnection>,
    /// As it came from the socket: records, the last of them perhaps not whole.
    incoming: BytesMut,
    /// How much the next read from the socket may take.
    read_len: usize,
    /// Decrypted, and not read yet.
    plain: BytesMut,
    /// Encrypted, and not sent yet.
    outgoing: BytesMut,
    /// The other side has said that nothing more comes.
    is_over: bool,
    /// This side has.
    is_closed: bool,
    /// What the socket failed with when there were bytes to give first.
    failure: Option<io::Error>,
    /// Whoever uses the connection says here that it rests.
    is_resting: Arc<AtomicBool>,
}

/// What to do when nothing else is to be done.
#[derive(Clone, Copy)]
enum Task<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    Close,
}

/// How far a step has taken a connection.
enum Step {
    /// There may be more to do at once.
    Further,
    /// The handshake goes on when more has come.
    Waiting,
    /// Every whole record is read and the task is done, as far as one step does it.
    Done,
}

impl SecureStream {
    /// Shakes hands over a new connection.
    pub(in crate::transport) async fn open(
        tcp: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let tls = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = Self {
            tcp,
            tls: Box::new(tls),
            incoming: BytesMut::new(),
            read_len: READ_LEN_MIN,
            plain: BytesMut::new(),
            outgoing: BytesMut::new(),
            is_over: false,
            is_closed: false,
            failure: None,
            is_resting: Arc::default(),
        };
        match stream.shake_hands().await {
            Ok(()) => Ok(stream),
            Err(error) => {
                stream.send_alert();
                Err(error)
            }
        }
    }

    /// Set while the connection waits for its next use, so that it keeps no more memory than that takes.
    pub(in crate::transport) fn resting(&self) -> Arc<AtomicBool> {
        self.is_resting.clone()
    }

    async fn shake_hands(&mut self) -> io::Result<()> {
        loop {
            match self.step(Task::Nothing, None)? {
                Step::Further if self.is_over => return Err(io::ErrorKind::UnexpectedEof.into()),
                Step::Further => {}
                Step::Done => break,
                Step::Waiting => {
                    self.tcp.write_all_buf(&mut self.outgoing).await?;
                    self.incoming.reserve(READ_LEN_MIN);
                    if self.tcp.read_buf(&mut self.incoming).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
        self.tcp.write_all_buf(&mut self.outgoing).await
    }

    /// Tells the other side what is wrong, as far as the socket takes it at once: this end has failed in any case.
    fn send_alert(&mut self) {
        self.incoming.clear();
        // The first step after an error has the alert, if there is one.
        if self.step(Task::Nothing, None).is_ok() {
            let _ = self.tcp.try_write(&self.outgoing);
        }
        self.is_closed = true;
    }

    /// Lets go of memory that is of no use while nothing goes through.
    fn rest(&mut self) {
        for buffer in [&mut self.incoming, &mut self.plain, &mut self.outgoing] {
            if buffer.is_empty() {
                *buffer = BytesMut::new();
            }
        }
        self.read_len = READ_LEN_MIN;
    }

    /// Does the next thing that the connection asks for, or the task. What is decrypted goes to `reader`; what it has
    /// no room for is kept.
    fn step(&mut self, task: Task<'_>, mut reader: Option<&mut ReadBuf<'_>>) -> io::Result<Step> {
        let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(&mut self.incoming);
        let step = match state.map_err(invalid)? {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record.map_err(invalid)?;
                    discard += record.discard;
                    let mut payload = record.payload;
                    if let Some(reader) = reader.as_mut().filter(|_| self.plain.is_empty()) {
                        let (now, later) = payload.split_at(payload.len().min(reader.remaining()));
                        reader.put_slice(now);
                        payload = later;
                    }
                    self.plain.extend_from_slice(payload);
                }
                Step::Further
            }
            ConnectionState::EncodeTlsData(mut message) => {
                append(&mut self.outgoing, RECORD_LEN, |room| match message.encode(room) {
                    Ok(len) => Ok(Ok(len)),
                    Err(EncodeError::InsufficientSize(lack)) => Ok(Err(lack.required_size)),
                    Err(error) => Err(io::Error::other(error)),
                })?;
                Step::Further
            }
            // It is sent in its turn, before anything that is encrypted later.
            ConnectionState::TransmitTlsData(message) => {
                message.done();
                Step::Further
            }
            ConnectionState::WriteTraffic(mut traffic) => {
                match task {
                    Task::Nothing => {}
                    Task::Encrypt(data) => {
                        let len = data.len() + data.len().div_ceil(RECORD_LEN) * RECORD_EXTRA;
                        append(&mut self.outgoing, len, |room| encrypted(traffic.encrypt(data, room)))?;
                    }
                    Task::Close => append(&mut self.outgoing, RECORD_EXTRA, |room| {
                        encrypted(traffic.queue_close_notify(room))
                    })?,
                }
                Step::Done
            }
            ConnectionState::BlockedHandshake => Step::Waiting,
            ConnectionState::PeerClosed => {
                self.is_over = true;
                Step::Further
            }
            // Both sides have said that they are done: no task can be.
            ConnectionState::Closed => {
                self.is_over = true;
                Step::Done
            }
            _ => return Err(io::Error::other("TLS has come to a state that no client is in")),
        };
        self.incoming.advance(discard);
        Ok(step)
    }

    /// Steps until the task is done.
    fn carry_out(&mut self, task: Task<'_>) -> io::Result<()> {
        loop {
            match self.step(task, None)? {
                Step::Further => {}
                Step::Done => return Ok(()),
                Step::Waiting => return Err(io::ErrorKind::NotConnected.into()),
            }
        }
    }

    /// Decrypts what is here, as far as there is room for it.
    fn decrypt(&mut self, reader: &mut ReadBuf<'_>) -> io::Result<()> {
        let kept = self.plain.len().min(reader.remaining());
        reader.put_slice(&self.plain[..kept]);
        self.plain.advance(kept);
        while reader.remaining() > 0 && !self.is_over && !self.incoming.is_empty() {
            match self.step(Task::Nothing, Some(&mut *reader))? {
                Step::Further => {}
                Step::Done | Step::Waiting => break,
            }
        }
        Ok(())
    }

    /// Takes from the socket what is there; 0 at its end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = self.read_len.saturating_sub(self.incoming.len()).max(READ_LEN_MIN);
        self.incoming.reserve(room);
        let read = ready!(poll_read_buf(Pin::new(&mut self.tcp), cx, &mut self.incoming))?;
        if read >= room {
            self.read_len = (self.read_len * 2).min(READ_LEN_MAX);
        }
        Poll::Ready(Ok(read))
    }

    /// Sends what waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, &self.outgoing))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for SecureStream {
    /// As much as is there and fits, of however many records.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            self.decrypt(buffer)?;
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
            if buffer.remaining() == 0 || self.is_over {
                break;
            }
            let has_some = buffer.filled().len() > before;
            if let Some(error) = self.failure.take_if(|_| !has_some) {
                return Poll::Ready(Err(error));
            }
            match self.poll_receive(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(ended) => {
                    // Without a word from the other side it is no end.
                    let failure = ended.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                    if !has_some {
                        return Poll::Ready(Err(failure));
                    }
                    self.failure.get_or_insert(failure);
                    break;
                }
                Poll::Pending if has_some => break,
                Poll::Pending => {
                    if self.is_resting.load(Ordering::Relaxed) {
                        self.rest();
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SecureStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        let data = &data[..data.len().min(WRITE_LEN_MAX)];
        if !data.is_empty() {
            self.carry_out(Task::Encrypt(data))?;
        }
        // It is on its way; what the socket does not take now goes with the next call.
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(data.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_closed {
            self.is_closed = true;
            self.carry_out(Task::Close)?;
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Drop for SecureStream {
    /// Says that it is over, if the socket takes it at once.
    fn drop(&mut self) {
        if !self.is_closed && self.outgoing.is_empty() && self.carry_out(Task::Close).is_ok() {
            let _ = self.tcp.try_write(&self.outgoing);
        }
    }
}

/// Lets `write` write about `len` bytes at the end of a buffer. It says how many it wrote, or how much room it needs.
fn append(
    buffer: &mut BytesMut,
    len: usize,
    mut write: impl FnMut(&mut [u8]) -> io::Result<Result<usize, usize>>,
) -> io::Result<()> {
    let before = buffer.len();
    buffer.resize(before + len, 0);
    let mut written = write(&mut buffer[before..])?;
    if let Err(needed) = written {
        buffer.resize(before + needed, 0);
        written = write(&mut buffer[before..])?;
    }
    buffer.truncate(before + written.unwrap_or(0));
    written.map(drop).map_err(|_| io::Error::other("TLS needs ever more room for a message"))
}

/// What [`append`] wants to hear.
fn encrypted(outcome: Result<usize, EncryptError>) -> io::Result<Result<usize, usize>> {
    match outcome {
        Ok(len) => Ok(Ok(len)),
        Err(EncryptError::InsufficientSize(lack)) => Ok(Err(lack.required_size)),
        Err(error) => Err(io::Error::other(error)),
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
