//! Login and logout by forms: redirects that stay on the site, and refusals that lead back to the login page.

use countersign::axum::{AuthRoutes, CredentialVerifier, FormPages, LoginAttempt, LoginVerdict};
use countersign::transport::CookieTransport;
use countersign::{Failure, Profile};
use http::StatusCode;

use crate::fixture::web::{Member, World};
use crate::http::{App, Reply, Verifier};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
const LOGIN: &str = "/auth/cookie/form/login";
const LOGOUT: &str = "/auth/cookie/form/logout";

fn app_of(verifier: impl FnOnce(&World) -> Verifier) -> App {
    let world = World::new();
    let verifier = verifier(&world);
    let cookies = CookieTransport::builder(Profile::Countersign);
    App::routed(world, cookies.build().unwrap(), |routes| {
        let pages = FormPages::new("/sign-in?lang=en")
            .after_login("/home")
            .after_logout("/bye");
        routes.login(verifier).forms(pages)
    })
}

fn app() -> App {
    app_of(|world| Verifier(world.members.clone()))
}

impl Reply {
    /// The target of a redirect that nobody may keep.
    #[track_caller]
    fn target(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.body, "");
        self.header("location").unwrap()
    }
}

#[tokio::test]
async fn a_form_logs_in_and_out() {
    let app = app();
    let body = "identifier=me%40x&password=password+of%201&next=%2Finbox%3Fpage%3D2";
    let login = app.post(LOGIN, &[FORM, OWN], body).await;
    assert_eq!(login.target(), "/inbox?page=2");
    let cookies = login.set_cookies();
    assert_eq!(cookies.len(), 2);
    assert!(cookies.iter().all(|cookie| cookie.contains("; Max-Age=")));
    let cookies: Vec<&str> = cookies
        .iter()
        .map(|c| c.split(';').next().unwrap())
        .collect();
    let cookies = cookies.join("; ");
    let me = app.get("/me", &[("cookie", &cookies)]).await;
    assert_eq!(me.body, "member 1");

    let logout = app
        .post(LOGOUT, &[("cookie", &cookies), FORM, OWN], "next=/later")
        .await;
    assert_eq!(logout.target(), "/later");
    assert!(
        logout
            .set_cookies()
            .iter()
            .all(|cookie| cookie.contains("Max-Age=0"))
    );
    let me = app.get("/me", &[("cookie", &cookies)]).await;
    assert_eq!(me.status, StatusCode::UNAUTHORIZED);
    // Again, without a body.
    let logout = app.post(LOGOUT, &[("cookie", &cookies), OWN], "").await;
    assert_eq!(logout.target(), "/bye");
}

/// The table of other sites is in the unit tests of `local_path`; here the ways through the form.
#[tokio::test]
async fn redirects_stay_on_the_site() {
    let app = app();
    let attacks = [
        "//evil.example",
        "%2F%2Fevil.example",
        "/%2Fevil.example",
        "/%5Cevil.example",
        "%5C%5Cevil.example",
        "/%09/evil.example",
        "/%0d%0aSet-Cookie:a=b",
        "+//evil.example",
        "https%3A%2F%2Fevil.example",
        "javascript:alert(1)",
        "/%00",
        "/%C2%85/evil.example",
        "/a&next=/b",
        "",
    ];
    for attack in attacks {
        let body = format!("identifier=me&password=password+of+1&next={attack}");
        let login = app.post(LOGIN, &[FORM, OWN], body).await;
        assert_eq!(login.target(), "/home", "{attack}");
        let wrong = format!("identifier=me&password=wrong&next={attack}");
        let login = app.post(LOGIN, &[FORM, OWN], wrong).await;
        let back = "/sign-in?lang=en&error=LOGIN_BAD_CREDENTIALS";
        assert_eq!(login.target(), back, "{attack}");
        let logout = app
            .post(LOGOUT, &[FORM, OWN], format!("next={attack}"))
            .await;
        assert_eq!(logout.target(), "/bye", "{attack}");
    }
}

