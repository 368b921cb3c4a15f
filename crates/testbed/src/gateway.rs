//! A relay in front of a server that can lose connections, as network address translation does.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::url::with_port;

/// A TCP relay to one server. It ends with the process.
#[derive(Debug)]
pub struct Gateway {
    port: u16,
    /// The number of calls of [`forget`](Self::forget).
    epoch: Arc<AtomicUsize>,
    /// The number of calls of [`end`](Self::end).
    ended: Arc<AtomicUsize>,
}

impl Gateway {
    /// Listens on a free loopback port for the server at `address` (`host:port`).
    pub fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let (epoch, ended, address) = (
            Arc::<AtomicUsize>::default(),
            Arc::<AtomicUsize>::default(),
            address.to_owned(),
        );

        let gateway = Self {
            port,
            epoch: Arc::clone(&epoch),
            ended: Arc::clone(&ended),
        };

        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // The connection to a server that is down fails, so the one to the relay is closed.
                let Ok(server) = TcpStream::connect(&address) else {
                    continue;
                };

                let age = Age::new(&epoch, &ended);
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let copies = (from.try_clone(), to.try_clone());
                    let (Ok(from), Ok(to)) = copies else { continue };
                    let age = age.clone();
                    thread::spawn(move || pass(from, to, &age));
                }
            }
        });

        gateway
    }

    /// Returns `url` with the relay in place of its host and port.
    pub fn through(&self, url: &str) -> String {
        with_port(url, self.port)
    }

    /// Drops all present connections without a word: what is sent on them vanishes. New connections
    /// work.
    pub fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Closes all present connections, each when it is used next. Until then its client doesn't
    /// notice. New connections work.
    pub fn end(&self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// The counters at the time when a connection was made, and the counters now.
#[derive(Clone)]
struct Age {
    born: [usize; 2],
    now: [Arc<AtomicUsize>; 2],
}

impl Age {
    fn new(epoch: &Arc<AtomicUsize>, ended: &Arc<AtomicUsize>) -> Self {
        let now = [Arc::clone(epoch), Arc::clone(ended)];
        Self {
            born: now.each_ref().map(|now| now.load(Ordering::SeqCst)),
            now,
        }
    }

    fn is_forgotten(&self) -> bool {
        self.now[0].load(Ordering::SeqCst) != self.born[0]
    }

    fn is_ended(&self) -> bool {
        self.now[1].load(Ordering::SeqCst) != self.born[1]
    }
}

/// Copies one direction of a connection.
fn pass(mut from: TcpStream, mut to: TcpStream, age: &Age) {
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if age.is_ended() {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }

        if !age.is_forgotten()
            && to
                .write_all(buffer.get(..length).unwrap_or_default())
                .is_err()
        {
            break;
        }
    }

    if !age.is_forgotten() {
        // The other direction may have closed it already.
        let _ = to.shutdown(Shutdown::Both);
    }
}
