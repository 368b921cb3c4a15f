//! Calls over a real gRPC connection, and the status of each.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::net::SocketAddr;
use std::sync::Arc;

use countersign::store::MemoryStore;
use countersign::strategy::DatabaseTokenStrategy;
use countersign::testing::{SeededEntropy, TestSession};
use countersign::{Authenticator, Failure, Secret, UserManager};
use example_tonic::{Member, authenticator, serve};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

fn parts(users: impl UserManager<Member> + 'static) -> Arc<Authenticator<Member>> {
    let secret = Secret::generate(&SeededEntropy::new(1)).unwrap();
    let strategy = DatabaseTokenStrategy::builder(MemoryStore::new());
    let strategy = strategy.token_hash_secret(&secret).build().unwrap();
    authenticator(users, Arc::new(strategy)).unwrap()
}

async fn known(id: i64) -> Result<Option<Member>, Failure> {
    Ok(Some(Member { id }))
}

/// Starts the service on a free port.
async fn start(authenticator: &Arc<Authenticator<Member>>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(serve(Arc::clone(authenticator), listener));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap();
    Client(HealthClient::new(channel.connect().await.unwrap()))
}

struct Client(HealthClient<Channel>);

impl Client {
    /// Calls with the metadata `authorization`, once for each value.
    async fn check(&self, service: &str, authorization: &[&str]) -> Result<ServingStatus, Status> {
        let mut request = Request::new(HealthCheckRequest {
            service: service.to_owned(),
        });
        for value in authorization {
            request
                .metadata_mut()
                .append("authorization", value.parse().unwrap());
        }
        let response = self.0.clone().check(request).await?;
        Ok(response.get_ref().status())
    }

    async fn code(&self, authorization: &[&str]) -> Code {
        self.check("members/7", authorization)
            .await
            .unwrap_err()
            .code()
    }
}

async fn session(authenticator: &Authenticator<Member>) -> (TestSession, String) {
    let session = TestSession::open(authenticator, &Member { id: 7 })
        .await
        .unwrap();
    let bearer = session.bearer()["authorization"]
        .to_str()
        .unwrap()
        .to_owned();
    (session, bearer)
}

#[tokio::test]
async fn callers_are_known_and_see_their_own_account() {
    let authenticator = parts(known);
    let client = start(&authenticator).await;
    let (_, bearer) = session(&authenticator).await;
    let own = client.check("members/7", &[&bearer]).await.unwrap();
    assert_eq!(own, ServingStatus::Serving);
    let other = client.check("members/8", &[&bearer]).await.unwrap_err();
    assert_eq!(other.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn who_is_not_known_is_unauthenticated() {
    let authenticator = parts(known);
    let client = start(&authenticator).await;
    assert_eq!(client.code(&[]).await, Code::Unauthenticated);
    assert_eq!(client.code(&["Bearer forged"]).await, Code::Unauthenticated);

    let (session, bearer) = session(&authenticator).await;
    assert_eq!(
        client.code(&[&bearer, &bearer]).await,
        Code::InvalidArgument
    );
    let backend = &authenticator.backends()[0];
    backend
        .end_session(session.id().unwrap(), &7)
        .await
        .unwrap();
    assert_eq!(client.code(&[&bearer]).await, Code::Unauthenticated);
}

#[tokio::test]
async fn an_outage_is_no_refusal() {
    let down = |_: i64| async { Err(Failure::unavailable("accounts", "no answer")) };
    let authenticator = parts(down);
    let client = start(&authenticator).await;
    let (_, bearer) = session(&authenticator).await;
    assert_eq!(client.code(&[&bearer]).await, Code::Unavailable);
}
