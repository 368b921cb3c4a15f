//! A write is one command: nothing can come between its parts, and a process that dies has done all of it or nothing.

use countersign::denylist::{DenylistStore, RedisDenylist};
use countersign::redis::Redis;
use countersign::store::{Consumed, Fence, NewAccess, NewRefresh, Opened, Rotate, Rotated, TokenStore};
use countersign::{Client, DigestKeyRing, SessionId, SystemEntropy, Timestamp};
use serde_json::Value;

use crate::entry::{Entry, MINUTE, NOW};
use crate::ground::{Account, LONG, connect};

/// The names of the commands that came from clients since the last call, by Redis's own log of them.
fn commands(server: &testbed::Redis) -> Vec<String> {
    let log: Value = serde_json::from_str(&server.command(&["--json", "SLOWLOG", "GET", "-1"])).unwrap();
    server.command(&["SLOWLOG", "RESET"]);
    // What runs inside of a script has no client's address.
    let of_clients = log.as_array().unwrap().iter().rev().filter(|entry| entry[4] != "?:0");
    let names = of_clients.map(|entry| entry[3][0].as_str().unwrap().to_uppercase());
    names.filter(|name| !matches!(name.as_str(), "SLOWLOG" | "CLIENT" | "HELLO" | "COMMAND" | "PING")).collect()
}

