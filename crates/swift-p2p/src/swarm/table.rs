//! Peers and files under short names: ids have 32 bytes, and the machine compares them all the time.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::Hash;
use std::marker::PhantomData;

/// A short name for one entry of a [`Table`]. When the entry is gone it means nothing, also after its slot was taken
/// by another.
pub(super) struct Key<V> {
    slot: u32,
    generation: u32,
    of: PhantomData<fn() -> V>,
}

/// Values by id and by key; a walk over them goes by slot, and so does not depend on ids.
#[derive(Debug)]
pub(super) struct Table<I, V> {
    /// Never walked, so that its order, which is another in every process, decides nothing.
    keys: HashMap<I, Key<V>>,
    slots: Vec<Slot<V>>,
    /// By slot; apart, so that a walk over values goes through less memory.
    ids: Vec<I>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<V> {
    generation: u32,
    value: Option<V>,
}

impl<I: Eq + Hash + Copy, V> Table<I, V> {
    pub(super) fn new() -> Self {
        Self { keys: HashMap::new(), slots: Vec::new(), ids: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key of what has this id.
    pub(super) fn key(&self, id: &I) -> Option<Key<V>> {
        self.keys.get(id).copied()
    }

    /// The id of what has this key.
    pub(super) fn id(&self, key: Key<V>) -> Option<I> {
        self.ids.get(key.slot as usize).copied().filter(|_| self.contains(key))
    }

    pub(super) fn get(&self, key: Key<V>) -> Option<&V> {
        let slot = self.slots.get(key.slot as usize).filter(|slot| slot.generation == key.generation)?;
        slot.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: Key<V>) -> Option<&mut V> {
        let slot = self.slots.get_mut(key.slot as usize).filter(|slot| slot.generation == key.generation)?;
        slot.value.as_mut()
    }

    pub(super) fn contains(&self, key: Key<V>) -> bool {
        self.get(key).is_some()
    }

    /// How many slots there are, with those that are free.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// A place in the order of keys.
    pub(super) const fn slot(slot: u32) -> Key<V> {
        Key { slot, generation: 0, of: PhantomData }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key<V>> + '_ {
        let numbered = (0..).zip(&self.slots).filter(|(_, slot)| slot.value.is_some());
        numbered.map(|(number, slot)| Key { slot: number, generation: slot.generation, of: PhantomData })
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.slots.iter().filter_map(|slot| slot.value.as_ref())
    }

    /// Puts in a value in place of what had its id.
    pub(super) fn insert(&mut self, id: I, value: V) -> Key<V> {
        if let Some(key) = self.key(&id) {
            self.remove(key);
        }
        // Fewer than 2^32 entries fit into any memory.
        let fresh = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let slot = self.free.pop().unwrap_or(fresh);
        if slot == fresh {
            self.slots.push(Slot { generation: 0, value: None });
            self.ids.push(id);
        }
        let at = slot as usize;
        self.ids[at] = id;
        self.slots[at].value = Some(value);
        let generation = self.slots[at].generation;
        let key = Key { slot, generation, of: PhantomData };
        self.keys.insert(id, key);
        key
    }

    pub(super) fn remove(&mut self, key: Key<V>) -> Option<V> {
        let slot = self.slots.get_mut(key.slot as usize).filter(|slot| slot.generation == key.generation)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.slot);
        self.keys.remove(&self.ids[key.slot as usize]);
        Some(value)
    }
}

impl<V> Key<V> {
    fn order(self) -> (u32, u32) {
        (self.slot, self.generation)
    }
}

// Derived, these would ask the same of `V`.
impl<V> Clone for Key<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Key<V> {}

impl<V> PartialEq for Key<V> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<V> Eq for Key<V> {}

impl<V> PartialOrd for Key<V> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<V> Ord for Key<V> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl<V> std::fmt::Debug for Key<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_means_nothing_when_its_entry_is_gone_whoever_has_the_slot() {
        let mut table = Table::new();
        let old = table.insert("a", 1);
        assert_eq!((table.key(&"a"), table.id(old), table.get(old)), (Some(old), Some("a"), Some(&1)));
        assert_eq!(table.remove(old), Some(1));
        let new = table.insert("b", 2);
        assert_eq!(table.remove(old), None);
        assert_eq!((table.get(old), table.key(&"a")), (None, None));
        assert_eq!((table.get(new), table.len(), table.keys().count()), (Some(&2), 1, 1));
        assert_eq!(table.slots.len(), 1);
    }

    #[test]
    fn who_comes_again_has_another_key() {
        let mut table = Table::new();
        let first = table.insert(7, 'x');
        let second = table.insert(7, 'y');
        assert_ne!(first, second);
        assert_eq!((table.len(), table.get(first), table.get(second)), (1, None, Some(&'y')));
    }
}
