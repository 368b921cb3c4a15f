//! Sites: a strategy with one user, and the cases that attack it.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use countersign::denylist::MemoryDenylist;
use countersign::jwt::{Algorithm, KeyRing, SigningKey, generate_secret};
use countersign::strategy::Strategy;
use countersign::strategy::{JwtStrategy, JwtStrategyBuilder};
use countersign::token::{EndOutcome, TokenStatus};
use countersign::{Failure, PlainToken, Profile, Refusal, Secret, SystemEntropy, UserId};
use futures_util::FutureExt;
use uuid::Uuid;

use crate::fixture::clock;
use crate::fixture::users::Account;
use crate::jwt_forged::binding::HASH;
use crate::jwt_forged::forger::{Members, Pair, base64url, from_base64url};

/// When every token is read.
pub const NOW: i64 = 1_768_478_400;
/// The default leeway, lifetime, and longest life of a token that is accepted, in seconds.
pub const LEEWAY: i64 = 5;
pub const LIFETIME: i64 = 900;
pub const LONGEST: i64 = 86_400;
pub const KID: &str = "2026-11";
pub const OLD_KID: &str = "2026-05";
pub const ISSUER: &str = "https://login.example";
pub const SESSION: &str = "8f14e45f-ceea-467f-9e6b-7a1d3c5b2f10";
pub const USER: &str = "6f1c1f0e-3c1b-4b1e-9d5a-0c2b7a8e4d3f";

/// A strategy, its keys in the forger's hands, and a genuine token.
pub struct Site<I: UserId = Uuid> {
    pub algorithm: Algorithm,
    pub secret: Secret,
    pub old_secret: Secret,
    pub pair: Pair,
    pub old_pair: Pair,
    pub genuine: String,
    pub header: Members,
    pub claims: Members,
    strategy: JwtStrategy<Account<I>>,
    account: Account<I>,
    lookups: Arc<AtomicUsize>,
    denylist: Arc<MemoryDenylist>,
}

/// RSA keys take long to make, so all sites share two.
static RSA: LazyLock<[Secret; 2]> =
    LazyLock::new(|| [(); 2].map(|()| generate_secret(Algorithm::Rs256, &SystemEntropy).unwrap()));

pub fn secrets(algorithm: Algorithm) -> [Secret; 2] {
    match algorithm.as_str().as_bytes() {
        [b'R' | b'P', ..] => RSA.clone(),
        _ => [(); 2].map(|()| generate_secret(algorithm, &SystemEntropy).unwrap()),
    }
}

impl Site<Uuid> {
    /// A site with two keys, an issuer and default settings.
    pub async fn new(algorithm: Algorithm) -> Self {
        Self::with(algorithm, Uuid::try_parse(USER).unwrap(), |builder| {
            builder.issuer(ISSUER)
        })
        .await
    }
}

impl<I: UserId> Site<I> {
    pub async fn with(
        algorithm: Algorithm,
        id: I,
        configure: impl FnOnce(JwtStrategyBuilder<Account<I>>) -> JwtStrategyBuilder<Account<I>>,
    ) -> Self {
        let [secret, old_secret] = secrets(algorithm);
        let key = |secret, kid| {
            SigningKey::from_secret(algorithm, secret)
                .unwrap()
                .with_kid(kid)
                .unwrap()
        };
        let keys = KeyRing::new(key(&secret, KID))
            .accept(key(&old_secret, OLD_KID).verifying_key().clone())
            .unwrap();
        let denylist = Arc::new(MemoryDenylist::default());
        let builder = JwtStrategy::builder()
            .keys(keys)
            .denylist_store(Arc::clone(&denylist) as _);
        let strategy = configure(builder.clock(clock::at(NOW))).build().unwrap();
        let account = Account::of(id).with_password("Ada@example.com", HASH);
        let genuine = strategy
            .write_token(&account)
            .await
            .unwrap()
            .token
            .expose()
            .to_owned();
        let segments: Vec<Vec<u8>> = genuine.split('.').map(from_base64url).collect();
        Self {
            algorithm,
            pair: Pair::new(algorithm, &secret),
            old_pair: Pair::new(algorithm, &old_secret),
            secret,
            old_secret,
            genuine,
            header: Members::read(&segments[0]),
            claims: Members::read(&segments[1]).with("sid", format!("\"{SESSION}\"")),
            strategy,
            account,
            lookups: Arc::default(),
            denylist,
        }
    }

    /// With an account that has no email, and so no fingerprint.
    pub fn without_email(mut self) -> Self {
        self.account.email = None;
        self
    }

