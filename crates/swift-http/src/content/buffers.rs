//! Memory for what goes out to members: a buffer that is new for every read costs as much as the read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Buffers that are kept while nobody has them: a few megabytes.
const KEPT_MAX: usize = 16;

/// Buffers for all bodies of a node. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer that goes back when it is dropped.
pub(super) struct Lent {
    buffer: Vec<u8>,
    len: usize,
    home: Buffers,
}

impl Buffers {
    /// A buffer with room for so many bytes.
    pub(super) fn lend(&self, len: usize) -> Lent {
        let mut buffer = self.kept().pop().unwrap_or_default();
        // It stays as long as it ever was, so that nothing is set to zero twice.
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        Lent { buffer, len, home: self.clone() }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    /// Where to write. What stands there was somebody else's.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }

    /// The first bytes, which were written; when they have been sent, the buffer goes back.
    pub(super) fn filled(mut self, len: usize) -> Bytes {
        self.len = self.len.min(len);
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.home.kept();
        if kept.len() < KEPT_MAX {
            kept.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_and_shows_nothing_of_its_former_use() {
        let buffers = Buffers::default();
        let mut first = buffers.lend(8);
        first.room().copy_from_slice(b"12345678");
        let bytes = first.filled(8);
        let part = bytes.slice(2..4);
        drop(bytes);
        assert_eq!((&part[..], buffers.kept().len()), (&b"34"[..], 0), "somebody still reads it");
        drop(part);
        assert_eq!(buffers.kept().len(), 1);
        let mut again = buffers.lend(4);
        assert_eq!(again.room().len(), 4);
        again.room()[..2].copy_from_slice(b"ab");
        assert_eq!(&again.filled(2)[..], b"ab");
    }

    #[test]
    fn only_some_are_kept() {
        let buffers = Buffers::default();
        let lent: Vec<_> = (0..KEPT_MAX + 5).map(|_| buffers.lend(1)).collect();
        drop(lent);
        assert_eq!(buffers.kept().len(), KEPT_MAX);
    }
}
