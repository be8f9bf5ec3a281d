//! A node made of canned answers, and a record of what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// `METHOD /path?query`.
    pub(crate) line: String,
    fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A field of the head.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// What to answer.
pub(crate) struct Answer {
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Claimed, when it is not the body's.
    claimed_len: Option<usize>,
}

impl Answer {
    /// Bytes.
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, fields: Vec::new(), body: body.into(), claimed_len: None }
    }

    /// JSON.
    pub(crate) fn json(body: &Value) -> Self {
        Self::new(200, body.to_string())
    }

    /// A refusal.
    pub(crate) fn problem(status: u16, code: &str, detail: &str) -> Self {
        let body =
            serde_json::json!({"type": "about:blank", "status": status, "code": code, "detail": detail});
        Self::new(status, body.to_string())
    }

    /// Adds a field to the head.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Closes the connection after so many bytes of the body.
    pub(crate) fn cut_after(mut self, len: usize) -> Self {
        self.claimed_len = Some(self.body.len());
        self.body.truncate(len);
        self
    }
}

/// The id that it is said to have.
pub(crate) const ID: &str = "aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa";

/// A running fake. Its thread ends with the test's process.
pub(crate) struct FakeNode {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FakeNode {
    /// Answers what `answer` says to each request, whose body was read.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        Self::listen(true, answer)
    }

    /// Like [`FakeNode::start`], but leaves bodies unread.
    pub(crate) fn hasty(answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        Self::listen(false, answer)
    }

    fn listen(reads_bodies: bool, answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read_request(&stream, reads_bodies) else { continue };
                seen.lock().unwrap().push(request.clone());
                write_answer(&mut stream, &answer(&request));
            }
        });
        Self { url, requests }
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// None when the body breaks off: then there is no answer either.
fn read_request(stream: &TcpStream, reads_bodies: bool) -> Option<Request> {
    let mut input = BufReader::new(stream);
    let mut request = Request::default();
    let line = read_line(&mut input);
    line.trim_end_matches(" HTTP/1.1").clone_into(&mut request.line);
    loop {
        let line = read_line(&mut input);
        let Some((name, value)) = line.split_once(": ") else { break };
        request.fields.push((name.to_lowercase(), value.to_owned()));
    }
    if !reads_bodies {
        return Some(request);
    }
    if let Some(len) = request.field("content-length") {
        request.body = vec![0; len.parse().unwrap()];
        input.read_exact(&mut request.body).ok()?;
    } else if request.field("transfer-encoding").is_some() {
        loop {
            let len = usize::from_str_radix(&read_line(&mut input), 16).unwrap();
            let mut chunk = vec![0; len];
            input.read_exact(&mut chunk).unwrap();
            request.body.extend(chunk);
            read_line(&mut input);
            if len == 0 {
                break;
            }
        }
    }
    Some(request)
}

fn read_line(input: &mut impl BufRead) -> String {
    let mut line = String::new();
    input.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn write_answer(stream: &mut TcpStream, answer: &Answer) {
    let len = answer.claimed_len.unwrap_or(answer.body.len());
    let mut head =
        format!("HTTP/1.1 {} Said\r\ncontent-length: {len}\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    // A client may leave before the end; what it makes of that is what the tests look at.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer.body));
}
