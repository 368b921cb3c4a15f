//! The memory that Argon2 fills: one buffer for each hashing thread, reused for every hash.

use argon2::Block;
use countersign::Failure;
use zeroize::Zeroize;

use crate::accounts::hashing::failed;

/// The minimum number of blocks (of 1 KiB each) in an allocation.
///
/// glibc returns allocations of more than 32 MiB to the system when they are freed. It may keep
/// smaller ones, in as many arenas as there are threads. Blocks that aren't written take no
/// physical memory.
const AT_LEAST: usize = 33 * 1024;

/// A buffer that grows to the size of the largest hash so far. It is wiped when it is dropped.
#[derive(Default)]
pub(super) struct Memory {
    blocks: Vec<Block>,
}

impl Memory {
    /// Returns the first `count` blocks of the buffer. Their contents are arbitrary: Argon2 writes
    /// each block before it reads it.
    ///
    /// # Errors
    /// [`Failure`] if the system has no memory for them.
    pub(super) fn blocks(&mut self, count: usize) -> Result<&mut [Block], Failure> {
        if self.blocks.capacity() < count {
            // Allocate anew: growing the old buffer would copy contents that are never read.
            self.give_back();
            self.blocks
                .try_reserve_exact(count.max(AT_LEAST))
                .map_err(failed)?;
        }
        if self.blocks.len() < count {
            self.blocks.resize(count, Block::new());
        }

        self.blocks
            .get_mut(..count)
            .ok_or_else(|| failed("a buffer is shorter than requested"))
    }

    /// Wipes the buffer and returns it to the system.
    pub(super) fn give_back(&mut self) {
        self.blocks.zeroize();
        self.blocks = Vec::new();
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_buffer_serves_every_size() {
        let mut memory = Memory::default();
        let small = memory.blocks(8).unwrap().as_ptr();
        assert_eq!(memory.blocks(1024).unwrap().as_ptr(), small);
        assert_eq!(memory.blocks(8).unwrap().len(), 8);
        assert_eq!(memory.blocks(AT_LEAST + 1).unwrap().len(), AT_LEAST + 1);
        memory.give_back();
        assert_eq!(memory.blocks.capacity(), 0);
    }
}
