//! A map from few chunks: those of which a part is here or on its way.

use swift_chunks::ChunkIndex;

/// Values of a few chunks, in order. They are looked up far more often than they come and go.
#[derive(Clone, Debug)]
pub(super) struct ByChunk<V>(Vec<(ChunkIndex, V)>);

impl<V> Default for ByChunk<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: Copy + Default> ByChunk<V> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, chunk: ChunkIndex) -> bool {
        self.place(chunk).is_ok()
    }

    pub(super) fn get(&self, chunk: ChunkIndex) -> Option<V> {
        self.get_ref(chunk).copied()
    }

    pub(super) fn get_ref(&self, chunk: ChunkIndex) -> Option<&V> {
        self.place(chunk).ok().and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    /// Changes a chunk's value, which is the default if it had none.
    pub(super) fn update<T>(&mut self, chunk: ChunkIndex, change: impl FnOnce(&mut V) -> T) -> T {
        match self.place(chunk) {
            Ok(at) => change(&mut self.0[at].1),
            Err(at) => {
                let mut value = V::default();
                let told = change(&mut value);
                self.0.insert(at, (chunk, value));
                told
            }
        }
    }

    pub(super) fn insert(&mut self, chunk: ChunkIndex, value: V) {
        self.update(chunk, |old| *old = value);
    }

    pub(super) fn remove(&mut self, chunk: ChunkIndex) -> Option<V> {
        self.place(chunk).ok().map(|at| self.0.remove(at).1)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(ChunkIndex) -> bool) {
        self.0.retain(|&(chunk, _)| keep(chunk));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ChunkIndex, V)> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = ChunkIndex> + '_ {
        self.0.iter().map(|&(chunk, _)| chunk)
    }

    /// Goes through every chunk that has a value here or in `other`, in order, with both: the default where it has none.
    pub(super) fn beside(&self, other: &Self, mut each: impl FnMut(ChunkIndex, V, V)) {
        let mut others = other.0.iter().peekable();
        for &(chunk, value) in &self.0 {
            while let Some(&(before, other)) = others.next_if(|(other, _)| *other < chunk) {
                each(before, V::default(), other);
            }
            let same = others.next_if(|(other, _)| *other == chunk);
            each(chunk, value, same.map_or_else(V::default, |&(_, other)| other));
        }
        others.for_each(|&(chunk, other)| each(chunk, V::default(), other));
    }

    fn place(&self, chunk: ChunkIndex) -> Result<usize, usize> {
        self.0.binary_search_by_key(&chunk, |&(at, _)| at)
    }
}

impl<V: Copy + Default> FromIterator<(ChunkIndex, V)> for ByChunk<V> {
    fn from_iter<I: IntoIterator<Item = (ChunkIndex, V)>>(items: I) -> Self {
        let items = items.into_iter();
        let mut map = Self(Vec::with_capacity(items.size_hint().0));
        for (chunk, value) in items {
            // They come in order, as a rule.
            if map.0.last().is_none_or(|&(last, _)| last < chunk) {
                map.0.push((chunk, value));
            } else {
                map.insert(chunk, value);
            }
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_chunks::{CHUNK_LEN, ChunkLayout};

    #[test]
    fn what_came_in_any_order_is_in_order_and_two_maps_are_gone_through_together() {
        let layout = ChunkLayout::new(9 * CHUNK_LEN).unwrap();
        let map = |items: &[(u64, u8)]| -> ByChunk<u8> {
            items.iter().map(|&(chunk, value)| (layout.chunk(chunk).unwrap(), value)).collect()
        };
        let (here, there) =
            (map(&[(5, 50), (1, 9), (3, 30), (1, 10)]), map(&[(0, 1), (3, 31), (4, 41), (8, 81)]));
        let mut all = Vec::new();
        here.beside(&there, |chunk, here, there| all.push((chunk.get(), here, there)));
        assert_eq!(all, [(0, 0, 1), (1, 10, 0), (3, 30, 31), (4, 0, 41), (5, 50, 0), (8, 0, 81)]);
    }
}
