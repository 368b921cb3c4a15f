//! Addresses, passwords and ids in the spellings that people and their devices give them.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{DATABASES, PASSWORD, Place, Reply, Server, Tokens, everywhere};
use crate::rows::Rows;

async fn log_in(server: &Server, email: &str, password: &str) -> Reply {
    server
        .post(
            "/auth/login",
            json!({ "identifier": email, "password": password }),
        )
        .await
}

#[tokio::test]
async fn one_person_has_one_account_however_the_address_is_spelled() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh());
        let server = place.start();
        let account = server
            .register("ada@b\u{fc}cher.example")
            .await
            .expect(StatusCode::CREATED)
            .json();
        assert_eq!(account["email"], "ada@b\u{fc}cher.example");
        for same in [
            "ada@xn--bcher-kva.example",
            " Ada@B\u{dc}CHER.example ",
            "ada@bu\u{308}cher.example\n",
            "\u{3000}ada@b\u{fc}cher\u{3002}example\u{a0}",
        ] {
            Tokens::of(&log_in(&server, same, PASSWORD).await);
            server
                .register(same)
                .await
                .expect_problem(StatusCode::CONFLICT, "REGISTER_EMAIL_TAKEN");
            assert_eq!(
                place.json(&["user", "enable", same])["id"],
                account["id"],
                "{same:?}"
            );
        }
        let bob = server.newcomer("bob@example.org").await;
        let body = json!({ "current_password": PASSWORD, "email": "ada@XN--BCHER-KVA.example" });
        let taken = Reply::of(
            server
                .request(Method::PATCH, "/users/me")
                .bearer_auth(&bob.access)
                .json(&body),
        )
        .await;
        taken.expect_problem(StatusCode::CONFLICT, "ACCOUNT_EMAIL_TAKEN");
        assert_eq!(
            place.json(&["user", "list"])["users"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }
}

/// An address from before there was one form for both encodings of a domain, or from another program.
#[tokio::test]
async fn accounts_in_an_older_form_are_found() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh());
        let server = place.start();
        let rows = Rows::of(&place);
        for (at, (old, typed)) in [
            ("old@xn--bcher-kva.example", "Old@b\u{fc}cher.example"),
            ("old@xn--caf-dma.example", "old@xn--caf-dma.example"),
            ("old\u{200b}@example.org", "OLD\u{200b}@example.org "),
        ]
        .into_iter()
        .enumerate()
        {
            let first = format!("{at}@example.org");
            server.register(&first).await.expect(StatusCode::CREATED);
            rows.run(
                "UPDATE {user} SET email = ?2 WHERE email = ?1",
                &[first.as_str().into(), old.into()],
            )
            .await;
            Tokens::of(&log_in(&server, typed, PASSWORD).await);
            assert_eq!(place.json(&["user", "disable", typed])["is_active"], false);
        }
        server
            .register("old@b\u{fc}cher.example")
            .await
            .expect_problem(StatusCode::CONFLICT, "REGISTER_EMAIL_TAKEN");
        // Of two accounts from before, each belongs to who spells it so.
        rows.insert(
            "old@b\u{fc}cher.example",
            &rows.hash_of("old@xn--bcher-kva.example").await,
        )
        .await;
        Tokens::of(&log_in(&server, "old@b\u{fc}cher.example", PASSWORD).await);
        log_in(&server, "old@xn--bcher-kva.example", PASSWORD)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn nobody_registers_with_what_nobody_can_see() {
    let place = Place::new(Vec::new());
    let server = place.start();
    for hidden in [
        "\u{200b}",
        "\u{ad}",
        "\u{202e}",
        "\u{2060}",
        "\u{feff}",
        "\u{34f}",
        "\u{3164}",
        "\u{e0041}",
        "\u{1b}",
        "\0",
    ] {
        for email in [
            format!("a{hidden}da@example.org"),
            format!("ada@exam{hidden}ple.org"),
        ] {
            let answer = server.register(&email).await;
            let answer =
                answer.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "REGISTER_EMAIL_INVALID");
            assert!(answer.text.contains("invisible"), "{}", answer.text);
        }
    }
    let refused = place.run(&["user", "add", "a\u{200b}da@example.org"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("contains the invisible character U+200B") && !said.contains('\u{200b}'),
        "{said}"
    );
    assert_eq!(place.json(&["user", "list"])["users"], json!([]));
}

