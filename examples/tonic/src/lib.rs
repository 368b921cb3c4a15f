//! A gRPC service that knows its callers: tonic behind the authentication layer.
//!
//! [`AuthLayer`] is a layer of tower, so tonic takes it as it is. It puts the outcome into the
//! extensions of each request, and `caller` makes a user or a gRPC status of it. The service
//! is the standard health service, which `tonic-health` has as generated code: it tells whether
//! an account is in service, and tells members about their own only.

use std::sync::Arc;

use countersign::strategy::Strategy;
use countersign::tower::AuthLayer;
use countersign::transport::BearerTransport;
use countersign::{AuthOutcome, Authenticated, AuthenticationBackend, Authenticator};
use countersign::{ConfigError, Refusal, User, UserManager};
use tokio::net::TcpListener;
use tonic::codegen::BoxStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// A member of the site.
#[derive(Clone, Debug)]
pub struct Member {
    /// The id.
    pub id: i64,
}

impl User for Member {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.id
    }
}

/// Puts together what judges requests: bearer tokens, in the metadata `authorization`.
///
/// # Errors
///
/// Returns a [`ConfigError`] if the parts don't fit together.
pub fn authenticator(
    users: impl UserManager<Member> + 'static,
    strategy: Arc<dyn Strategy<Member>>,
) -> Result<Arc<Authenticator<Member>>, ConfigError> {
    let backend = AuthenticationBackend::new("grpc", BearerTransport, strategy);
    let authenticator = Authenticator::builder(Arc::new(users))
        .backend(backend)
        .build()?;
    Ok(Arc::new(authenticator))
}

/// Serves on `listener` until the process ends.
///
/// # Errors
///
/// Returns an error of tonic if it can't go on.
pub async fn serve(
    authenticator: Arc<Authenticator<Member>>,
    listener: TcpListener,
) -> Result<(), tonic::transport::Error> {
    Server::builder()
        .layer(AuthLayer::new(authenticator))
        .add_service(HealthServer::new(Accounts))
        .serve_with_incoming(TcpIncoming::from(listener))
        .await
}

/// The user of a request, or the status that refuses it.
///
/// A caller must be able to tell "log in again" from "try again": a store that doesn't answer is
/// `UNAVAILABLE`, never `UNAUTHENTICATED`. The texts are fixed, as the reasons are for the log.
fn caller<T>(request: &Request<T>) -> Result<Arc<Authenticated<Member>>, Status> {
    let (code, text) = match request.extensions().get::<AuthOutcome<Member>>() {
        Some(AuthOutcome::Accepted(accepted)) => return Ok(Arc::clone(accepted)),
        Some(AuthOutcome::NotOffered) => (Code::Unauthenticated, "an access token is required"),
        Some(AuthOutcome::Refused(Refusal::MalformedRequest | Refusal::Ambiguous)) => {
            (Code::InvalidArgument, "the credentials are malformed")
        }
        Some(AuthOutcome::Refused(_)) => (Code::Unauthenticated, "the access token is not valid"),
        Some(AuthOutcome::Failed(_)) => (Code::Unavailable, "the service can't answer now"),
        // No layer around the service, or an outcome that this version doesn't know.
        _ => (Code::Internal, "the request can't be authenticated"),
    };
    Err(Status::new(code, text))
}

/// The service: the accounts, named `members/ID`.
struct Accounts;

#[tonic::async_trait]
impl Health for Accounts {
    type WatchStream = BoxStream<HealthCheckResponse>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let caller = caller(&request)?;
        if request.get_ref().service != format!("members/{}", caller.user.id) {
            return Err(Status::permission_denied(
                "this account is not the caller's",
            ));
        }
        let status = ServingStatus::Serving.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("accounts can't be watched"))
    }
}
