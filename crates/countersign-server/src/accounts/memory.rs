//! The memory that Argon2 fills: one buffer for each thread, used for every hash in turn.

use argon2::Block;
use countersign::Failure;
use zeroize::Zeroize;

use crate::accounts::password::failed;

/// At least so many blocks of 1 KiB are asked for. glibc gives what is larger than 32 MiB straight back to the system when it
/// is freed, and keeps what is smaller for later, in as many places as there are threads. What isn't filled takes no memory.
const AT_LEAST: usize = 33 * 1024;

/// A buffer that grows to the largest hash that was asked for.
#[derive(Default)]
pub(super) struct Memory {
    blocks: Vec<Block>,
}

impl Memory {
    /// Returns the first `count` blocks of the buffer. Their contents are arbitrary: Argon2 writes each block before it reads it.
    ///
    /// # Errors
    /// [`Failure`] when the system has no memory for them.
    pub(super) fn blocks(&mut self, count: usize) -> Result<&mut [Block], Failure> {
        if self.blocks.capacity() < count {
            // A new one, since growing the old one would copy what nobody needs.
            self.give_back();
            self.blocks.try_reserve_exact(count.max(AT_LEAST)).map_err(failed)?;
        }
        if self.blocks.len() < count {
            self.blocks.resize(count, Block::new());
        }
        self.blocks.get_mut(..count).ok_or_else(|| failed("a buffer is shorter than it was made"))
    }

    /// Wipes the buffer and gives it back to the system.
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
