//! The bitmap in pages, so that a commit costs what changed and not what the file has.

use super::{ChunkSet, WORD_BITS};
use crate::layout::ChunkIndex;

/// The bits of one page of a bitmap.
pub(crate) struct BitmapPage {
    /// Its place in the bitmap.
    pub(crate) page: u32,
    /// Its bytes, lowest bit first.
    pub(crate) bits: Vec<u8>,
}

/// Words in a page: 4 KiB, or the chunks of 128 GiB.
const PAGE_WORDS: u32 = 512;

impl ChunkSet {
    /// The page that a chunk's bit is in.
    pub(crate) fn page_of(chunk: ChunkIndex) -> u32 {
        chunk.get() / (PAGE_WORDS * WORD_BITS)
    }

    /// The bits of one page as stored, without trailing zero words.
    pub(crate) fn page(&self, page: u32) -> BitmapPage {
        let start = (page as usize * PAGE_WORDS as usize).min(self.words.len());
        let words = &self.words[start..(start + PAGE_WORDS as usize).min(self.words.len())];
        let used = words.iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
        BitmapPage { page, bits: words[..used].iter().flat_map(|word| word.to_le_bytes()).collect() }
    }

    /// Every page.
    pub(crate) fn pages(&self) -> impl Iterator<Item = BitmapPage> + '_ {
        let pages = self.words.len().div_ceil(PAGE_WORDS as usize);
        (0..pages).filter_map(|page| u32::try_from(page).ok()).map(|page| self.page(page))
    }

    /// Takes over a stored page; bits that the file has no chunk for are ignored.
    pub(crate) fn load_page(&mut self, page: u32, bits: &[u8]) {
        let start = page as usize * PAGE_WORDS as usize;
        let count = self.layout.chunk_count();
        for (at, bytes) in bits.as_chunks().0.iter().enumerate().take(PAGE_WORDS as usize) {
            let Some(word) = self.words.get_mut(start + at) else { break };
            *word = u64::from_le_bytes(*bytes);
        }
        if let Some(last) = self.words.last_mut().filter(|_| !count.is_multiple_of(WORD_BITS)) {
            *last &= (1 << (count % WORD_BITS)) - 1;
        }
        self.count();
    }

    /// Bytes in the chunks of the set.
    pub(crate) fn byte_len(&self) -> u64 {
        let full = u64::from(self.len) * crate::CHUNK_LEN;
        let last = self.layout.chunks().next_back().filter(|&last| self.contains(last));
        full - last.map_or(0, |last| crate::CHUNK_LEN - self.layout.chunk_len(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{ChunkLayout, FILE_LEN_MAX};

    #[test]
    fn pages_of_16_tib_rebuild_the_set() {
        let layout = ChunkLayout::new(FILE_LEN_MAX - 5).unwrap();
        let mut set = ChunkSet::empty(layout);
        set.insert_run(7..9);
        set.insert_run(32_767..32_769);
        set.insert_run(4_194_300..4_194_304);
        assert_eq!(set.byte_len(), 8 * crate::CHUNK_LEN - 5);
        let mut rebuilt = ChunkSet::empty(layout);
        let mut bytes = 0;
        for page in set.pages() {
            bytes += page.bits.len();
            rebuilt.load_page(page.page, &page.bits);
        }
        assert_eq!(rebuilt, set);
        assert!(bytes <= 3 * 4096);
    }
}
