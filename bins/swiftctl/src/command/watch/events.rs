//! Reading server-sent events out of bytes as they come.

/// Bytes of one event.
const EVENT_LEN_MAX: usize = 16 << 20;

/// One event, or a word about the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) data: String,
    /// Milliseconds to wait before asking again.
    pub(super) retry: Option<u64>,
}

#[derive(Default)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    /// Up to here no event ends.
    searched: usize,
}

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole event; signs of life are passed over.
    pub(super) fn next(&mut self) -> Result<Option<Event>, String> {
        loop {
            let from = self.searched.saturating_sub(1);
            let end =
                self.bytes.get(from..).and_then(|rest| rest.windows(2).position(|pair| pair == b"\n\n"));
            let Some(end) = end.map(|end| end + from) else {
                self.searched = self.bytes.len();
                if self.bytes.len() > EVENT_LEN_MAX {
                    return Err("an event is too long; is this a SwiftServe node?".to_owned());
                }
                return Ok(None);
            };
            let rest = self.bytes.split_off(end + 2);
            let block = std::mem::replace(&mut self.bytes, rest);
            self.searched = 0;
            let event = read(&String::from_utf8_lossy(&block));
            if event != Event::default() {
                return Ok(Some(event));
            }
        }
    }
}

fn read(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => event.id = Some(value.to_owned()),
            "event" => event.kind = Some(value.to_owned()),
            "retry" => event.retry = value.parse().ok(),
            "data" => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(value);
            }
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let stream = b":\n\nretry: 7\n\nid: 1-2\nevent: file\ndata: {\"a\":\ndata: \"\xc3\xa4\"}\n\n:\n\nid: 1-3\nevent: x\n\n";
        for len in 1..stream.len() {
            let (mut reader, mut found) = (Reader::default(), Vec::new());
            for piece in stream.chunks(len) {
                reader.push(piece);
                while let Some(event) = reader.next().unwrap() {
                    found.push(event);
                }
            }
            assert_eq!(found.len(), 3, "pieces of {len}");
            assert_eq!(found[0].retry, Some(7));
            assert_eq!((found[1].data.as_str(), found[1].id.as_deref()), ("{\"a\":\n\"ä\"}", Some("1-2")));
            assert_eq!(found[2].kind.as_deref(), Some("x"));
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut reader = Reader::default();
        for _ in 0..17 {
            reader.push(&vec![b'x'; 1 << 20]);
        }
        assert!(reader.next().is_err());
    }
}
