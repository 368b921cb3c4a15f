//! A small table of fixed size.
//!
//! A search copies states millions of times, so nothing in them is on the heap.

/// A table of `N` places, each empty or taken, that are found by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slots<T, const N: usize>([Option<T>; N]);

impl<T: Copy + Ord, const N: usize> Slots<T, N> {
    /// Creates a table whose places are all empty.
    pub const fn new() -> Self {
        Self([None; N])
    }

    /// Returns the value at `place`, if it is taken.
    pub fn get(&self, place: u8) -> Option<&T> {
        self.0.get(usize::from(place))?.as_ref()
    }

    /// Returns the value at `place` for changes, if it is taken.
    pub fn get_mut(&mut self, place: u8) -> Option<&mut T> {
        self.0.get_mut(usize::from(place))?.as_mut()
    }

    /// Sets the value at `place`; `None` empties it. A number beyond the table is ignored.
    pub fn set(&mut self, place: u8, value: Option<T>) {
        if let Some(slot) = self.0.get_mut(usize::from(place)) {
            *slot = value;
        }
    }

    /// Puts `value` in the first empty place and returns its number, or `None` if the table is
    /// full.
    pub fn push(&mut self, value: T) -> Option<u8> {
        let (place, slot) = (0..)
            .zip(self.0.iter_mut())
            .find(|(_, slot)| slot.is_none())?;
        *slot = Some(value);
        Some(place)
    }

    /// Returns the taken places, each number with its value.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &T)> {
        (0..)
            .zip(self.0.iter())
            .filter_map(|(place, slot)| Some((place, slot.as_ref()?)))
    }

    /// Returns the number of taken places.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns `true` if no place is taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sorts the values and puts empty places last.
    ///
    /// States that differ only in the order of their values become equal, which makes the search
    /// smaller.
    pub fn sort(&mut self) {
        self.0.sort_unstable_by_key(|slot| (slot.is_none(), *slot));
    }
}

impl<T: Copy + Ord, const N: usize> Default for Slots<T, N> {
    fn default() -> Self {
        Self::new()
    }
}
