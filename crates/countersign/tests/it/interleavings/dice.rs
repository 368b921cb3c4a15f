//! Chance that repeats.

use countersign::testing::SeededEntropy;
use countersign::{SessionId, UserId};
use uuid::Uuid;

use crate::interleavings::site::Process;

/// The same throws for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    pub(crate) fn pick<'t, T>(&mut self, among: &'t [T]) -> &'t T {
        &among[usize::try_from(self.below(among.len() as u64)).unwrap()]
    }

    /// Dice of somebody else's, thrown apart from these.
    pub(crate) fn other(&mut self) -> Self {
        Self(self.next())
    }

    /// Lets a while go by: a few turns of the scheduler, or as long as the store takes for an answer or two.
    pub(crate) async fn dawdle(&mut self, process: &Process) {
        for _ in 0..self.below(16) {
            tokio::task::yield_now().await;
        }
        let nobody = Uuid::nil().to_key();
        let nothing = SessionId::generate(&SeededEntropy::new(self.next())).unwrap();
        for _ in 0..self.below(5).saturating_sub(2) {
            process.sessions().session(nothing, &nobody).await.unwrap();
        }
    }
}
