//! The arguments of scripts, by name.
//!
//! Redis passes arguments by their position. Here each is a field of a struct, and the line by
//! which the script names them is made of the same list, so that the two can't disagree. A script
//! with more than two arguments of different meanings has such a struct, and says at its top what
//! is not obvious of them.

/// Defines the arguments of a script: a struct of texts, and a macro for the script's own line.
macro_rules! arguments {
    ($(#[$doc:meta])* $name:ident, $line:ident, { $($field:ident,)+ }) => {
        $(#[$doc])*
        pub(super) struct $name {
            $(pub(super) $field: String,)+
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
    /// The arguments of `insert.lua`. The records follow them, three texts for each.
    Insertion, insertion_names, { user, ttl, now, soonest, asked, records, }
}

arguments! {
    /// The arguments of `rotate.lua`.
    Rotation, rotation_names, {
        ttl,
        now,
        soonest,
        presented,
        presented_digest,
        session,
        successor,
        gone_at,
        created_at,
        expires_at,
        session_ends,
        family,
        consumed,
        signed_ends,
        access,
        access_record,
    }
}

arguments! {
    /// The arguments of `reauthenticate.lua`.
    Proof, proof_names, { field, at, asked, }
}

arguments! {
    /// The arguments of `remove.lua`.
    Removal, removal_names, { field, session, call, }
}

arguments! {
    /// The arguments of `end_user.lua`.
    Ending, ending_names, { fence, kept, unsettled, now, lost, }
}

arguments! {
    /// The arguments of `survey.lua`.
    Survey, survey_names, { cursor, now, issued, }
}

arguments! {
    /// The arguments of `page.lua`.
    Listing, listing_names, { cursor, part_end, after, room, most, }
}
