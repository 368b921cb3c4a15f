//! Poolers, which stand between a client and PostgreSQL and give each transaction a connection that
//! is free.
//!
//! Nothing may be left behind on such a connection, and nothing is found there again: no prepared
//! statement and no setting. So parameters travel with the text of the statement, which takes one
//! round trip if their types are known.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

use crate::store::sql::Statement;
use crate::store::sql::postgres::value::param_types;

/// The largest number of statements in one cache. More come only from a bug elsewhere, and the
/// cache then starts over.
pub(super) const MOST_STATEMENTS: usize = 256;

/// Returns `true` if a pooler answers.
///
/// PostgreSQL tells the id of its process when a connection is opened. A pooler has no connection
/// to PostgreSQL at that time, and makes an id up, so the process that answers has another one.
pub(super) async fn is_between(client: &Client) -> Result<bool, Error> {
    let greeted = greeting(client).await;
    let answered = client.simple_query("SELECT pg_backend_pid()").await?;
    let answered = answered.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i32>().ok(),
        _ => None,
    });
    Ok(greeted.is_none() || greeted != answered)
}

/// Returns the process id that was told when the connection was opened.
///
/// tokio-postgres shows it only in the request to cancel a statement, so such a request is written
/// into a pipe here.
async fn greeting(client: &Client) -> Option<i32> {
    let (near, mut far) = tokio::io::duplex(64);
    // The answer "yes" to the question about TLS, if it comes first.
    far.write_all(b"S").await.ok()?;
    client
        .cancel_token()
        .cancel_query_raw(near, Pipe::connector())
        .await
        .ok()?;

    let mut request = Vec::new();
    far.read_to_end(&mut request).await.ok()?;
    match request.as_slice() {
        [.., a, b, c, d, _, _, _, _] => Some(i32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// A pipe in the place of an encrypted connection.
struct Pipe(DuplexStream);

/// A TLS connector that uses the pipe as it is.
struct Connector;

impl Pipe {
    /// Returns the connector that hands the pipe on.
    const fn connector() -> Connector {
        Connector
    }
}

impl TlsConnect<DuplexStream> for Connector {
    type Stream = Pipe;
    type Error = Infallible;
    type Future = Ready<Result<Pipe, Infallible>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        ready(Ok(Pipe(stream)))
    }
}

impl TlsStream for Pipe {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The types of statements' parameters, by the statement's text. They are the same on every
/// connection.
#[derive(Default)]
pub(super) struct Types {
    known: Mutex<HashMap<String, Arc<[Type]>>>,
}

impl Types {
    /// Returns the types of a statement's parameters. PostgreSQL is asked only the first time.
    pub(super) async fn of(
        &self,
        client: &Client,
        statement: &Statement,
        limits: &str,
    ) -> Result<Arc<[Type]>, Error> {
        let known = self.lock().get(statement.text()).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let types: Arc<[Type]> = describe(client, statement, limits).await?.into();

        let mut known = self.lock();
        if known.len() >= MOST_STATEMENTS {
            known.clear();
        }
        known.insert(statement.text().to_owned(), Arc::clone(&types));
        Ok(types)
    }

    /// Forgets a statement, whose types may have changed.
    pub(super) fn forget(&self, statement: &Statement) {
        self.lock().remove(statement.text());
    }

    /// Locks the known types. No task holds this lock across an await.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<[Type]>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks PostgreSQL for the types of a statement's parameters.
///
/// Everything is in one message, and so in one transaction, which poolers pass to one connection in
/// every mode. The statement is prepared under a random name and deallocated at the end. Domains
/// are resolved to their base types.
pub(super) async fn describe(
    client: &Client,
    statement: &Statement,
    limits: &str,
) -> Result<Vec<Type>, Error> {
    let given = param_types(statement);
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<_> = given.iter().map(Type::name).collect();
    let name = format!(
        "countersign_{:016x}",
        RandomState::new().hash_one(statement.text())
    );

    let question = format!(
        "{limits}; PREPARE {name} ({}) AS {};
         WITH RECURSIVE base (place, type) AS (
             SELECT given.place, given.type::oid
             FROM pg_prepared_statements s,
                 unnest(s.parameter_types) WITH ORDINALITY AS given (type, place)
             WHERE s.name = '{name}'
             UNION ALL
             SELECT base.place, t.typbasetype
             FROM base
             JOIN pg_type t ON t.oid = base.type
             WHERE t.typtype = 'd')
         SELECT t.oid, t.typname, t.typtype
         FROM base
         JOIN pg_type t ON t.oid = base.type
         WHERE t.typtype <> 'd'
         ORDER BY base.place;
         DEALLOCATE {name}",
        names.join(", "),
        statement.text()
    );

    let answer = client.simple_query(&question).await?;
    let types = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => type_of(row),
        _ => None,
    });
    Ok(types.collect())
}

/// Returns the type that a row of the answer describes.
fn type_of(row: &SimpleQueryRow) -> Option<Type> {
    let oid = row.get(0)?.parse().ok()?;
    let kind = if row.get(2)? == "e" {
        Kind::Enum(Vec::new())
    } else {
        Kind::Simple
    };

    match Type::from_oid(oid) {
        Some(known) => Some(known),
        None => Some(Type::new(row.get(1)?.to_owned(), oid, kind, String::new())),
    }
}
