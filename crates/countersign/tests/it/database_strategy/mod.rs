//! `DatabaseTokenStrategy` by the conformance cases (docs/CONFORMANCE.md): each case is written once, and runs on each
//! store.

#![cfg(feature = "sqlite")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    missing_docs,
    reason = "test code"
)]

mod cleanup;
mod config;
mod ground;
mod issue;
mod keys;
mod legacy;
mod reuse;
mod revoke;
mod rotate;
mod text;
mod transaction;

/// One test per case, on a ground of its own.
macro_rules! mount {
    ($kind:ident: $($module:ident { $($case:ident)+ })+) => {
        $(mod $module {
            $(#[tokio::test]
            async fn $case() {
                crate::database_strategy::$module::$case(&crate::database_strategy::ground::Ground::new(crate::database_strategy::ground::Kind::$kind).await).await;
            })+
        })+
    };
}

/// What every store can show.
macro_rules! everywhere {
    ($kind:ident) => {
        mount! { $kind:
            issue {
                a_token_names_its_user_and_is_stored_as_its_digest
                nothing_offered_asks_nobody
                an_unknown_token_is_refused
                a_token_ends_at_its_end_exactly
                age_is_judged_by_the_reader
                kinds_do_not_mix
                another_secret_knows_nothing
                reads_never_write
                the_account_is_the_callers_business
            }
            text {
                the_originals_rows_hold_no_end
            }
            revoke {
                destroying_one_leaves_the_others
                destroying_an_access_token_leaves_the_session
                ending_everything_spares_the_others
                nobody_ends_what_is_anothers
                revocation_is_as_durable_as_its_store
            }
            rotate {
                a_token_is_exchanged_once
                an_unknown_token_touches_nothing
                an_ended_token_is_refused
                access_tokens_follow_their_session
                an_inactive_user_is_refused_and_nothing_is_written
                a_session_keeps_its_name_and_its_end
            }
            reuse {
                a_damaged_token_is_no_theft
                a_retry_gets_the_same_again
                a_second_tab_gets_the_same
                who_came_in_time_is_no_thief
                a_late_retry_is_theft
                every_generation_is_recognised
                strict_forgives_nothing
                a_window_may_stay_open
                only_holders_are_taken_for_thieves
                a_stale_token_logs_out
                clocks_may_differ
                an_overtaken_login_is_refused
                a_cap_holds_for_logins_at_once
            }
            keys {
                an_earlier_key_still_reads
                a_retired_key_refuses
            }
        }
    };
}

/// What stores can show that find a token by its digest alone, and keep what has ended until it is swept.
macro_rules! in_rows {
    ($kind:ident) => {
        mount! { $kind:
            text {
                each_profile_spells_tokens_its_own_way
                token_bytes_are_as_configured
            }
            cleanup {
                takes_what_has_ended_and_nothing_else
                the_boundary_is_the_readers
                goes_in_batches_and_can_be_resumed
            }
        }
    };
}

/// Rows as an earlier system stored them come by SQL alone.
macro_rules! in_sql {
    ($kind:ident) => {
        mount! { $kind:
            legacy {
                plaintext_is_off_by_default
                a_plaintext_token_is_read
                a_plaintext_refresh_token_becomes_a_digest
                destroying_removes_both_forms
                a_stored_digest_is_no_token
                plaintext_ages_like_any_row
            }
        }
    };
}

mod memory {
    everywhere!(Memory);
    mod kept {
        in_rows!(Memory);
    }
}

mod sqlite {
    everywhere!(Sqlite);
    mod kept {
        in_rows!(Sqlite);
    }
    mod rows {
        in_sql!(Sqlite);
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    everywhere!(Postgres);
    mod kept {
        in_rows!(Postgres);
    }
    mod rows {
        in_sql!(Postgres);
    }
}

#[cfg(feature = "mysql")]
mod mariadb {
    everywhere!(MariaDb);
    mod kept {
        in_rows!(MariaDb);
    }
    mod rows {
        in_sql!(MariaDb);
    }
}

#[cfg(feature = "redis")]
mod redis {
    everywhere!(Redis);
}

#[cfg(feature = "redis")]
mod redis_cluster {
    everywhere!(RedisCluster);
}
