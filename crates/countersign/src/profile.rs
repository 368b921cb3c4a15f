//! Whose formats to write: ours, or the original's.

/// A set of formats that go together: token text, claims, audience, columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Our own formats: prefixed opaque tokens, `typ: at+jwt`, `kid`, a derived fingerprint key, stored expiry.
    #[default]
    Countersign,
    /// The formats of litestar-auth 1.1.1, so that tokens and rows pass both ways between it and us.
    LitestarAuth,
}
