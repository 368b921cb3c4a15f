//! Access to the database of a pool beside the pool itself: for maintenance, and for changes of
//! tables.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Pool;

use crate::error::Failure;
use crate::store::sql::ddl::{Apart, DdlSession};
use crate::store::sql::sqlx_pool::engine::SqlxDriver;
use crate::store::sql::sqlx_pool::wire::SqlxDatabase;
use crate::store::sql::{Database, Driver};

#[async_trait]
impl<DB: SqlxDatabase> Apart for SqlxDriver<DB> {
    fn patient(&self, timeout: Duration) -> Arc<dyn Driver> {
        let driver = Self::new(beside(self.pool(), 1));
        Arc::new(driver.timeout(timeout).persistent(self.is_persistent()))
    }

    async fn ddl(&self) -> Result<Box<dyn DdlSession>, Failure> {
        DB::ddl(beside(self.pool(), 2), self.is_persistent()).await
    }
}

/// Returns a small pool with the options of another. It connects when it is used.
fn beside<DB: SqlxDatabase>(pool: &Pool<DB>, connections: u32) -> Pool<DB> {
    let options = pool.options().clone();
    options
        .min_connections(0)
        .max_connections(connections)
        .connect_lazy_with((*pool.connect_options()).clone())
}

impl<DB: SqlxDatabase> From<SqlxDriver<DB>> for Database {
    /// Creates a handle on the database of the driver's pool.
    fn from(driver: SqlxDriver<DB>) -> Self {
        Self::beside_pool(Arc::new(driver.clone()), Arc::new(driver))
    }
}

impl<DB: SqlxDatabase> From<Pool<DB>> for Database {
    /// Creates a handle on the database of an sqlx pool, with the defaults of [`SqlxDriver`].
    ///
    /// Migrations and maintenance open connections of their own, with the pool's options, and
    /// close them when the handle and its clones are gone.
    fn from(pool: Pool<DB>) -> Self {
        SqlxDriver::new(pool).into()
    }
}
