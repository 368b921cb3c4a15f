//! Where keys live, and how they move.

use crate::redis_cluster::RedisCluster;
use crate::url::Address;
use crate::wait::wait_until;

impl RedisCluster {
    /// The hash slot of a key.
    pub fn slot_of_key(&self, key: &str) -> u16 {
        let slot = self.command(self.some_living(), &["CLUSTER", "KEYSLOT", key]);
        slot.parse().expect("a slot is a number")
    }

    /// The living master that owns the key's slot; while there is none, this waits for one.
    pub fn node_of_key(&self, key: &str) -> usize {
        let slot = self.slot_of_key(key);
        let mut owner = None;
        wait_until("a living node owns the key's slot", || {
            let members = self.living().map(|node| (node, self.member(node)));
            // One that has been away may claim what another took over; the newest claim counts.
            owner = members.filter(|(_, member)| member.owns(slot)).max_by_key(|(_, member)| member.epoch);
            owner.is_some()
        });
        owner.expect("it was waited for").0
    }

    /// Moves a slot with all its keys from one master to another, step by step as Redis's manual has it. Clients may go
    /// on writing: as long as the slot is on the move, the source sends them to the target for keys it doesn't have.
    pub fn migrate_slot(&self, slot: u16, from: usize, to: usize) {
        let (source, target) = (self.member(from).id, self.member(to).id);
        let slot = slot.to_string();
        let set_slot = |node, change: &[&str]| self.command(node, &[&["CLUSTER", "SETSLOT", &slot], change].concat());
        set_slot(to, &["IMPORTING", &source]);
        set_slot(from, &["MIGRATING", &target]);
        let Address { host, port, .. } = Address::parse(self.node(to).url());
        loop {
            let keys = self.command(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "10"]);
            let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                break;
            }
            self.command(from, &[&["MIGRATE", host, port, "", "0", "5000", "KEYS"], &*keys].concat());
        }
        // The target comes first: it must own the slot before the source disowns it.
        let others = self.masters().into_iter().filter(|&node| node != from && node != to);
        for node in [to, from].into_iter().chain(others) {
            set_slot(node, &["NODE", &target]);
        }
    }
}
