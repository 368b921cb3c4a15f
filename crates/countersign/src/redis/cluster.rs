//! The masters of a cluster, read from the answer to `CLUSTER SLOTS`.
//!
//! The client routes commands by key. To reach one particular master, a command is sent to a key
//! that the master has: see [`Master::key`].

use ::redis::cluster_routing::Slot;
use ::redis::{Value, from_redis_value};

/// The number of slots of every cluster.
const SLOTS: i64 = 16_384;
/// The number of keys that are tried to find one in a range. Each slot gets dozens of them.
const KEYS: u32 = 1_000_000;

/// A master with at least one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Master {
    /// The host and the port, as the cluster knows them.
    pub(super) address: String,
    /// A key in one of the master's slots. It need not exist.
    ///
    /// The client finds the way to a key under any address that it knows the nodes by. The address
    /// above may be of use only inside of the cluster's network.
    pub(super) key: String,
}

/// Returns the masters in an answer to `CLUSTER SLOTS`, or `None` if a slot has no master.
pub(super) fn masters(slots: &Value) -> Option<Vec<Master>> {
    let Value::Array(ranges) = slots else {
        return None;
    };
    let mut masters: Vec<Master> = Vec::new();
    let mut covered: i64 = 0;
    for range in ranges {
        let Value::Array(range) = range else {
            return None;
        };
        let [
            Value::Int(first),
            Value::Int(last),
            Value::Array(master),
            ..,
        ] = &**range
        else {
            return None;
        };

        covered = last
            .saturating_sub(*first)
            .saturating_add(1)
            .saturating_add(covered);
        let address = address(master)?;
        if masters.iter().all(|known| known.address != address) {
            masters.push(Master {
                address,
                key: key_within(*first, *last)?,
            });
        }
    }

    masters.sort_by(|a, b| a.address.cmp(&b.address));
    (covered == SLOTS).then_some(masters)
}

/// Returns the host and the port of a node. The host is empty if the node doesn't know its own.
fn address(node: &[Value]) -> Option<String> {
    let [host, Value::Int(port), ..] = node else {
        return None;
    };
    let host = from_redis_value::<Option<String>>(host.clone())
        .ok()?
        .unwrap_or_default();
    Some(format!("{host}:{port}"))
}

/// Returns a key whose slot is between `first` and `last`.
fn key_within(first: i64, last: i64) -> Option<String> {
    let (Some(_), Some(_), true) = (slot(first), slot(last), first <= last) else {
        return None;
    };
    (0..KEYS).map(|number| number.to_string()).find(|key| {
        let found = Some(Slot::for_key(key));
        (first..=last).any(|number| slot(number) == found)
    })
}

/// Returns the slot with this number, or `None` if there is none.
fn slot(number: i64) -> Option<Slot> {
    Slot::new(u16::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, port: i64) -> Value {
        let node = Value::Array(vec![Value::BulkString(b"h".to_vec()), Value::Int(port)]);
        Value::Array(vec![
            Value::Int(first),
            Value::Int(last),
            node.clone(),
            node,
        ])
    }

    #[test]
    fn masters_by_a_key_that_each_would_have() {
        let slots = [
            range(0, 1179, 2),
            range(1180, 1180, 1),
            range(1181, 16_383, 2),
        ];
        let found = masters(&Value::Array(slots.to_vec())).unwrap();
        let addresses: Vec<_> = found.iter().map(|master| &*master.address).collect();
        assert_eq!(addresses, ["h:1", "h:2"]);
        assert_eq!(Some(Slot::for_key(&found[0].key)), Slot::new(1180));
        assert!((0..1180).any(|slot| Slot::new(slot) == Some(Slot::for_key(&found[1].key))));
    }

    #[test]
    fn slots_that_nobody_has_and_what_is_no_answer() {
        let nameless = Value::Array(vec![
            Value::Int(0),
            Value::Int(16_383),
            Value::Array(Vec::new()),
        ]);
        let none = [
            Value::Nil,
            Value::Array(Vec::new()),
            Value::Array(vec![range(0, 99, 1), range(101, 16_383, 2)]),
            Value::Array(vec![range(16_383, 0, 1)]),
            Value::Array(vec![range(i64::MIN, i64::MAX, 1)]),
            Value::Array(vec![range(-1, 16_382, 1)]),
            Value::Array(vec![nameless]),
        ];
        for answer in none {
            assert_eq!(masters(&answer), None, "{answer:?}");
        }
    }
}