    pub fn name(&self) -> &'static str {
        self.algorithm.as_str()
    }

    /// Three segments as they are, with the genuine key's signature.
    pub fn sign_segments(&self, header: &str, payload: &str) -> String {
        let signed = format!("{header}.{payload}");
        let signature = self.pair.sign(self.name(), signed.as_bytes());
        format!("{signed}.{}", base64url(signature))
    }

    pub fn sign(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        self.sign_segments(&base64url(header), &base64url(claims))
    }

    /// Under another header, with a genuine signature.
    pub fn header(&self, header: &Members) -> String {
        self.sign(header.json(), self.claims.json())
    }

    /// With other claims, with a genuine signature.
    pub fn claims(&self, claims: &Members) -> String {
        self.sign(self.header.json(), claims.json())
    }

    /// Another good token each time.
    pub fn fresh(&self, number: usize) -> String {
        self.claims(&self.claims.with("jti", format!("\"{number:032x}\"")))
    }

    /// What the token signs, decoded signature apart.
    pub fn parts(token: &str) -> (&str, Vec<u8>) {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        (signed, from_base64url(signature))
    }

    /// Runs the cases: nothing may panic, fail, look a user up without need, or let a forger revoke.
    pub async fn run(&self, group: &str, cases: Cases, tally: &mut Tally) {
        for case in cases.0 {
            let name = format!("{} {group}: {}", self.name(), case.name);
            let before = self.lookups.load(Ordering::Relaxed);
            let token = PlainToken::new(case.token);
            match AssertUnwindSafe(self.verdict(&token)).catch_unwind().await {
                Err(_) => tally.wrong.push(format!("{name}: panics")),
                Ok(Err(failure)) => tally.wrong.push(format!("{name}: {failure}")),
                Ok(Ok(verdict)) if verdict != case.verdict => {
                    tally
                        .wrong
                        .push(format!("{name}: {verdict:?} instead of {:?}", case.verdict));
                }
                Ok(Ok(Verdict::Accepted)) => tally.accepted += 1,
                Ok(Ok(Verdict::Refused(refusal))) => {
                    tally.refused += 1;
                    let judged = matches!(refusal, Refusal::Fingerprint | Refusal::UserUnknown);
                    if !judged && self.lookups.load(Ordering::Relaxed) != before {
                        tally.wrong.push(format!("{name}: looks the user up"));
                    }
                    if !is_ours(refusal) && self.destroy(&token).await != EndOutcome::AlreadyEnded {
                        tally.wrong.push(format!("{name}: a forger revokes"));
                    }
                }
            }
        }
    }

    pub async fn verdict(&self, token: &PlainToken) -> Result<Verdict, Failure> {
        let users = |id: I| {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            let account = (id == self.account.id).then(|| self.account.clone());
            async move { Ok::<_, Failure>(account) }
        };
        Ok(match self.strategy.read_token(Some(token), &users).await? {
            TokenStatus::NotOffered => unreachable!("a token was offered"),
            TokenStatus::Accepted(_) => Verdict::Accepted,
            TokenStatus::Refused(refusal) => Verdict::Refused(refusal),
        })
    }

    pub async fn destroy(&self, token: &PlainToken) -> EndOutcome {
        self.strategy
            .destroy_token(token, &self.account)
            .await
            .unwrap()
    }

    pub fn denied(&self) -> usize {
        self.denylist.len()
    }
}

/// Whether a token refused so was signed by us, for us, and may be good at another time.
const fn is_ours(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::NotYetValid
            | Refusal::Lifetime
            | Refusal::Fingerprint
            | Refusal::Revoked
            | Refusal::UserUnknown
    )
}

/// The settings of the site that knows the original's tokens.
pub fn litestar(builder: JwtStrategyBuilder<Account<Uuid>>) -> JwtStrategyBuilder<Account<Uuid>> {
    builder.profile(Profile::LitestarAuth)
}

/// No leeway at all, and no longer life than that of our own tokens.
pub fn strict(builder: JwtStrategyBuilder<Account<Uuid>>) -> JwtStrategyBuilder<Account<Uuid>> {
    builder
        .issuer(ISSUER)
        .leeway(Duration::ZERO)
        .max_lifetime(Duration::from_secs(LIFETIME.unsigned_abs()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Refused(Refusal),
}

struct Case {
    name: String,
    token: String,
    verdict: Verdict,
}

/// A table of cases.
#[derive(Default)]
pub struct Cases(Vec<Case>);

impl Cases {
    pub fn accept(&mut self, name: impl Into<String>, token: impl Into<String>) {
        self.0.push(Case {
            name: name.into(),
            token: token.into(),
            verdict: Verdict::Accepted,
        });
    }

    pub fn refuse(&mut self, refusal: Refusal, name: impl Into<String>, token: impl Into<String>) {
        self.0.push(Case {
            name: name.into(),
            token: token.into(),
            verdict: Verdict::Refused(refusal),
        });
    }
}

/// What came out.
#[derive(Default)]
pub struct Tally {
    pub accepted: usize,
    pub refused: usize,
    pub wrong: Vec<String>,
}
