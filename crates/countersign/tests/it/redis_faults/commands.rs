//! A write is one command: nothing can come between its parts, and a process that dies has done all of it or nothing.

use countersign::denylist::{DenylistStore, RedisDenylist};
use countersign::redis::Redis;
use countersign::store::{
    ClearUser, Cleared, EndUser, Fence, NewAccess, NewRefresh, Opened, Page, RotateOutcome,
    RotateRequest, SweepLimit, TokenStore,
};
use countersign::token::DigestKeyRing;
use countersign::{SessionId, SystemEntropy, Timestamp};
use serde_json::Value;

use crate::fixture::users::Account;
use crate::redis_faults::entry::{Entry, MINUTE, NOW};
use crate::redis_faults::ground::{LONG, connect};

/// The names of the commands that came from clients since the last call, by Redis's own log of them.
fn commands(server: &testbed::Redis) -> Vec<String> {
    let log: Value =
        serde_json::from_str(&server.command(&["--json", "SLOWLOG", "GET", "-1"])).unwrap();
    server.command(&["SLOWLOG", "RESET"]);
    // What runs inside of a script has no client's address.
    let of_clients = log
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .filter(|entry| entry[4] != "?:0");
    let names = of_clients.map(|entry| entry[3][0].as_str().unwrap().to_uppercase());
    names
        .filter(|name| {
            !matches!(
                name.as_str(),
                "SLOWLOG" | "CLIENT" | "HELLO" | "COMMAND" | "PING"
            )
        })
        .collect()
}

