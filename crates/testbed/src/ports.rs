//! Loopback ports, each given out once.

use std::net::TcpListener;
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

use crate::wait::random;

/// The lowest port that is given out.
const FIRST: u16 = 20_000;
/// The number of ports that a process claims at a time.
const BLOCK: u16 = 60;
/// The number of blocks.
const BLOCKS: u16 = 200;

/// The claimed blocks of this process, and the rest of the newest one.
struct Ports {
    claims: Vec<UnixListener>,
    left: Range<u16>,
}

/// Returns a loopback TCP port that nobody listens on, and that no other caller on this machine
/// gets while this process runs.
///
/// So a server that a test stopped finds its port free when it starts again, and a port that a test
/// leaves unused stays unused. The ports lie below the range that the kernel gives to outgoing
/// connections. A client that calls a dead server over and over would otherwise be given the
/// server's own port at some time, and connect to itself.
pub fn free_port() -> u16 {
    static PORTS: Mutex<Ports> = Mutex::new(Ports {
        claims: Vec::new(),
        left: 0..0,
    });

    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        match ports.left.next() {
            Some(port) if TcpListener::bind(("127.0.0.1", port)).is_ok() => return port,
            Some(_) => {}
            None => {
                let (claim, block) = claim();
                ports.claims.push(claim);
                ports.left = block;
            }
        }
    }
}

/// Claims a block of ports that no other process has.
///
/// The claim is an abstract socket name. The kernel gives it to one process at a time, and takes it
/// back when the process ends.
fn claim() -> (UnixListener, Range<u16>) {
    let start = u16::try_from(random() % u64::from(BLOCKS)).expect("below the number of blocks");
    let mut blocks = (0..BLOCKS).map(|step| FIRST + (start + step) % BLOCKS * BLOCK);
    let claimed = blocks.find_map(|first| {
        let name = SocketAddr::from_abstract_name(format!("countersign-testbed-ports-{first}"))
            .expect("a short name");
        Some((UnixListener::bind_addr(&name).ok()?, first..first + BLOCK))
    });
    claimed.expect("a block of ports is free between 20000 and 32000")
}
