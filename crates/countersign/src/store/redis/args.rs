//! The arguments of scripts, by name.
//!
//! Redis passes arguments by their position. Here each is a field of a struct, and the line by
//! which the script names them is made of the same list, so that the two can't disagree.

/// Defines the arguments of a script: a struct of texts, and a macro for the script's own line.
macro_rules! arguments {
    ($(#[$doc:meta])* $name:ident, $line:ident, {
        $($(#[$of_field:meta])* $field:ident,)+
    }) => {
        $(#[$doc])*
        pub(super) struct $name {
            $($(#[$of_field])* pub(super) $field: String,)+
        }

        impl $name {
            /// Returns the arguments in the order of the script's line.
            pub(super) fn into_args(self) -> Vec<Vec<u8>> {
                vec![$(self.$field.into_bytes()),+]
            }
        }

        /// The line of Lua that gives the arguments their names.
        macro_rules! $line {
            () => {
                concat!("local ", $(stringify!($field), ", ",)+ "_ = unpack(ARGV)\n")
            };
        }
        pub(super) use $line;
    };
}

arguments! {
    /// The arguments of `rotate.lua`.
    Rotation, rotation_names, {
        /// The time to live of the key, in milliseconds.
        ttl,
        now,
        /// The first end among the records.
        soonest,
        /// The field of the presented token.
        presented,
        /// The digest of the presented token.
        presented_digest,
        /// The field of the session.
        session,
        /// The new values of the session's record. A recorded end of the session is kept, and so
        /// is a later end of a signed token.
        successor,
        gone_at,
        created_at,
        expires_at,
        session_ends,
        family,
        consumed,
        signed_ends,
        /// The field and the record of the access token, both empty without one.
        access,
        access_record,
    }
}
