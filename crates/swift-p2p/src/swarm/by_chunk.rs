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

    /// The values of every chunk that has one here or in `other`, side by side; the default where it has none.
    pub(super) fn beside<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (ChunkIndex, V, V)> + 'a {
        let (mut here, mut there) = (self.iter().peekable(), other.iter().peekable());
        std::iter::from_fn(move || {
            let next = [here.peek(), there.peek()].into_iter().flatten().map(|&(chunk, _)| chunk).min()?;
            let is_next = |entry: &(ChunkIndex, V)| entry.0 == next;
            let value = |entry: Option<(ChunkIndex, V)>| entry.map(|(_, value)| value).unwrap_or_default();
            Some((next, value(here.next_if(is_next)), value(there.next_if(is_next))))
        })
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
