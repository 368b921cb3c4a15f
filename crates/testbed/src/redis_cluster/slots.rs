//! Hash slots: the node of a key, and moving a slot to another node.

use crate::redis_cluster::RedisCluster;
use crate::url::Address;
use crate::wait::wait_until;

impl RedisCluster {
    /// Returns the hash slot of a key.
    pub fn slot_of_key(&self, key: &str) -> u16 {
        let slot = self.command(self.some_living(), &["CLUSTER", "KEYSLOT", key]);
        slot.parse().expect("a slot is a number")
    }

    /// Returns the living master that owns the slot of a key. Waits for one if there is none.
    pub fn node_of_key(&self, key: &str) -> usize {
        let slot = self.slot_of_key(key);
        let mut owner = None;
        wait_until("a living node owns the key's slot", || {
            let members = self.living().map(|node| (node, self.member(node)));
            // A node that was away may still claim slots that another has taken over. The newest
            // claim counts.
            owner = members
                .filter(|(_, member)| member.owns(slot))
                .max_by_key(|(_, member)| member.epoch);
            owner.is_some()
        });
        owner.expect("it was waited for").0
    }

    /// Moves a slot with all its keys from one master to another, in the steps of Redis's manual.
    ///
    /// Clients may go on writing. While the slot moves, the source redirects clients to the target
    /// for keys that it doesn't have.
    pub fn migrate_slot(&self, slot: u16, from: usize, to: usize) {
        let (source, target) = (self.member(from).id, self.member(to).id);
        let slot = slot.to_string();
        self.set_slot(to, &slot, &["IMPORTING", &source]);
        self.set_slot(from, &slot, &["MIGRATING", &target]);

        let Address { host, port, .. } = Address::parse(self.node(to).url());
        loop {
            let keys = self.command(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "10"]);
            let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                break;
            }
            self.command(
                from,
                &[&["MIGRATE", host, port, "", "0", "5000", "KEYS"], &*keys].concat(),
            );
        }

        // The target comes first: it must own the slot before the source gives it up.
        let others = self
            .masters()
            .into_iter()
            .filter(|&node| node != from && node != to);
        for node in [to, from].into_iter().chain(others) {
            self.set_slot(node, &slot, &["NODE", &target]);
        }
    }

    /// Changes what a node believes about a slot.
    fn set_slot(&self, node: usize, slot: &str, change: &[&str]) {
        self.command(node, &[&["CLUSTER", "SETSLOT", slot], change].concat());
    }
}