#[tokio::test]
async fn refusals_lead_back_with_a_code() {
    let app = app();
    app.world.members.put(3, false);
    let long = format!("identifier={}&password=x", "a".repeat(321));
    for (body, code) in [
        ("identifier=ada&password=wrong", "LOGIN_BAD_CREDENTIALS"),
        (
            "identifier=ada&password=password+of+3",
            "LOGIN_BAD_CREDENTIALS",
        ),
        ("identifier=limited&password=x", "RATE_LIMITED"),
        ("identifier=busy&password=x", "OVERLOADED"),
        ("identifier=ada", "REQUEST_BODY_INVALID"),
        ("identifier=ada&password=", "REQUEST_BODY_INVALID"),
        (
            "identifier=ada&identifier=eve&password=x",
            "REQUEST_BODY_INVALID",
        ),
        (
            "identifier=ada&password=password+of+1&password=x",
            "REQUEST_BODY_INVALID",
        ),
        (&long, "REQUEST_BODY_INVALID"),
        ("", "REQUEST_BODY_INVALID"),
    ] {
        let reply = app
            .post(LOGIN, &[FORM, OWN], format!("{body}&next=/a%26b"))
            .await;
        let back = format!("/sign-in?lang=en&error={code}&next=%2Fa%26b");
        assert_eq!(reply.target(), back, "{body}");
        assert!(reply.set_cookies().is_empty());
        let waits = ["RATE_LIMITED", "OVERLOADED"].contains(&code);
        assert_eq!(reply.header("retry-after").is_some(), waits, "{code}");
    }
    let down = app
        .post(LOGIN, &[FORM, OWN], "identifier=down&password=x")
        .await;
    down.is_problem(503, "STORE_UNAVAILABLE", None);
    let not_text = app
        .post(LOGIN, &[FORM, OWN], "identifier=me&password=%ff")
        .await;
    not_text.is_problem(422, "REQUEST_BODY_INVALID", None);
    let crowded = format!("identifier=me&password=x{}", "&x=".repeat(63));
    app.post(LOGIN, &[FORM, OWN], crowded)
        .await
        .is_problem(422, "REQUEST_BODY_INVALID", None);
    let large = format!("identifier=me&password=x&x={}", "a".repeat(16 * 1024));
    app.post(LOGIN, &[FORM, OWN], large)
        .await
        .is_problem(413, "REQUEST_TOO_LARGE", None);
}

/// A form of another site could otherwise log a visitor in as somebody else, or out.
#[tokio::test]
async fn forms_of_other_sites_count_for_nothing() {
    let app = app();
    let tokens = app.tokens(1).await;
    let cookies = tokens.cookies();
    let body = "identifier=me&password=password+of+1";
    let cross = ("sec-fetch-site", "cross-site");
    let origin = ("origin", "https://evil.example");
    for sender in [
        vec![],
        vec![cross],
        vec![origin],
        vec![("sec-fetch-site", "same-site")],
    ] {
        let headers = [vec![("cookie", &*cookies), FORM], sender].concat();
        for (path, body) in [(LOGIN, body), (LOGOUT, "next=/")] {
            let reply = app.post(path, &headers, body).await;
            reply.is_problem(403, "CSRF_FAILED", None);
            assert!(reply.set_cookies().is_empty());
        }
    }
    assert!(app.is_live(&tokens.access).await);
}

