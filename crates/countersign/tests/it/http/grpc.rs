//! A real gRPC server behind the layer, and a real client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use countersign::tower::{AuthLayer, RecentLoginLayer};
use countersign::{AuthOutcome, Problem};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tower::{Layer, ServiceExt};

use crate::fixture::web::Member;
use crate::http::App;

/// A service that wants to know its user.
struct Named;

#[tonic::async_trait]
impl Health for Named {
    type WatchStream = futures_util::stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let outcome = request.extensions().get::<AuthOutcome<Member>>().unwrap();
        let id = outcome.accepted().unwrap().user.id;
        let status = i32::try_from(id).unwrap();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(futures_util::stream::empty()))
    }
}

/// A server on a port of its own, with the layer around everything.
async fn serve(
    layer: countersign::tower::RequireAuthLayer<Member>,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .layer(layer)
        .add_service(HealthServer::new(Named));
    let serving = server.serve_with_incoming(TcpIncoming::from(listener));
    (address, tokio::spawn(async move { serving.await.unwrap() }))
}

async fn client(address: SocketAddr) -> HealthClient<Channel> {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

fn call(authorization: Option<&str>) -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(value) = authorization {
        request
            .metadata_mut()
            .insert("authorization", value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_grpc_service_is_protected_and_its_clients_read_the_refusal() {
    let app = App::new();
    let layer = AuthLayer::new(app.authenticator.clone());
    let (address, server) = serve(layer.require(|member| member.id == 1)).await;
    let mut client = client(address).await;
    let [first, second] = [app.tokens(1).await.bearer(), app.tokens(2).await.bearer()];

    let answer = client.check(call(Some(&first))).await.unwrap();
    assert_eq!(answer.get_ref().status, 1);
    let refused = async |client: &mut HealthClient<Channel>, authorization: Option<&str>| {
        let status = client.check(call(authorization)).await.unwrap_err();
        (status.code(), status.message().to_owned())
    };
    let text = |problem: Problem| problem.detail().to_owned();
    let nobody = refused(&mut client, None).await;
    assert_eq!(nobody, (Code::Unauthenticated, text(Problem::NOT_OFFERED)));
    let bad = refused(&mut client, Some("Bearer nonsense")).await;
    assert_eq!(
        bad,
        (Code::Unauthenticated, text(Problem::AUTHENTICATION_FAILED))
    );
    let unreadable = refused(&mut client, Some("Bearer a b")).await;
    assert_eq!(
        unreadable,
        (Code::Unauthenticated, text(Problem::CREDENTIALS_MALFORMED))
    );
    let denied = refused(&mut client, Some(&second)).await;
    assert_eq!(
        denied,
        (Code::PermissionDenied, text(Problem::PERMISSION_DENIED))
    );

    // A stream is refused before it begins.
    let stream = client.watch(call(None)).await.unwrap_err();
    assert_eq!(stream.code(), Code::Unauthenticated);

    app.world.store.switch(false);
    let down = refused(&mut client, Some(&first)).await;
    assert_eq!(down, (Code::Unavailable, text(Problem::STORE_UNAVAILABLE)));
    app.world.store.switch(true);
    assert!(
        client.check(call(Some(&first))).await.is_ok(),
        "the connection is still good"
    );
    server.abort();
}

/// The answer of the layer alone, around a service with bodies of tonic's.
async fn answer(app: &App, problem: Problem, content_type: &str) -> http::Response<()> {
    let layer = AuthLayer::new(app.authenticator.clone()).required();
    let layer = layer.require_or(|_| false, problem);
    let inner = tower::service_fn(async |_: http::Request<()>| {
        Ok::<_, Infallible>(http::Response::new(Body::empty()))
    });
    let request = http::Request::post("/grpc.health.v1.Health/Check")
        .header("content-type", content_type)
        .header("accept", "text/html")
        .header("authorization", app.tokens(1).await.bearer())
        .body(())
        .unwrap();
    let answer = layer.layer(inner).oneshot(request).await.unwrap();
    answer.map(|_| ())
}

#[tokio::test]
async fn a_login_that_is_too_old_is_answered_as_grpc() {
    let app = App::new();
    let bearer = app.tokens(1).await.bearer();
    app.world.clock.advance(Duration::from_mins(10));
    for (max_age, answered) in [(300, Some("16")), (900, None)] {
        let recent = RecentLoginLayer::<Member>::new(Duration::from_secs(max_age));
        let inner = tower::service_fn(async |_: http::Request<()>| {
            Ok::<_, Infallible>(http::Response::new(Body::empty()))
        });
        let request = http::Request::post("/grpc.health.v1.Health/Check")
            .header("content-type", "application/grpc")
            .header("authorization", &bearer)
            .body(())
            .unwrap();
        let layer = AuthLayer::new(app.authenticator.clone());
        let answer = layer.layer(recent.layer(inner)).oneshot(request);
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let status = answer.headers().get("grpc-status");
        let status = status.map(|status| status.to_str().unwrap());
        assert_eq!(status, answered, "{max_age}");
    }
}

#[tokio::test]
async fn every_grpc_content_type_and_no_other_is_answered_as_grpc() {
    let app = App::new();
    for (sent, answered) in [
        ("application/grpc", "application/grpc"),
        ("application/grpc+proto", "application/grpc"),
        ("Application/GRPC;charset=x", "application/grpc"),
        ("application/grpc-web", "application/grpc-web"),
        ("application/grpc-web+proto", "application/grpc-web"),
        (
            "application/grpc-web-text+proto",
            "application/grpc-web-text",
        ),
    ] {
        let answer = answer(&app, Problem::PERMISSION_DENIED, sent).await;
        assert_eq!(answer.status(), StatusCode::OK, "{sent}");
        assert_eq!(answer.headers()["content-type"], answered);
        assert_eq!(answer.headers()["grpc-status"], "7");
        assert_eq!(
            answer.headers()["grpc-message"],
            Problem::PERMISSION_DENIED.detail()
        );
    }
    for other in [
        "application/json",
        "application/grpcx",
        "text/application/grpc",
        "application/grp",
    ] {
        let answer = answer(&app, Problem::PERMISSION_DENIED, other).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{other}");
        assert!(!answer.headers().contains_key("grpc-status"));
    }
}

#[tokio::test]
async fn a_problem_of_the_applications_own_has_a_grpc_status() {
    let app = App::new();
    let own = |status| Problem::new(status, "OWN", "100 % für alle");
    for (status, code) in [
        (StatusCode::UNAUTHORIZED, "16"),
        (StatusCode::TOO_MANY_REQUESTS, "8"),
        (StatusCode::INTERNAL_SERVER_ERROR, "13"),
        (StatusCode::SERVICE_UNAVAILABLE, "14"),
        (StatusCode::CONFLICT, "2"),
    ] {
        let answer = answer(&app, own(status), "application/grpc").await;
        assert_eq!(answer.headers()["grpc-status"], code);
        assert_eq!(answer.headers()["grpc-message"], "100 %25 f%C3%BCr alle");
    }
}
