//! The answer to `CLUSTER NODES`: what a node knows about the others.

/// One line of `CLUSTER NODES`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: String,
    /// The id of the member's master. `None` if the member is a master itself.
    pub(crate) master: Option<String>,
    /// The epoch of the member's claim to its slots. The higher one of two claims counts.
    pub(crate) epoch: u64,
    /// The first and the last slot of each range.
    pub(crate) slots: Vec<(u16, u16)>,
    flags: Vec<String>,
}

/// Returns the members in the text of `CLUSTER NODES`.
pub(crate) fn members(text: &str) -> impl Iterator<Item = Member> {
    text.lines().filter(|line| !line.is_empty()).map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [
            id,
            _address,
            flags,
            master,
            _ping,
            _pong,
            epoch,
            _link,
            slots @ ..,
        ] = &*fields
        else {
            panic!("no line of CLUSTER NODES: {line}")
        };

        Member {
            id: (*id).to_owned(),
            master: (*master != "-").then(|| (*master).to_owned()),
            epoch: epoch.parse().expect("an epoch is a number"),
            slots: slots.iter().filter_map(|range| slot_range(range)).collect(),
            flags: flags.split(',').map(str::to_owned).collect(),
        }
    })
}

/// Returns the first and the last slot of a range. A moving slot, which is listed again in
/// brackets, has `None`.
fn slot_range(range: &str) -> Option<(u16, u16)> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    Some((first.parse().ok()?, last.parse().ok()?))
}

impl Member {
    pub(crate) fn is_myself(&self) -> bool {
        self.has(&["myself"])
    }

    /// Returns `true` if the reporting node can't reach the member or doesn't know it completely
    /// yet.
    pub(crate) fn is_lost(&self) -> bool {
        self.has(&["fail", "fail?", "handshake", "noaddr"])
    }

    pub(crate) fn is_serving_master(&self) -> bool {
        self.has(&["master"]) && !self.slots.is_empty()
    }

    pub(crate) fn owns(&self, slot: u16) -> bool {
        self.has(&["master"])
            && self
                .slots
                .iter()
                .any(|&(first, last)| (first..=last).contains(&slot))
    }

    fn has(&self, flags: &[&str]) -> bool {
        self.flags.iter().any(|flag| flags.contains(&&**flag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_with_a_slot_on_the_move_and_a_lost_replica() {
        let text = "a1 127.0.0.1:20001@20002 myself,master - 0 0 3 connected 0-5 93 100-101 [93->-b2]\n\
                    b2 127.0.0.1:20003@20004 slave,fail? a1 1 2 3 disconnected\n";
        let [master, replica] = members(text).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(
            (&*master.id, &master.master, master.epoch),
            ("a1", &None, 3)
        );
        assert_eq!(master.slots, [(0, 5), (93, 93), (100, 101)]);
        assert!(master.is_myself() && master.is_serving_master() && !master.is_lost());
        assert!(master.owns(0) && master.owns(5) && master.owns(93) && !master.owns(6));
        assert_eq!(replica.master.as_deref(), Some("a1"));
        assert!(
            replica.is_lost()
                && !replica.is_myself()
                && !replica.is_serving_master()
                && !replica.owns(0)
        );
    }
}
