//! A wire between a server and its store, or each node of it, which can be cut at any message.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Where the wire is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The store never gets the message.
    Before,
    /// The store gets it, and nobody waits for what it does.
    Meanwhile,
    /// The store does what the message says, and nobody learns of it.
    After,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It falls silent, until the server that holds it is gone.
    Hold,
    Close,
}

#[derive(Debug)]
struct Plan {
    messages: usize,
    cut: Cut,
    then: Then,
    reached: Arc<Notify>,
}

#[derive(Debug)]
pub(crate) struct Wire {
    addresses: Vec<SocketAddr>,
    plan: Arc<Mutex<Option<Plan>>>,
}

impl Wire {
    /// A wire with a strand to each of `stores`, and nothing wrong with it. Messages are counted over all strands.
    pub(crate) async fn to(stores: &[SocketAddr]) -> Self {
        let mut wire = Self {
            addresses: Vec::new(),
            plan: Arc::new(Mutex::new(None)),
        };
        for &store in stores {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            wire.addresses.push(listener.local_addr().unwrap());
            tokio::spawn(strand(listener, store, Arc::clone(&wire.plan)));
        }
        wire
    }

    /// The near ends, in the order of the stores.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Lets `messages` pass to the store, and cuts at the next; what is notified then.
    pub(crate) fn arm(&self, messages: usize, cut: Cut, then: Then) -> Arc<Notify> {
        let reached = Arc::new(Notify::new());
        *self.plan.lock().unwrap() = Some(Plan {
            messages,
            cut,
            then,
            reached: Arc::clone(&reached),
        });
        reached
    }

    /// Cuts no more; whether nothing was cut.
    pub(crate) fn disarm(&self) -> bool {
        self.plan.lock().unwrap().take().is_some()
    }
}

async fn strand(listener: TcpListener, store: SocketAddr, plan: Arc<Mutex<Option<Plan>>>) {
    while let Ok((client, _)) = listener.accept().await {
        let plan = Arc::clone(&plan);
        tokio::spawn(async move {
            if let Ok(store) = TcpStream::connect(store).await {
                carry(client, store, &plan).await;
            }
        });
    }
}

/// What happens to the next message.
fn next(plan: &Mutex<Option<Plan>>) -> Option<Plan> {
    let mut plan = plan.lock().unwrap();
    match plan.as_mut() {
        Some(armed) if armed.messages > 0 => {
            armed.messages -= 1;
            None
        }
        _ => plan.take(),
    }
}

/// Carries bytes both ways until either end is gone. What one read finds is a message: who asks waits for the answer.
async fn carry(mut client: TcpStream, mut store: TcpStream, plan: &Mutex<Option<Plan>>) {
    let (mut asked, mut told) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let plan = next(plan);
                if plan.as_ref().is_none_or(|plan| plan.cut != Cut::Before) && store.write_all(&asked[..length]).await.is_err() {
                    return;
                }
                if let Some(plan) = plan {
                    if plan.cut == Cut::After {
                        let _ = store.read(&mut told).await;
                    }
                    plan.reached.notify_one();
                    while plan.then == Then::Hold && matches!(client.read(&mut asked).await, Ok(1..)) {}
                    return;
                }
            }
            read = store.read(&mut told) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&told[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
