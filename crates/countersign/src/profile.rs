//! The choice between the formats of countersign and those of litestar-auth.

/// A set of formats that go together: token text, claims, audience and columns.
///
/// New applications use [`Countersign`](Self::Countersign). An application that migrates from
/// litestar-auth starts with [`LitestarAuth`](Self::LitestarAuth), so that both systems read the
/// same tokens and rows while they run side by side. Changing the profile of a running deployment
/// logs out every user whose tokens have the former formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// The formats of countersign: prefixed opaque tokens, `typ: at+jwt`, `kid` in the header, a
    /// derived fingerprint key and a stored expiry.
    #[default]
    Countersign,
    /// The formats of litestar-auth 1.1.1, so that each system accepts the tokens and rows of the
    /// other.
    LitestarAuth,
}
