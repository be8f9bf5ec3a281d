//! A small HTTP/1.1 client: one request per connection over a plain socket.
//!
//! Deliberately not the client library that the nodes use, so that a mistake common to both ends cannot hide.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What a scenario reads into memory at most.
const BODY_MAX: u64 = 64 << 20;
const LINE_MAX: u64 = 64 << 10;
const HEADERS_MAX: usize = 200;

/// A request. `token` goes into `Authorization: Bearer`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case, in the order they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    /// This response, or an error that shows it if its status is another.
    pub(crate) fn expect(self, status: u16) -> Result<Self> {
        if self.status != status {
            bail!("answered {} instead of {status}: {}", self.status, self.text());
        }
        Ok(self)
    }
}

/// Asks and reads the whole answer. `patience` bounds the connecting and every single read and write.
pub(crate) fn ask(address: SocketAddr, request: &Request<'_>, patience: Duration) -> Result<Response> {
    let stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    // A server may refuse before it has read the body, and close: then its answer tells why writing failed.
    let written = write_request(&mut &stream, address, request);
    match (read_response(&mut BufReader::new(&stream), request.method), written) {
        (Err(_), Err(error)) => Err(error).context("cannot send the request"),
        (response, _) => response,
    }
}

fn write_request(out: &mut impl Write, host: SocketAddr, request: &Request<'_>) -> Result<()> {
    let Request { method, path, token, body } = request;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    if let Some(token) = token {
        head.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    if !body.is_empty() || ["POST", "PUT", "PATCH"].contains(method) {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    out.write_all(head.as_bytes())?;
    out.write_all(body)?;
    Ok(out.flush()?)
}

fn read_response(input: &mut impl BufRead, method: &str) -> Result<Response> {
    loop {
        let status = status_of(&line(input)?)?;
        let headers = read_headers(input)?;
        // An interim answer, as 100 Continue, is followed by the real one.
        if (100..200).contains(&status) {
            continue;
        }
        let mut response = Response { status, headers, body: Vec::new() };
        if method != "HEAD" && status != 204 && status != 304 {
            response.body = read_body(input, &response)?;
        }
        return Ok(response);
    }
}

fn status_of(line: &str) -> Result<u16> {
    let mut words = line.split(' ');
    let (version, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match status.parse() {
        Ok(status @ 100..=599) if version.starts_with("HTTP/1.") && words.count() <= 64 => Ok(status),
        _ => bail!("not an HTTP/1 status line: {line:?}"),
    }
}

fn read_headers(input: &mut impl BufRead) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = line(input)?;
        if line.is_empty() {
            return Ok(headers);
        }
        if headers.len() == HEADERS_MAX {
            bail!("more than {HEADERS_MAX} headers");
        }
        let (name, value) = line.split_once(':').with_context(|| format!("not a header: {line:?}"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(input: &mut impl BufRead, response: &Response) -> Result<Vec<u8>> {
    if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return read_chunks(input);
    }
    let mut body = Vec::new();
    match response.header("content-length") {
        Some(length) => {
            let length = length.parse().with_context(|| format!("not a length: {length:?}"))?;
            read_exactly(input, length, &mut body)?;
        }
        None => {
            let read = input.take(BODY_MAX + 1).read_to_end(&mut body)?;
            if read as u64 > BODY_MAX {
                bail!("the body is longer than {BODY_MAX} bytes");
            }
        }
    }
    Ok(body)
}

fn read_chunks(input: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = line(input)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length =
            u64::from_str_radix(digits, 16).with_context(|| format!("not a chunk length: {line:?}"))?;
        if length == 0 {
            // Trailers, which nobody here asks for.
            read_headers(input)?;
            return Ok(body);
        }
        read_exactly(input, length, &mut body)?;
        let end = self::line(input)?;
        if !end.is_empty() {
            bail!("a chunk is longer than it says");
        }
    }
}

/// Appends `length` bytes, or fails: a connection that ends early has not given its answer.
fn read_exactly(input: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> Result<()> {
    if length.saturating_add(body.len() as u64) > BODY_MAX {
        bail!("the body is longer than {BODY_MAX} bytes");
    }
    let read = input.take(length).read_to_end(body)?;
    if read as u64 != length {
        bail!("the connection ended after {read} of {length} bytes");
    }
    Ok(())
}

/// The next line without its end.
fn line(input: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    input.take(LINE_MAX).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(text) => Ok(text.strip_suffix('\r').unwrap_or(text).to_owned()),
        None if line.is_empty() => bail!("the connection ended before the answer was complete"),
        None => bail!("a line without an end"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    fn parsed(text: &str, method: &str) -> Result<Response> {
        read_response(&mut text.as_bytes(), method)
    }

    #[test]
    fn a_body_is_as_long_as_its_header_says() -> Result<()> {
        let response =
            parsed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello and more", "GET")?;
        assert_eq!((response.status, response.text().as_str()), (200, "hello"));
        assert_eq!(response.header("x-a"), Some("b"));
        Ok(())
    }

    #[test]
    fn chunks_are_put_together_and_trailers_passed_over() -> Result<()> {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n, worlds!!\r\n0\r\nT: u\r\n\r\n";
        assert_eq!(parsed(text, "GET")?.text(), "hello, worlds!!");
        Ok(())
    }

    #[test]
    fn without_a_length_the_body_ends_with_the_connection() -> Result<()> {
        assert_eq!(parsed("HTTP/1.0 404 Not Found\n\nnothing here", "GET")?.text(), "nothing here");
        Ok(())
    }

    #[test]
    fn answers_without_a_body_are_not_waited_for() -> Result<()> {
        assert!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD")?.body.is_empty());
        assert_eq!(parsed("HTTP/1.1 204 No Content\r\n\r\n", "DELETE")?.status, 204);
        Ok(())
    }

    #[test]
    fn an_interim_answer_is_passed_over() -> Result<()> {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(parsed(text, "PUT")?.status, 201);
        Ok(())
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 999 X\r\n\r\n",
            "SSH-2.0-x\r\n",
        ] {
            assert!(parsed(text, "GET").is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_request_carries_its_token_and_its_body() -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let server = thread::spawn(move || -> Result<String> {
            let (mut stream, _) = listener.accept()?;
            let mut seen = Vec::new();
            let mut byte = [0];
            while !seen.ends_with(b"body") {
                stream.read_exact(&mut byte)?;
                seen.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n{}")?;
            Ok(String::from_utf8(seen)?)
        });
        let request = Request { method: "POST", path: "/upload", token: Some("t0"), body: b"body" };
        let response = ask(address, &request, Duration::from_secs(10))?;
        assert_eq!(response.status, 409);
        assert!(response.json()?.is_object());
        assert!(response.expect(200).is_err());
        let seen = server.join().expect("the server ends")?;
        assert!(seen.starts_with("POST /upload HTTP/1.1\r\n"), "{seen}");
        for header in ["authorization: Bearer t0", "content-length: 4", "connection: close"] {
            assert!(seen.contains(&format!("\r\n{header}\r\n")), "{seen}");
        }
        Ok(())
    }
}
