//! A small table of fixed size: states are cloned millions of times, so nothing in them is on the heap.

/// `N` places, each empty or taken, found by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slots<T, const N: usize>([Option<T>; N]);

impl<T: Copy + Ord, const N: usize> Slots<T, N> {
    /// All places empty.
    pub const fn new() -> Self {
        Self([None; N])
    }

    /// What is at `place`.
    pub fn get(&self, place: u8) -> Option<&T> {
        self.0.get(usize::from(place))?.as_ref()
    }

    /// What is at `place`, to be changed.
    pub fn get_mut(&mut self, place: u8) -> Option<&mut T> {
        self.0.get_mut(usize::from(place))?.as_mut()
    }

    /// Takes `place`, or empties it.
    pub fn set(&mut self, place: u8, value: Option<T>) {
        if let Some(slot) = self.0.get_mut(usize::from(place)) {
            *slot = value;
        }
    }

    /// Takes the first empty place.
    pub fn push(&mut self, value: T) -> Option<u8> {
        let (place, slot) = (0..).zip(self.0.iter_mut()).find(|(_, slot)| slot.is_none())?;
        *slot = Some(value);
        Some(place)
    }

    /// What is taken, with its place.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &T)> {
        (0..).zip(self.0.iter()).filter_map(|(place, slot)| Some((place, slot.as_ref()?)))
    }

    /// How many places are taken.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether no place is taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts the taken places first, in one order, so that states that differ in nothing else are one.
    pub fn sort(&mut self) {
        self.0.sort_unstable_by_key(|slot| (slot.is_none(), *slot));
    }
}

impl<T: Copy + Ord, const N: usize> Default for Slots<T, N> {
    fn default() -> Self {
        Self::new()
    }
}
