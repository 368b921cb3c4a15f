//! The client of a request: its address, and what device lists show of it.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum_core::extract::FromRequestParts;
use http::request::Parts;
use http::{Extensions, HeaderMap, header};

use crate::session::ClientInfo;

/// The address of the client as a trusted proxy told it: a request extension.
///
/// Set it in a layer of your own that knows which proxies to trust. Take the right-most address of
/// `X-Forwarded-For` that no trusted proxy has written; the left-most is whatever the client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an extension of one value")]
pub struct ClientAddress(pub IpAddr);

/// Reads the user agent from the headers, and the address from [`ClientAddress`] or else from the
/// connection. Never fails: what isn't known is left out.
impl<S: Sync> FromRequestParts<S> for ClientInfo {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = client_address(&parts.extensions);
        Ok(client(&parts.headers, address))
    }
}

/// Returns what device lists show of the client.
pub(super) fn client(headers: &HeaderMap, address: Option<IpAddr>) -> ClientInfo {
    let user_agent = headers
        .get(header::USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let client = user_agent.iter().fold(ClientInfo::new(), |client, text| {
        client.with_user_agent(text)
    });
    address.into_iter().fold(client, ClientInfo::with_ip)
}

/// Returns the address that a layer has told, or else that of the peer.
pub(super) fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    let told = extensions.get::<ClientAddress>().map(|address| address.0);
    told.or_else(|| {
        extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|peer| peer.0.ip())
    })
}