fn server() -> (testbed::Redis, Redis) {
    let server =
        testbed::Redis::with_settings(&["slowlog-log-slower-than=0", "slowlog-max-len=1000"]);
    let redis = connect(server.url(), LONG);
    (server, redis)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_writes_are_one_command_each() {
    let (server, redis) = server();
    let entry = Entry::new(&redis, "test:");
    let user = Account::new(1).key();
    let session = SessionId::generate(&SystemEntropy).unwrap();
    let access = |label: &str, session| {
        NewAccess::new(entry.digest(&user, session, label), user.clone(), NOW)
            .with_session(session)
            .with_expires_at(NOW.saturating_add(MINUTE))
    };
    let refresh = NewRefresh::new(
        entry.digest(&user, Some(session), "refresh"),
        entry.digest(&user, Some(session), "family"),
        user.clone(),
        NOW,
    )
    .with_session(session)
    .with_expires_at(NOW.saturating_add(MINUTE));
    let loose = {
        let mut changed = refresh.clone().with_session(None);
        changed.digest = entry.digest(&user, None, "loose");
        changed
    };
    let rotate = RotateRequest::new(
        refresh.digest.clone().into(),
        entry.digest(&user, Some(session), "successor"),
        entry.digest(&user, Some(session), "family"),
        session,
        NOW,
    )
    .with_expires_at(NOW.saturating_add(MINUTE))
    .with_access(access("second", Some(session)));
    let store = entry.store();
    // The first call of each script is refused and sent whole.
    let clear = ClearUser {
        user: user.clone(),
        unfenced: false,
        kept: None,
        rows: 100,
    };
    let limit = SweepLimit::at(NOW, 1);
    let page = Page {
        after: None,
        limit: 10,
    };
    let end = |fence: u8| EndUser {
        user: user.clone(),
        fence: Fence::parse(&format!("{fence:032x}")).unwrap(),
        kept: Some(session),
        settled: false,
        now: NOW,
    };
    assert_eq!(
        store.insert_access(&access("zeroth", None)).await.unwrap(),
        Opened::Done
    );
    assert_eq!(store.rotate(&rotate).await.unwrap(), RotateOutcome::Gone);
    assert!(!store.end_session(session, &user).await.unwrap());
    store.fence(&user, Fence::default(), NOW).await.unwrap();
    store
        .end_user(&EndUser {
            settled: true,
            ..end(1)
        })
        .await
        .unwrap();
    store.settle(&user, &[Fence::default()], NOW).await.unwrap();
    assert_eq!(store.clear(&clear).await.unwrap(), Cleared::default());
    assert_eq!(store.survey(&user, &limit).await.unwrap().sessions, 0);
    assert_eq!(store.sessions(&user, &page).await.unwrap().sessions, []);
    let mut log = commands(&server);
    log.sort();
    assert_eq!(log, [["EVAL"; 9], ["EVALSHA"; 9]].concat());

    let done = |expected: &str, what: &str| assert_eq!(commands(&server), [expected], "{what}");
    assert_eq!(
        store.insert_access(&access("first", None)).await.unwrap(),
        Opened::Done
    );
    done("EVALSHA", "insert_access");
    let opened = store
        .insert_refresh(&refresh, Some(&access("one", Some(session))))
        .await;
    assert_eq!(opened.unwrap(), Opened::Done);
    done("EVALSHA", "insert_refresh with its access token");
    assert_eq!(
        store.insert_refresh(&loose, None).await.unwrap(),
        Opened::Done
    );
    done("EVALSHA", "insert_refresh");
    assert_eq!(store.rotate(&rotate).await.unwrap(), RotateOutcome::Done);
    done("EVALSHA", "rotate");
    assert!(
        store
            .find_access(&access("one", Some(session)).digest.into())
            .await
            .unwrap()
            .is_some()
    );
    done("HMGET", "find_access");
    assert!(
        store
            .find_refresh(&rotate.successor.clone().into())
            .await
            .unwrap()
            .is_some()
    );
    done("HMGET", "find_refresh");
    assert!(store.find_family(&rotate.family).await.unwrap().is_some());
    done("HMGET", "find_family");
    assert!(store.find_session(session, &user).await.unwrap().is_some());
    done("HMGET", "find_session");
    store.fence(&user, Fence::default(), NOW).await.unwrap();
    done("EVALSHA", "fence");
    assert!(
        store
            .remove_access(&access("first", None).digest.into(), Some(&user))
            .await
            .unwrap()
    );
    done("EVALSHA", "remove_access");
    assert!(
        store
            .remove_refresh(&loose.digest.into(), Some(&user))
            .await
            .unwrap()
    );
    done("EVALSHA", "remove_refresh");
    store.end_user(&end(2)).await.unwrap();
    done("EVALSHA", "end_user");
    assert!(!store.unsettled(&user).await.unwrap().is_empty());
    done("HGET", "unsettled");
    store.settle(&user, &[end(1).fence], NOW).await.unwrap();
    done("EVALSHA", "settle");
    assert_eq!(store.clear(&clear).await.unwrap(), Cleared::default());
    done("EVALSHA", "clear");
    assert_eq!(store.survey(&user, &limit).await.unwrap().sessions, 1);
    done("EVALSHA", "survey");
    assert_eq!(
        store.sessions(&user, &page).await.unwrap().sessions.len(),
        1
    );
    done("EVALSHA", "sessions");
    assert!(store.end_session(session, &user).await.unwrap());
    done("EVALSHA", "end_session");
    assert_eq!(
        store.insert_access(&access("last", None)).await.unwrap(),
        Opened::Done
    );
    done("EVALSHA", "insert_access");
    store
        .end_user(&EndUser {
            kept: None,
            settled: true,
            ..end(3)
        })
        .await
        .unwrap();
    done("EVALSHA", "end_user");
    assert_eq!(crate::redis_faults::ground::left(&server, "*"), [""; 0]);
}

/// Each operation of the strategy that changes something has one command that does: reads come before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_strategies_write_by_one_command_each() {
    use countersign::strategy::{Strategy, TokenControl};

    let (server, redis) = server();
    let ground = crate::redis_faults::ground::Ground::new(&redis, "test:");
    let account = Account::new(1);
    let warm = ground.open(&account).await.unwrap();
    ground
        .refreshable()
        .refresh_session(&warm.refresh, &crate::fixture::users::users)
        .await
        .unwrap();
    ground
        .strategy()
        .destroy_token(&warm.access, &account)
        .await
        .unwrap();
    ground
        .strategy()
        .invalidate_all(&account.key())
        .await
        .unwrap();
    commands(&server);

    let done = |expected: &[&str], what: &str| assert_eq!(commands(&server), expected, "{what}");
    let pair = ground.open(&account).await.unwrap();
    done(
        &["EVALSHA", "EVALSHA"],
        "open_session: the fence, then the session behind it",
    );
    let token = ground.strategy().write_token(&account).await.unwrap().token;
    done(
        &["EVALSHA", "EVALSHA"],
        "write_token: the fence, then the token behind it",
    );
    let rotation = ground
        .refreshable()
        .refresh_session(&pair.refresh, &crate::fixture::users::users)
        .await
        .unwrap();
    done(&["HMGET", "EVALSHA"], "refresh_session");
    assert!(ground.accepts(&token).await.unwrap());
    done(&["HMGET"], "read_token");
    ground
        .strategy()
        .destroy_token(&token, &account)
        .await
        .unwrap();
    done(&["EVALSHA"], "destroy_token");
    let issued = rotation.issued;
    ground
        .refreshable()
        .end_session_of(&issued.refresh.unwrap().token)
        .await
        .unwrap();
    done(&["HMGET", "EVALSHA"], "end_session_of");
    ground
        .refreshable()
        .end_session(pair.session, &account.key())
        .await
        .unwrap();
    done(&["EVALSHA"], "end_session");
    ground
        .strategy()
        .invalidate_all(&account.key())
        .await
        .unwrap();
    done(
        &["EVALSHA"; 4],
        "invalidate_all: a survey, the mark, and clearing behind no fence and behind ended ones",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_denylist_is_one_command_each() {
    let (server, redis) = server();
    let denylist = RedisDenylist::new(&redis);
    let deny = async |id: &str, end: Timestamp| denylist.deny(id, end, NOW).await.unwrap();
    deny("warm", NOW.saturating_add(MINUTE)).await;
    commands(&server);
    deny("one", NOW.saturating_add(MINUTE)).await;
    assert_eq!(commands(&server), ["EVALSHA"]);
    assert!(denylist.is_any_denied(&["two", "one"], NOW).await.unwrap());
    assert_eq!(commands(&server), ["MGET"]);
}

/// A ring of two keys names two places: each is marked by one command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_endings_reach_the_places_of_every_key_of_the_ring() {
    let (server, redis) = server();
    let secret = |text: &str| countersign::Secret::new("token_hash_secret", text).unwrap();
    let (old, new) = (
        secret("Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA"),
        secret("pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc"),
    );
    let before = DigestKeyRing::new("old", &old).unwrap();
    let after = DigestKeyRing::new("new", &new)
        .unwrap()
        .accept("old", &old)
        .unwrap();
    let (user, mut tokens, mut sessions, mut fences) =
        (Account::new(1).key(), Vec::new(), Vec::new(), Vec::new());
    for ring in [&before, &after] {
        let entry = Entry::with_ring(&redis, "test:", ring);
        fences.push(
            entry
                .store()
                .fence(&user, Fence::generate(&SystemEntropy).unwrap(), NOW)
                .await
                .unwrap(),
        );
        let session = SessionId::generate(&SystemEntropy).unwrap();
        let access = NewAccess::new(
            entry.digest(&user, Some(session), "access"),
            user.clone(),
            NOW,
        )
        .with_session(session);
        let refresh = entry.opening(&user, session);
        assert_eq!(
            entry
                .store()
                .insert_refresh(&refresh, Some(&access))
                .await
                .unwrap(),
            Opened::Done
        );
        tokens.push(access.digest.into());
        sessions.push(session);
    }
    let entry = Entry::with_ring(&redis, "test:", &after);
    let store = entry.store();
    let mut end = EndUser {
        user: user.clone(),
        fence: Fence::generate(&SystemEntropy).unwrap(),
        kept: Some(sessions[0]),
        settled: false,
        now: NOW,
    };
    let page = Page {
        after: None,
        limit: 1,
    };
    let first = store.sessions(&user, &page).await.unwrap();
    let second = store
        .sessions(
            &user,
            &Page {
                after: first.next,
                limit: 10,
            },
        )
        .await
        .unwrap();
    let mut listed: Vec<_> = first
        .sessions
        .into_iter()
        .chain(second.sessions)
        .map(|found| found.id)
        .collect();
    listed.sort();
    sessions.sort();
    assert_eq!((listed, second.next), (sessions, None));

    store.end_user(&end).await.unwrap();
    assert!(
        store.find_access(&tokens[0]).await.unwrap().is_some(),
        "the session that is kept"
    );
    assert!(store.find_access(&tokens[1]).await.unwrap().is_none());
    let unsettled: Vec<_> = store
        .unsettled(&user)
        .await
        .unwrap()
        .into_iter()
        .map(|ended| ended.fence)
        .collect();
    assert_eq!(unsettled.len(), 2);
    assert!(fences.iter().all(|fence| unsettled.contains(fence)));
    store.settle(&user, &fences, NOW).await.unwrap();
    assert_eq!(store.unsettled(&user).await.unwrap(), []);
    commands(&server);
    end.kept = None;
    end.settled = true;
    end.fence = Fence::generate(&SystemEntropy).unwrap();
    store.end_user(&end).await.unwrap();
    assert_eq!(commands(&server), ["EVALSHA", "EVALSHA"]);
    assert!(store.find_access(&tokens[0]).await.unwrap().is_none());
    assert_eq!(crate::redis_faults::ground::left(&server, "*"), [""; 0]);
}