#[tokio::test]
async fn lists_show_what_nobody_can_see() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh());
        place.json(&["migrate"]);
        let (hidden, shown) = (
            "a\u{200b}da\u{202e}\u{1b}[31m@example.org",
            "a\\u{200b}da\\u{202e}\\u{1b}[31m@example.org",
        );
        Rows::of(&place).insert(hidden, "none").await;
        let list = place.run(&["user", "list"]);
        let text = String::from_utf8(list.stdout).unwrap();
        assert!(
            text.contains(shown) && !text.contains(['\u{200b}', '\u{202e}', '\u{1b}']),
            "{text}"
        );
        let json = String::from_utf8(place.run(&["user", "list", "--json"]).stdout).unwrap();
        assert!(!json.contains(['\u{200b}', '\u{202e}', '\u{1b}']), "{json}");
        assert_eq!(
            place.json(&["user", "list"])["users"][0]["email"],
            hidden,
            "programs get it as it is"
        );
        let text = String::from_utf8(place.run(&["user", "disable", hidden]).stdout).unwrap();
        assert!(text.contains(shown), "{text}");
    }
}

#[tokio::test]
async fn a_password_is_the_same_however_its_letters_are_composed() {
    let (composed, decomposed) = (
        "caf\u{e9} au lait, s'il vous pla\u{ee}t",
        "cafe\u{301} au lait, s'il vous plai\u{302}t",
    );
    let place = Place::new(Vec::new());
    let server = place.start();
    for (email, first, then) in [
        ("ada@example.org", composed, decomposed),
        ("bob@example.org", decomposed, composed),
    ] {
        let registration = json!({ "email": email, "password": first });
        server
            .post("/auth/register", registration)
            .await
            .expect(StatusCode::CREATED);
        for password in [first, then] {
            Tokens::of(&log_in(&server, email, password).await);
        }
    }
    // A hash from before, of what was typed then.
    let rows = Rows::of(&place);
    let old = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$l+U4OYwt521QHoL3ovDFpCdz9XFgrEyofedlcdkGMIM";
    rows.insert("cyd@example.org", old).await;
    Tokens::of(&log_in(&server, "cyd@example.org", "cafe\u{301} au lait").await);
    Tokens::of(&log_in(&server, "cyd@example.org", "caf\u{e9} au lait").await);
}

#[tokio::test]
async fn a_session_is_named_by_its_id_in_any_spelling() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let server = place.start();
        let ada = server.newcomer("ada@example.org").await;
        let spellings: [fn(&str) -> String; 4] = [
            str::to_uppercase,
            |id| id.replace('-', ""),
            |id| format!("%7B{id}%7D"),
            |id| format!("urn:uuid:{id}"),
        ];
        for spelled in spellings {
            let other = server.login("ada@example.org").await;
            let listed = server.get("/auth/sessions", &other.access).await.json();
            let all = listed["sessions"].as_array().unwrap();
            let id = all
                .iter()
                .find(|session| session["current"] == true)
                .unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned();
            let path = format!("/auth/sessions/{}", spelled(&id));
            let ended = Reply::of(
                server
                    .request(Method::DELETE, &path)
                    .bearer_auth(&ada.access),
            )
            .await;
            assert_eq!(ended.status, StatusCode::NO_CONTENT, "{path}");
            server
                .me(&other.access)
                .await
                .expect(StatusCode::UNAUTHORIZED);
        }
        let id = place.json(&["session", "list", "ada@example.org"])["sessions"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let revoked = place.json(&[
            "session",
            "revoke",
            "ada@example.org",
            &format!("{{{}}}", id.to_uppercase()),
        ]);
        assert_eq!(revoked["revoked"], json!([id]));
        server
            .me(&ada.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
}
