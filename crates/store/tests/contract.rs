//! The contract of the ports: one suite, run against every store there is.
#![allow(clippy::unwrap_used, reason = "a test says by panicking")]

mod contract {
    pub(crate) mod accounts;
    pub(crate) mod aside;
    pub(crate) mod bench;
    pub(crate) mod flags;
    pub(crate) mod home;
    pub(crate) mod mail;
    pub(crate) mod numbers;
    pub(crate) mod quota;
    pub(crate) mod spool;
}

/// Makes a test of each function, for each store.
macro_rules! contract {
    ($($room:ident { $($name:ident)* })*) => {
        mod memory {
            $($(
                #[tokio::test]
                async fn $name() {
                    crate::contract::$room::$name(crate::contract::bench::Bench::memory()).await;
                }
            )*)*
        }

        mod disk {
            $($(
                #[tokio::test]
                async fn $name() {
                    crate::contract::$room::$name(crate::contract::bench::Bench::disk()).await;
                }
            )*)*
        }
    };
}

contract! {
    spool {
        what_is_accepted_is_there_octet_for_octet
        ids_differ_and_rise_with_the_time_of_acceptance
        a_large_body_is_read_in_pieces
        a_draft_that_is_dropped_leaves_nothing
        an_old_fence_is_refused
        settling_defers_and_closes_and_the_last_close_forgets
        settling_a_closed_recipient_again_changes_nothing
        a_failed_recipient_is_listed_until_it_is_closed
        a_bounce_closes_what_it_answers_for_in_the_same_step
        due_rows_come_in_the_order_in_which_they_are_due
        a_hastened_recipient_is_due_at_once_and_nothing_else_changes
        domains_are_counted
        open_messages_are_listed_in_pages
        open_local_recipients_are_found_among_remote_ones
        ten_thousand_recipients_are_accepted_and_settled
        a_message_without_recipients_is_forgotten_at_once
        all_recipients_of_a_message_share_one_copy_of_it
    }
    aside {
        what_is_set_aside_is_in_no_list_and_keeps_body_envelope_and_states
        what_is_released_is_where_it_was
        setting_aside_twice_keeps_the_first_report_and_what_is_not_there_is_passed_over
        what_is_settled_while_it_is_aside_counts
        a_message_that_is_aside_and_all_closed_is_forgotten
        a_delivery_that_was_under_way_finds_its_message
        messages_aside_are_listed_in_pages
        an_old_fence_sets_nothing_aside
        a_report_is_bounded
    }
    home {
        mail_for_accounts_is_in_their_mailboxes_in_one_step_and_never_in_the_spool
        a_detail_names_a_mailbox_that_is_there
        what_not_all_can_take_at_once_waits_for_all_of_them
        a_limited_domain_counts_what_comes_so
        a_bounce_for_an_account_waits_and_closes_what_it_answers_for
        who_does_not_own_a_mailbox_puts_nothing_into_it
        a_large_body_comes_home_too
        those_who_come_home_at_once_get_numbers_of_their_own
    }
    mail {
        a_delivery_puts_the_message_into_the_mailbox_and_closes_the_recipient
        delivering_twice_puts_it_there_once
        a_body_outlives_the_spool_and_goes_with_its_last_message
        delivering_into_a_mailbox_that_is_not_there_is_refused
        appending_behind_what_was_looked_at_adds_nothing_behind_anything_else
        appending_several_is_all_or_none
        flags_are_added_removed_and_replaced
        flags_that_stand_already_change_no_modseq
        messages_changed_since_are_left_alone
        a_mailbox_has_sixty_four_keywords
        copies_share_the_body_and_keep_flags_and_keywords
        moving_takes_them_away_in_the_same_step
        copying_into_the_same_mailbox_gives_new_uids
        expunging_takes_only_what_is_deleted
        messages_are_read_by_range_until_the_reader_has_enough
        recent_is_taken_once
        copying_to_a_mailbox_that_is_not_there_changes_nothing
        writes_that_nobody_awaits_are_in_the_order_of_the_calls
    }
    flags {
        flags_of_all_messages_change_at_once_and_stand_as_they_were_changed
    }
    numbers {
        uids_and_modseqs_rise_and_survive_a_reopening
        changes_since_a_modseq_are_the_new_the_flagged_and_the_expunged
        changes_of_a_large_mailbox_are_found_by_halving
        what_was_forgotten_of_a_mailbox_is_said
        a_change_of_scattered_messages_is_forgotten_rather_than_written_at_length
        inbox_is_always_there_in_whatever_case
        inbox_cannot_go_and_its_messages_move_when_it_is_renamed
        mailboxes_above_are_created
        renaming_takes_what_lies_below_and_keeps_numbers
        renaming_onto_another_is_refused
        renaming_below_itself_creates_what_is_above
        a_uid_validity_never_comes_back
        deleting_keeps_what_lies_below
        subscriptions_need_no_mailbox
        special_use_is_kept
    }
    quota {
        what_an_account_may_not_hold_is_refused_and_changes_nothing
        a_limit_holds_from_its_first_moment_for_whoever_was_not_limited_before
        whoever_is_limited_from_the_beginning_is_so_beside_others_who_are_not
        a_delivery_to_a_full_account_leaves_the_recipient_open
        a_domain_is_counted_from_the_moment_in_which_it_is_limited
        what_is_held_is_the_same_after_every_reopening
    }
    accounts {
        domains_accounts_and_aliases_come_and_go
        changes_are_all_or_none
        local_parts_compare_without_regard_to_case
        accounts_are_listed_in_pages
        a_domain_with_accounts_cannot_go
        a_removed_account_takes_its_mail_along_and_its_number_never_comes_back
        passwords_and_quotas_are_set
        changes_of_one_call_see_each_other
        ten_thousand_accounts_are_added_in_one_call
        accounts_survive_a_reopening
    }
}
