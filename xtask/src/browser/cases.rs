//! Every test of the dashboard.

mod keyboard;
mod ledger;
mod listing;
mod managing;
mod outage;
mod pages;
mod reading;
mod signing_in;
mod uploading;

use std::time::Duration;

use super::Case;
use super::page::Width;
pub(super) use pages::PAGES;

const LAPTOP: &[Width] = &[Width::Laptop];

/// How long something may take that is not seen on a page, whatever the machine is busy with.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

pub(super) const CASES: &[Case] = &[
    Case { name: "an_address_signs_in_once", at: Width::BOTH, play: signing_in::by_an_address_once },
    Case { name: "a_token_signs_in", at: LAPTOP, play: signing_in::by_a_token },
    Case { name: "a_wrong_token_is_refused", at: Width::BOTH, play: signing_in::a_wrong_token_is_refused },
    Case { name: "who_is_signed_out_sees_the_form", at: LAPTOP, play: signing_in::a_revoked_token_signs_out },
    Case { name: "dropped_files_spread_live", at: Width::BOTH, play: uploading::dropped_files_spread_live },
    Case { name: "chosen_files_are_published", at: Width::BOTH, play: uploading::chosen_files_are_published },
    Case {
        name: "a_dropped_folder_keeps_its_paths",
        at: LAPTOP,
        play: uploading::a_dropped_folder_keeps_its_paths,
    },
    Case {
        name: "a_bad_name_is_refused_in_words",
        at: LAPTOP,
        play: uploading::a_bad_name_is_refused_in_words,
    },
    Case {
        name: "a_taken_name_is_refused_and_can_be_replaced",
        at: LAPTOP,
        play: uploading::a_taken_name_is_refused_and_can_be_replaced,
    },
    Case {
        name: "a_file_without_room_is_refused_in_words",
        at: LAPTOP,
        play: uploading::a_file_without_room_is_refused_in_words,
    },
    Case {
        name: "uploads_that_failed_are_tried_again_together",
        at: LAPTOP,
        play: uploading::uploads_that_failed_are_tried_again_together,
    },
    Case {
        name: "a_reader_is_not_offered_what_is_not_allowed",
        at: LAPTOP,
        play: uploading::a_reader_is_not_offered_what_is_not_allowed,
    },
    Case {
        name: "many_files_are_paged_sorted_and_searched",
        at: Width::BOTH,
        play: listing::many_files_are_paged_sorted_and_searched,
    },
    Case {
        name: "names_that_look_alike_are_told_apart",
        at: LAPTOP,
        play: listing::names_that_look_alike_are_told_apart,
    },
    Case {
        name: "what_one_node_took_is_downloaded_from_another",
        at: Width::BOTH,
        play: reading::what_one_node_took_is_downloaded_from_another,
    },
    Case {
        name: "an_invited_node_appears_live",
        at: Width::BOTH,
        play: managing::an_invited_node_appears_live,
    },
    Case { name: "a_role_is_changed", at: LAPTOP, play: managing::a_role_is_changed },
    Case {
        name: "a_removed_node_stops_and_is_gone_from_the_table",
        at: LAPTOP,
        play: managing::a_removed_node_stops_and_is_gone_from_the_table,
    },
    Case {
        name: "the_chain_is_verified_in_front_of_the_person",
        at: Width::BOTH,
        play: ledger::the_chain_is_verified_in_front_of_the_person,
    },
    Case { name: "a_block_shows_who_signed_it", at: LAPTOP, play: ledger::a_block_shows_who_signed_it },
    Case {
        name: "transactions_are_filtered_by_file_and_node",
        at: LAPTOP,
        play: ledger::transactions_are_filtered_by_file_and_node,
    },
    Case {
        name: "a_file_is_found_and_removed_by_keyboard",
        at: LAPTOP,
        play: keyboard::a_file_is_found_and_removed_by_keyboard,
    },
    Case {
        name: "a_node_that_comes_back_shows_what_it_missed",
        at: LAPTOP,
        play: outage::a_node_that_comes_back_shows_what_it_missed,
    },
    Case {
        name: "a_node_that_hangs_is_noticed_and_loses_nothing",
        at: LAPTOP,
        play: outage::a_node_that_hangs_is_noticed_and_loses_nothing,
    },
    Case { name: "no_page_scrolls_sideways", at: Width::BOTH, play: pages::no_page_scrolls_sideways },
    Case {
        name: "nothing_keeps_anybody_from_using_a_page",
        at: Width::BOTH,
        play: pages::nothing_keeps_anybody_from_using_a_page,
    },
    Case { name: "the_first_page_is_small", at: LAPTOP, play: pages::the_first_page_is_small },
];
