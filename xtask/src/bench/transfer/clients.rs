//! Clients of one node: content to it, by each way there is, and content from it.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::{Clock, LIMIT, Measured};
use crate::scenario::node::Node;
use crate::scenario::world::World;

const PIECE_LEN: usize = 256 << 10;
const BOUNDARY: &str = "----bench-transfer";

/// How content comes to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Put,
    Form,
    Swiftctl,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Put, Self::Form, Self::Swiftctl];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "PUT",
            Self::Form => "POST /upload",
            Self::Swiftctl => "swiftctl",
        })
    }
}

/// From the first byte until the file is published. Of the CPU time only the node's counts.
pub(super) fn upload(world: &mut World, size: u64, way: Way) -> Result<Measured> {
    let file = world.file("content", size, 2)?;
    let mut node = world.found()?;
    let clock = Clock::start(&[&node])?;
    match way {
        Way::Swiftctl => _ = node.ctl_within(LIMIT, &[&"upload", &file])?.ok()?,
        Way::Put => send(&node, "PUT /v1/files/content", "", &file, ("", ""))?,
        Way::Form => {
            let before = format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"content\"\r\n\r\n"
            );
            let after = format!("\r\n--{BOUNDARY}--\r\n");
            let kind = format!("content-type: multipart/form-data; boundary={BOUNDARY}\r\n");
            send(&node, "POST /upload", &kind, &file, (&before, &after))?;
        }
    }
    let measured = clock.stop(&[&node], size)?;
    node.stop()?;
    Ok(measured)
}

/// All of a complete file, to a client that keeps nothing.
pub(super) fn download(world: &mut World, size: u64) -> Result<Measured> {
    let file = world.file("content", size, 3)?;
    let mut node = world.found()?;
    node.ctl_within(LIMIT, &[&"upload", &file])?.ok()?;
    let clock = Clock::start(&[&node])?;
    let mut answer = begin(&node, "GET /v1/files/content", "", |_| Ok(()))?;
    let (mut piece, mut came) = (vec![0; PIECE_LEN], 0);
    loop {
        match answer.read(&mut piece)? {
            0 => break,
            len => came += len as u64,
        }
    }
    let measured = clock.stop(&[&node], size)?;
    ensure!(came == size, "{came} of {size} bytes came");
    node.stop()?;
    Ok(measured)
}

fn send(node: &Node, line: &str, fields: &str, file: &Path, (before, after): (&str, &str)) -> Result<()> {
    let mut file = File::open(file)?;
    let len = before.len() as u64 + file.metadata()?.len() + after.len() as u64;
    let fields = format!("{fields}content-length: {len}\r\n");
    let mut answer = begin(node, line, &fields, |mut socket| {
        socket.write_all(before.as_bytes())?;
        let mut piece = vec![0; PIECE_LEN];
        loop {
            match file.read(&mut piece)? {
                0 => break,
                len => socket.write_all(&piece[..len])?,
            }
        }
        socket.write_all(after.as_bytes())
    })?;
    io::copy(&mut answer, &mut io::sink())?;
    Ok(())
}

/// Sends a request and reads the head of its answer.
fn begin(
    node: &Node,
    line: &str,
    fields: &str,
    body: impl FnOnce(&TcpStream) -> io::Result<()>,
) -> Result<BufReader<TcpStream>> {
    let socket = TcpStream::connect(node.address())?;
    socket.set_read_timeout(Some(LIMIT))?;
    let head = format!(
        "{line} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\n{fields}\r\n",
        node.address(),
        node.token()?
    );
    (&socket).write_all(head.as_bytes())?;
    body(&socket).with_context(|| format!("the body of {line} was not taken"))?;
    let mut answer = BufReader::with_capacity(PIECE_LEN, socket);
    let mut status = String::new();
    answer.read_line(&mut status)?;
    if !status.starts_with("HTTP/1.1 20") {
        let mut rest = String::new();
        answer.take(4096).read_to_string(&mut rest)?;
        bail!("{line} was answered with {status}{rest}");
    }
    loop {
        let mut field = String::new();
        answer.read_line(&mut field)?;
        if field.trim_end().is_empty() {
            return Ok(answer);
        }
    }
}
