//! Forged, altered and odd tokens against [`JwtStrategy`](countersign::strategy::JwtStrategy), each with the verdict it
//! must get (SECURITY rows T-01 to T-11, C-01 to C-11, K-02).

#![cfg(feature = "jwt")]
#![allow(
    clippy::similar_names,
    clippy::maybe_infinite_iter,
    clippy::format_collect,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    reason = "test code"
)]

mod algorithm;
mod binding;
mod claims;
mod forger;
mod form;
mod header;
mod json;
mod mutations;
mod signature;
mod site;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};

use countersign::jwt::Algorithm;
use countersign::token::EndOutcome;
use countersign::{PlainToken, Refusal};
use uuid::Uuid;

use site::{Cases, Site, Tally, USER, Verdict};

/// One of each family: what lies behind the signature is the same for all.
const FAMILIES: [Algorithm; 5] = [
    Algorithm::Hs256,
    Algorithm::Rs256,
    Algorithm::Ps256,
    Algorithm::Es256,
    Algorithm::EdDsa,
];

#[tokio::test]
async fn every_case_gets_its_verdict() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys.json", silent.local_addr().unwrap());

    let mut tally = Tally::default();
    for algorithm in Algorithm::ALL {
        let site = Site::new(algorithm).await;
        site.run("form", form::cases(&site), &mut tally).await;
        site.run("algorithm", algorithm::cases(&site), &mut tally)
            .await;
        site.run("header", header::cases(&site, &url), &mut tally)
            .await;
        site.run("signature", signature::cases(&site), &mut tally)
            .await;
        if algorithm == Algorithm::Rs256 {
            let mut cases = Cases::default();
            signature::short_rsa(&site, &mut cases);
            site.run("signature", cases, &mut tally).await;
        }
        if FAMILIES.contains(&algorithm) {
            site.run("json", json::cases(&site), &mut tally).await;
            site.run("claims", claims::cases(&site), &mut tally).await;
            site.run("binding", binding::cases(&site), &mut tally).await;
        }
        assert_eq!(
            site.denied(),
            0,
            "{algorithm}: nothing but a good token is worth an entry in the denylist"
        );
    }
    other_sites(&mut tally).await;

    println!(
        "{} refused, {} accepted, {} wrong",
        tally.refused,
        tally.accepted,
        tally.wrong.len()
    );
    assert!(
        tally.wrong.is_empty(),
        "wrong verdicts:\n{}",
        tally.wrong.join("\n")
    );
    assert!(tally.refused + tally.accepted >= 300 && tally.accepted >= 50);

    let heard = silent.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(
        heard,
        Err(ErrorKind::WouldBlock),
        "a header made somebody connect"
    );
    let _ours = TcpStream::connect(silent.local_addr().unwrap()).unwrap();
    silent.set_nonblocking(false).unwrap();
    assert!(silent.accept().is_ok(), "the listener hears connections");
}

async fn other_sites(tally: &mut Tally) {
    let user = Uuid::try_parse(USER).unwrap();
    let site = Site::with(Algorithm::Hs256, user, site::strict).await;
    site.run("strict", claims::strict(&site), tally).await;
    let site = Site::with(Algorithm::Hs256, user, |builder| builder).await;
    site.run("no issuer", claims::without_issuer(&site), tally)
        .await;
    let site = Site::with(Algorithm::Hs256, user, site::litestar).await;
    site.run("litestar-auth", header::litestar_cases(&site), tally)
        .await;
    let site = Site::with(Algorithm::Es256, user, |builder| builder)
        .await
        .without_email();
    site.run("no email", binding::without_fingerprint(&site), tally)
        .await;
    let site = Site::with(Algorithm::EdDsa, 7_i64, |builder| builder).await;
    site.run("number", claims::number_subjects(&site), tally)
        .await;
    let site = Site::with(Algorithm::EdDsa, "ada".to_owned(), |builder| builder).await;
    site.run("name", claims::name_subjects(&site), tally).await;
}

/// ECDSA leaves every signature a second spelling, and JSON any number; a revoked token stays revoked in all of them.
#[tokio::test]
async fn no_spelling_outlives_its_revocation() {
    let site = Site::new(Algorithm::Es256).await;
    let token = site.fresh(1);
    let spaced = site.sign(
        site.header.spaced(" "),
        site.claims
            .with("jti", format!("\"{:032x}\"", 1))
            .spaced("\n"),
    );
    let spellings = [
        token.clone(),
        signature::with_high_s(&token, site.name()),
        spaced,
    ];
    for spelling in &spellings {
        let spelling = PlainToken::new(spelling.as_str());
        assert_eq!(site.verdict(&spelling).await.unwrap(), Verdict::Accepted);
    }
    assert_eq!(
        site.destroy(&PlainToken::new(token)).await,
        EndOutcome::Ended
    );
    for spelling in &spellings {
        let spelling = PlainToken::new(spelling.as_str());
        assert_eq!(
            site.verdict(&spelling).await.unwrap(),
            Verdict::Refused(Refusal::Revoked)
        );
    }
}