fn server() -> (testbed::Redis, Redis) {
    let server = testbed::Redis::with_settings(&["slowlog-log-slower-than=0", "slowlog-max-len=1000"]);
    let redis = connect(server.url(), LONG);
    (server, redis)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_writes_are_one_command_each() {
    let (server, redis) = server();
    let entry = Entry::new(&redis, "test:");
    let user = Account::new(1).key();
    let session = SessionId::generate(&SystemEntropy).unwrap();
    let access = |label: &str, session| NewAccess {
        digest: entry.digest(&user, session, label),
        user: user.clone(),
        session,
        created_at: NOW,
        expires_at: Some(NOW.saturating_add(MINUTE)),
    };
    let refresh = NewRefresh {
        digest: entry.digest(&user, Some(session), "refresh"),
        user: user.clone(),
        session: Some(session),
        created_at: NOW,
        expires_at: Some(NOW.saturating_add(MINUTE)),
        session_expires_at: None,
        family: entry.digest(&user, Some(session), "family"),
        client: Client::new(),
        fence: None,
    };
    let loose = NewRefresh { digest: entry.digest(&user, None, "loose"), session: None, ..refresh.clone() };
    let rotate = Rotate {
        presented: refresh.digest.clone().into(),
        successor: entry.digest(&user, Some(session), "successor"),
        family: entry.digest(&user, Some(session), "family"),
        consumed: Consumed::default(),
        session,
        created_at: NOW,
        expires_at: Some(NOW.saturating_add(MINUTE)),
        session_expires_at: None,
        access: Some(access("second", Some(session))),
    };
    let store = entry.store();
    // The first call of each script is refused and sent whole.
    store.insert_access(&access("zeroth", None)).await.unwrap();
    assert_eq!(store.rotate(&rotate).await.unwrap(), Rotated::Gone);
    store.remove_user(&user).await.unwrap();
    let mut log = commands(&server);
    log.sort();
    assert_eq!(log, ["EVAL", "EVAL", "EVAL", "EVALSHA", "EVALSHA", "EVALSHA"]);

    let done = |expected: &str, what: &str| assert_eq!(commands(&server), [expected], "{what}");
    store.insert_access(&access("first", None)).await.unwrap();
    done("EVALSHA", "insert_access");
    let opened = store.insert_refresh(&refresh, Some(&access("one", Some(session)))).await;
    assert_eq!(opened.unwrap(), Opened::Done);
    done("EVALSHA", "insert_refresh with its access token");
    assert_eq!(store.insert_refresh(&loose, None).await.unwrap(), Opened::Done);
    done("EVALSHA", "insert_refresh");
    assert_eq!(store.rotate(&rotate).await.unwrap(), Rotated::Done);
    done("EVALSHA", "rotate");
    assert!(store.find_access(&access("one", Some(session)).digest.into()).await.unwrap().is_some());
    done("HMGET", "find_access");
    assert!(store.find_refresh(&rotate.successor.clone().into()).await.unwrap().is_some());
    done("HMGET", "find_refresh");
    assert!(store.find_family(&rotate.family).await.unwrap().is_some());
    done("HMGET", "find_family");
    assert!(store.find_session(session, &user).await.unwrap().is_some());
    done("HMGET", "find_session");
    store.fence(&user, Fence::default(), NOW).await.unwrap();
    done("HGET", "fence");
    assert!(store.remove_access(&access("first", None).digest.into(), Some(&user)).await.unwrap());
    done("HDEL", "remove_access");
    assert!(store.remove_refresh(&loose.digest.into(), Some(&user)).await.unwrap());
    done("HDEL", "remove_refresh");
    assert_eq!(store.remove_loose(&user).await.unwrap(), 0);
    done("HSCAN", "remove_loose of nothing");
    assert!(store.end_session(session, &user).await.unwrap());
    done("HDEL", "end_session");
    store.insert_access(&access("last", None)).await.unwrap();
    done("EVALSHA", "insert_access");
    assert!(store.remove_user(&user).await.unwrap() > 0);
    done("EVALSHA", "remove_user");
    assert_eq!(server.command(&["KEYS", "*"]), "");
}

/// Each operation of the strategy that changes something has one command that does: reads come before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_strategies_write_by_one_command_each() {
    use countersign::{Rotation, Strategy};

    let (server, redis) = server();
    let ground = crate::ground::Ground::new(&redis, "test:");
    let account = Account::new(1);
    let warm = ground.open(&account).await.unwrap();
    ground.refreshable().refresh_session(&warm.refresh, &crate::ground::users).await.unwrap();
    ground.strategy().invalidate_all(&account.0).await.unwrap();
    commands(&server);

    let done = |expected: &[&str], what: &str| assert_eq!(commands(&server), expected, "{what}");
    let pair = ground.open(&account).await.unwrap();
    done(&["EVALSHA"], "open_session");
    let token = ground.strategy().write_token(&account).await.unwrap().token;
    done(&["EVALSHA"], "write_token");
    let rotation = ground.refreshable().refresh_session(&pair.refresh, &crate::ground::users).await.unwrap();
    done(&["HMGET", "EVALSHA"], "refresh_session");
    assert!(ground.accepts(&token).await.unwrap());
    done(&["HMGET"], "read_token");
    ground.strategy().destroy_token(&token, &account).await.unwrap();
    done(&["HDEL"], "destroy_token");
    let Rotation::Rotated { issued, .. } = rotation else { panic!("a fresh refresh token is refused") };
    ground.refreshable().end_session_of(&issued.refresh.unwrap().token).await.unwrap();
    done(&["HMGET", "HDEL"], "end_session_of");
    ground.refreshable().end_session(pair.session, &account.0).await.unwrap();
    done(&["HDEL"], "end_session");
    ground.strategy().invalidate_all(&account.0).await.unwrap();
    done(&["EVALSHA", "EVALSHA"], "invalidate_all: the fence, then everything");
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

/// A ring of two keys names two places: each is cleared by one command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_removals_reach_the_places_of_every_key_of_the_ring() {
    let (server, redis) = server();
    let secret = |text: &str| countersign::Secret::new("token_hash_secret", text).unwrap();
    let (old, new) = (secret("Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA"), secret("pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc"));
    let before = DigestKeyRing::new("old", &old).unwrap();
    let after = DigestKeyRing::new("new", &new).unwrap().accept("old", &old).unwrap();
    let user = Account::new(1).key();
    for ring in [&before, &after] {
        let entry = Entry::with_ring(&redis, "test:", ring);
        let access = NewAccess {
            digest: entry.digest(&user, None, "access"),
            user: user.clone(),
            session: None,
            created_at: NOW,
            expires_at: None,
        };
        entry.store().insert_access(&access).await.unwrap();
    }
    let store = Entry::with_ring(&redis, "test:", &after);
    assert_eq!(store.store().remove_user(&user).await.unwrap(), 2);
    assert_eq!(server.command(&["KEYS", "*"]), "");
    store.store().remove_user(&user).await.unwrap();
    commands(&server);
    assert_eq!(store.store().remove_user(&user).await.unwrap(), 0);
    assert_eq!(commands(&server), ["EVALSHA", "EVALSHA"]);
}