#[tokio::test]
async fn forms_are_forms_and_json_is_json() {
    let app = app();
    let body = "identifier=me&password=password+of+1";
    for types in [
        &["text/plain"][..],
        &["multipart/form-data; boundary=x"],
        &["application/json"],
        &["application/x-www-form-urlencoded", "text/plain"],
        &[],
    ] {
        let types = types.iter().map(|value| ("content-type", *value));
        let headers: Vec<_> = types.chain([OWN]).collect();
        let reply = app.post(LOGIN, &headers, body).await;
        reply.is_problem(415, "UNSUPPORTED_MEDIA_TYPE", None);
    }
    let typed = (
        "content-type",
        "Application/x-www-form-urlencoded; charset=UTF-8",
    );
    assert_eq!(app.post(LOGIN, &[typed, OWN], body).await.target(), "/home");
    let zipped = ("content-encoding", "gzip");
    let reply = app.post(LOGIN, &[FORM, OWN, zipped], body).await;
    reply.is_problem(415, "UNSUPPORTED_MEDIA_TYPE", None);
    let reply = app.post("/auth/cookie/login", &[FORM, OWN], body).await;
    reply.is_problem(415, "UNSUPPORTED_MEDIA_TYPE", None);
    for path in [LOGIN, LOGOUT] {
        app.get(path, &[OWN])
            .await
            .is_problem(405, "METHOD_NOT_ALLOWED", None);
    }
}

#[tokio::test]
async fn they_are_off_until_asked_for() {
    for path in [LOGIN, LOGOUT] {
        let reply = App::new().post(path, &[FORM, OWN], "").await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
    }
    let app = App::new();
    for page in [
        "sign-in",
        "//evil.example",
        "/a#b",
        "",
        "https://app.example/",
        "/a\n",
    ] {
        for pages in [
            FormPages::new(page),
            FormPages::new("/").after_login(page),
            FormPages::new("/").after_logout(page),
        ] {
            let routes = AuthRoutes::new(app.authenticator.clone()).forms(pages);
            let error = routes.build::<()>().unwrap_err();
            assert_eq!(error.setting(), "forms", "{page}");
        }
    }
}

/// Asks for more than a password, and takes each member for what it must be.
struct Asking(Verifier);

#[derive(serde::Deserialize, PartialEq)]
struct Device {
    id: u32,
}

#[async_trait::async_trait]
impl CredentialVerifier<Member> for Asking {
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        let device = login.member::<Device>("device");
        let is_known = device.is_none_or(|device| device.id == 7);
        match login.member::<String>("otp").as_deref() {
            Some("123 456") if is_known => self.0.verify(login).await,
            _ => Ok(LoginVerdict::Rejected),
        }
    }
}

#[tokio::test]
async fn verifiers_are_given_the_other_members() {
    let world = World::new();
    let verifier = Asking(Verifier(world.members.clone()));
    let cookies = CookieTransport::builder(Profile::Countersign);
    let app = App::routed(world, cookies.build().unwrap(), |routes| {
        routes.login(verifier).forms(FormPages::new("/sign-in"))
    });
    let head = r#"{"identifier":"me","password":"password of 1""#;
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    for (members, status) in [
        (String::new(), 401),
        (r#","otp":"123 456""#.to_owned(), 200),
        (r#","otp":"123 4567""#.to_owned(), 401),
        (r#","otp":123456"#.to_owned(), 401),
        (r#","otp":null"#.to_owned(), 401),
        (r#","otp":"123 456","otp":"123 456""#.to_owned(), 401),
        (r#","otp":"x","otp":"123 456""#.to_owned(), 401),
        (r#","otp":"123 456","device":{"id":7}"#.to_owned(), 200),
        (r#","otp":"123 456","device":{"id":8}"#.to_owned(), 401),
        (format!(r#","x":{deep},"otp":"123 456""#), 200),
        (format!(r#","otp":"123 456","x":{deep}"#), 200),
        (format!(r#","otp":{deep}"#), 401),
    ] {
        let body = format!("{head}{members}}}");
        let reply = app.post("/auth/login", &[crate::http::JSON], body).await;
        assert_eq!(
            reply.status,
            status,
            "{}",
            &members[..members.len().min(60)]
        );
    }
    let form = "identifier=me&password=password+of+1";
    let reply = app
        .post(LOGIN, &[FORM, OWN], format!("{form}&otp=123+456"))
        .await;
    assert_eq!(reply.target(), "/");
    let reply = app
        .post(LOGIN, &[FORM, OWN], format!("{form}&otp=1&otp=123+456"))
        .await;
    assert_eq!(reply.target(), "/sign-in?error=LOGIN_BAD_CREDENTIALS");
}
