//! The guide: one chapter per subject, longer than the documentation of a single item can be.
//!
//! The [front page](crate) has a complete example and a section on each subject. Start there, and
//! come back for the details.
//!
//! | chapter | answers |
//! |---|---|
//! | [`choosing`] | Opaque or signed? SQL, Redis or memory? Which lifetimes? |
//! | [`sessions`] | How does a refresh work? What is a retry, and what is theft? |
//! | [`cookies`] | How do pages in a browser log in? What do proxies have to pass on? |
//! | `sqlx` | How do I keep tokens with my own sqlx pool, and join its transactions? (feature `sqlx-postgres`) |
//! | [`own_login`] | How do I use a form, a second factor, single sign-on? |
//! | [`roles`] | Who may do what? How do I ask for a recent login? |
//! | [`services`] | How do other services check tokens? What is in a signed token? |
//! | [`operations`] | What runs in the background? How do I rotate keys? |
//! | [`testing`] | How do I test my handlers, my clock and my store? |
//! | [`stores`] | How do I keep tokens in a database of another kind? |
//! | [`coming_from`] | litestar-auth, axum-login, tower-sessions or jsonwebtoken |

pub mod choosing {
    #![doc = include_str!("choosing.md")]
}

#[cfg(feature = "sqlx-postgres")]
pub mod sqlx {
    #![doc = include_str!("sqlx.md")]
}

pub mod sessions {
    #![doc = include_str!("sessions.md")]
}

pub mod cookies {
    #![doc = include_str!("cookies.md")]
}

pub mod own_login {
    #![doc = include_str!("own_login.md")]
}

pub mod roles {
    #![doc = include_str!("roles.md")]
}

pub mod services {
    #![doc = include_str!("services.md")]
}

pub mod operations {
    #![doc = include_str!("operations.md")]
}

pub mod testing {
    #![doc = include_str!("testing.md")]
}

pub mod stores {
    #![doc = include_str!("stores.md")]
    #![doc = "```"]
    #![doc = include_str!("small_store.rs")]
    #![doc = "```"]
}

pub mod coming_from {
    #![doc = include_str!("coming_from.md")]
}
