//! Clients that log in, read, refresh and log out all the time, and note what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use countersign::error::FailureKind;
use countersign::strategy::{Strategy, TokenControl};
use countersign::{AuthError, Failure};
use tokio::task::JoinSet;

use crate::fixture::users::{Account, users};
use crate::redis_faults::ground::{Ground, Pair, eventually, story};
use crate::redis_faults::ledger::{Fate, Ledger};

/// How the clients behave.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) clients: usize,
    /// Clients share so many accounts; nobody logs out everywhere when there are fewer accounts than clients.
    pub(crate) accounts: usize,
    /// Whether the server keeps all that it acknowledges, so that a refusal of a live token is wrong.
    pub(crate) keeps: bool,
}

pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

struct Shared {
    ground: Ground,
    manner: Manner,
    ledger: Ledger,
    stop: AtomicBool,
    turns: AtomicUsize,
    failures: AtomicUsize,
}

impl Load {
    pub(crate) fn start(ground: &Ground, manner: Manner) -> Self {
        let shared = Arc::new(Shared {
            ground: ground.clone(),
            manner,
            ledger: Ledger::default(),
            stop: AtomicBool::new(false),
            turns: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
        });
        let mut clients = JoinSet::new();
        for number in 0..manner.clients {
            clients.spawn(
                Client {
                    shared: Arc::clone(&shared),
                    number,
                    mine: Vec::new(),
                }
                .run(),
            );
        }
        Self { shared, clients }
    }

    /// Waits for so many more turns without a failure.
    pub(crate) async fn turns(&mut self, more: usize) {
        let enough = self.shared.turns.load(SeqCst) + more;
        let shared = Arc::clone(&self.shared);
        eventually("the load goes on", || {
            while let Some(ended) = self.clients.try_join_next() {
                ended.expect("a client is told no wrong answer");
            }
            std::future::ready(shared.turns.load(SeqCst) > enough)
        })
        .await;
    }

    /// How many operations failed so far.
    pub(crate) fn failures(&self) -> usize {
        self.shared.failures.load(SeqCst)
    }

    pub(crate) async fn stop(mut self) -> Outcome {
        self.shared.stop.store(true, SeqCst);
        while let Some(client) = self.clients.join_next().await {
            client.expect("a client is told no wrong answer");
        }
        Outcome {
            shared: self.shared,
        }
    }
}

/// What the clients were told.
pub(crate) struct Outcome {
    shared: Arc<Shared>,
}

impl Outcome {
    pub(crate) fn failures(&self) -> usize {
        self.shared.failures.load(SeqCst)
    }

    pub(crate) async fn holds(&self) {
        self.shared.ledger.holds(&self.shared.ground).await;
    }

    pub(crate) async fn ends(&self) {
        self.shared
            .ledger
            .ends(&self.shared.ground, self.shared.manner.accounts)
            .await;
    }

    pub(crate) fn tokens(&self) -> usize {
        self.shared.ledger.len()
    }
}

struct Client {
    shared: Arc<Shared>,
    number: usize,
    /// All tokens that it ever had.
    mine: Vec<Pair>,
}

impl Client {
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let account = Account::new((self.number % shared.manner.accounts) as u128);
        // A client that failed comes again a little later.
        let mut pause = tokio::time::interval(Duration::from_millis(10));
        for turn in 0.. {
            if shared.stop.load(SeqCst) {
                return;
            }
            match self.turn(&account, turn).await {
                Ok(()) => drop(shared.turns.fetch_add(1, SeqCst)),
                Err(failure) => {
                    assert_eq!(
                        failure.kind(),
                        FailureKind::Unavailable,
                        "{}",
                        story(&failure)
                    );
                    shared.failures.fetch_add(1, SeqCst);
                    pause.tick().await;
                }
            }
        }
    }

    async fn turn(&mut self, account: &Account, turn: usize) -> Result<(), Failure> {
        let pair = self.shared.ground.open(account).await?;
        self.got(&pair);
        self.reads(&pair, true).await?;
        let next = self.refreshes(&pair).await?;
        self.reads(next.as_ref().unwrap_or(&pair), true).await?;
        match turn % 8 {
            0 | 1 => self.destroys(account, &pair).await,
            2 | 3 => self.ends_session(account, &pair, next.as_ref()).await,
            4 if self.shared.manner.accounts == self.shared.manner.clients => {
                self.leaves(account).await
            }
            _ => Ok(()),
        }
    }

    fn got(&mut self, pair: &Pair) {
        self.shared.ledger.access(&pair.access, Fate::Live);
        self.shared.ledger.refresh(&pair.refresh, Fate::Live);
        self.mine.push(pair.clone());
    }

    async fn reads(&self, pair: &Pair, live: bool) -> Result<(), Failure> {
        let good = self.shared.ground.accepts(&pair.access).await?;
        assert!(
            good == live || !self.shared.manner.keeps,
            "a token that is live ({live}) reads as {good}"
        );
        Ok(())
    }

    async fn refreshes(&mut self, pair: &Pair) -> Result<Option<Pair>, Failure> {
        let ledger = &self.shared.ledger;
        ledger.refresh(&pair.refresh, Fate::Open);
        match self
            .shared
            .ground
            .refreshable()
            .refresh_session(&pair.refresh, &users)
            .await
        {
            Ok(refreshed) => {
                ledger.refresh(&pair.refresh, Fate::Dead);
                let next = Pair::from(refreshed.issued);
                self.got(&next);
                Ok(Some(next))
            }
            Err(AuthError::Failed(failure)) => Err(failure),
            Err(AuthError::Refused(refusal)) => {
                assert!(
                    !self.shared.manner.keeps,
                    "a live refresh token is refused: {refusal}"
                );
                Ok(None)
            }
        }
    }

    async fn destroys(&self, account: &Account, pair: &Pair) -> Result<(), Failure> {
        self.shared.ledger.access(&pair.access, Fate::Open);
        self.shared
            .ground
            .strategy()
            .destroy_token(&pair.access, account)
            .await?;
        self.shared.ledger.access(&pair.access, Fate::Dead);
        self.reads(pair, false).await
    }

    async fn ends_session(
        &self,
        account: &Account,
        pair: &Pair,
        next: Option<&Pair>,
    ) -> Result<(), Failure> {
        let all: Vec<_> = std::iter::once(pair).chain(next).collect();
        self.mark(all.iter().copied(), Fate::Open);
        self.shared
            .ground
            .refreshable()
            .end_session(pair.session, &account.key())
            .await?;
        self.mark(all.iter().copied(), Fate::Dead);
        self.reads(pair, false).await
    }

    async fn leaves(&mut self, account: &Account) -> Result<(), Failure> {
        let mine = std::mem::take(&mut self.mine);
        self.mark(mine.iter(), Fate::Open);
        self.shared
            .ground
            .strategy()
            .invalidate_all(&account.key())
            .await?;
        self.mark(mine.iter(), Fate::Dead);
        match mine.last() {
            Some(last) => self.reads(last, false).await,
            None => Ok(()),
        }
    }

    /// What is dead stays so.
    fn mark<'a>(&self, pairs: impl Iterator<Item = &'a Pair>, fate: Fate) {
        for pair in pairs {
            if !self.shared.ledger.access_is(&pair.access, Fate::Dead) {
                self.shared.ledger.access(&pair.access, fate);
            }
            if !self.shared.ledger.refresh_is(&pair.refresh, Fate::Dead) {
                self.shared.ledger.refresh(&pair.refresh, fate);
            }
        }
    }
}
