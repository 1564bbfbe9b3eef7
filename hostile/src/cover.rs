//! What is tried where: the entries, and the tests that stand elsewhere.

/// Where an entry is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Bytes, and nothing else.
    Decoder,
    /// A session, or a connection with its layers, without a socket.
    Session,
    /// Every adapter, over sockets.
    Adapters,
}

/// What each entry of the list is about.
pub const ENTRIES: [&str; 24] = [
    "A topic that is longer than its packet",
    "A packet above the limit, or announced and withheld",
    "CONNACK and variable byte integers: cut off, too long, not in their shortest form",
    "SUBACK and UNSUBACK with no code, too few, too many, or reserved ones",
    "Properties: beyond the packet, cut off, in the wrong place, twice, unknown, or very many",
    "Acknowledgements in each of their lengths; DISCONNECT and AUTH of length 0 and 1",
    "Topics: empty, with wildcards or U+0000, of 65,535 slashes",
    "Bytes at which a decoder could go round for ever",
    "CONNACK twice, wrong, or not at all; packets ahead of it; other protocols on the port",
    "Packets that only a client sends, types that there are not, reserved flags",
    "Strings that are none; the rules of wills and payload formats",
    "Topic aliases: 0, unknown, too high, of another connection; our own",
    "Packet identifiers: collisions, the wrong kind, all in use",
    "The count of messages in flight over a reconnect",
    "QoS 2: packets that come twice, too early, for nothing, or never",
    "Half-open links: no PINGRESP, and no reset",
    "Servers that do not let us in, or not for long",
    "Limits that are lower after a reconnect",
    "Servers and applications that stop reading",
    "Stores: corrupt, cut off, full; a crash at each point",
    "TLS: certificates, protocols, ends and handshakes that are wrong",
    "WebSocket: frames and handshakes that are wrong, or unusual",
    "AUTH: unasked, of another method, endless, without proof, refused",
    "What is printed shows no secret",
];

/// Tests that stand elsewhere.
#[derive(Debug)]
#[non_exhaustive]
pub struct Elsewhere {
    /// The entry that they are for.
    pub entry: u8,
    /// The level.
    pub level: Level,
    /// The file, from the repository's root.
    pub file: &'static str,
    /// Their functions, or the names of their scenarios.
    pub names: &'static [&'static str],
}

use Level::{Adapters, Decoder, Session};

macro_rules! elsewhere {
    ($($entry:literal $level:ident $file:literal $($name:literal)+;)*) => {
        &[$(Elsewhere { entry: $entry, level: $level, file: $file, names: &[$($name),+] }),*]
    };
}

/// All of them.
pub const ELSEWHERE: &[Elsewhere] = elsewhere! {
    4 Decoder "mqtt-proto/tests/bad_input/lists.rs"
        "a_suback_takes_no_more_memory_than_its_codes";
    5 Decoder "mqtt-proto/tests/bad_input/properties.rs"
        "a_hundred_thousand_user_properties";
    7 Decoder "mqtt-proto/tests/bad_input/framing.rs"
        "a_topic_of_65_535_slashes_takes_no_stack_per_level";
    7 Session "mqtt-session/tests/bad_server.rs"
        "a_topic_of_65535_slashes_is_matched_without_harm";
    8 Decoder "mqtt-proto/tests/bad_input/framing.rs"
        "every_call_consumes_or_fails";
    8 Session "mqtt-session/tests/bad_server.rs"
        "random_bytes_end_in_an_error_or_in_nothing_and_never_in_a_panic";
    11 Decoder "mqtt-proto/tests/bad_input/strings.rs"
        "a_will_is_held_to_the_rules_of_a_publish";
    12 Session "mqtt-session/tests/bad_state/aliases.rs"
        "an_alias_of_an_earlier_connection_is_unknown"
        "a_message_that_went_out_by_its_alias_alone_is_sent_again_with_its_topic_and_does_not_loop";
    13 Session "mqtt-session/tests/bad_state/identifiers.rs"
        "identifiers_do_not_collide_when_the_session_is_lost_with_some_in_use_and_the_session_is_not_stuck"
        "a_subscribe_after_a_reconnect_does_not_take_the_identifier_of_a_message_that_is_sent_again"
        "with_every_identifier_in_use_messages_wait_without_spinning_and_the_next_connection_goes_on";
    14 Session "mqtt-session/tests/bad_state/identifiers.rs"
        "the_count_of_messages_in_flight_begins_anew_with_each_connection";
    15 Session "mqtt-session/tests/bad_state/qos2.rs"
        "pubrels_that_never_come_for_any_identifier_fill_the_window_and_then_end_the_connection"
        "a_pubrel_after_a_reconnect_is_answered_for_what_was_recorded_before_it";
    16 Session "mqtt-session/tests/bad_state/silence.rs"
        "a_link_that_swallows_everything_is_found_out_although_we_publish_all_the_time"
        "a_server_that_goes_silent_inside_a_packet_is_found_out_and_the_part_is_forgotten";
    17 Session "mqtt-session/tests/bad_state/reconnect.rs"
        "a_server_that_accepts_the_stream_and_closes_it_is_asked_with_growing_pauses"
        "a_server_that_accepts_the_stream_and_stays_silent_is_given_up_in_time_and_asked_again"
        "a_server_that_is_busy_or_full_is_asked_again_with_growing_pauses"
        "two_clients_with_one_identifier_do_not_push_each_other_out_for_ever"
        "a_name_that_can_not_be_looked_up_is_asked_for_again_with_growing_pauses"
        "a_broker_that_is_killed_at_any_byte_of_the_handshake_leaves_a_session_that_connects_afterwards";
    17 Session "mqtt-session/tests/redirect.rs"
        "not_more_than_three_are_followed_in_a_row"
        "servers_that_accept_and_send_each_other_their_clients_are_not_followed_for_ever";
    17 Adapters "behaviour/src/scenarios/connecting.rs"
        "a name that does not exist is told as such"
        "a silent server is given up in time";
    18 Session "mqtt-session/tests/bad_state/limits.rs"
        "a_lower_receive_maximum_holds_for_what_is_sent_again_and_for_what_waits"
        "what_is_above_a_lower_maximum_qos_ends_as_refused_and_the_rest_goes_on"
        "what_is_to_be_retained_ends_as_refused_where_that_is_not_available_any_more"
        "what_is_above_a_lower_maximum_packet_size_ends_as_refused_with_both_sizes_and_does_not_loop";
    19 Session "mqtt-session/tests/bad_state/silence.rs"
        "a_server_that_floods_and_does_not_read_costs_a_bounded_outbox_and_then_its_connection"
        "an_application_that_does_not_read_costs_a_bounded_inbox_and_pings_go_on";
    20 Session "mqtt-session/src/record/tests.rs"
        "a_record_that_is_cut_off_anywhere_is_truncated_and_stays_where_it_is"
        "a_record_with_any_bit_turned_is_an_error_and_never_taken_for_a_cut_off_one";
    20 Session "mqtt-session/tests/records/withheld.rs"
        "while_too_much_waits_to_be_stored_publishing_is_refused_and_reading_pauses"
        "what_a_lost_connection_withheld_is_sent_on_the_next_one";
    20 Session "mqtt-session/tests/durability.rs"
        "a_crash_at_every_record_and_a_log_cut_at_every_place_lose_and_double_nothing";
    21 Session "mqtt-session/tests/tls/bad.rs"
        "a_certificate_of_an_authority_that_is_not_trusted"
        "a_certificate_that_has_expired_or_is_for_later"
        "a_certificate_for_another_name"
        "a_certificate_of_ours_that_the_server_misses_or_does_not_accept"
        "a_peer_that_takes_the_connection_and_stays_silent"
        "a_record_that_was_tampered_with";
    21 Session "mqtt-session/tests/tls/good.rs"
        "a_stream_that_ends_in_order_is_told_from_one_that_is_cut_off";
    21 Adapters "behaviour/src/scenarios/securing.rs"
        "a server of an authority that is not trusted gets nothing of ours"
        "a server whose certificate is for another name gets nothing of ours"
        "a client without the certificate that the server asks for is told so"
        "a server that is silent in the handshake is given up in time";
    22 Session "mqtt-session/tests/websocket/frames.rs"
        "each_breach_of_the_protocol_is_told_to_both_sides"
        "empty_frames_carry_nothing_and_do_no_harm";
    22 Session "mqtt-session/tests/websocket/refused.rs"
        "a_server_that_does_not_choose_mqtt_is_not_spoken_to"
        "an_answer_without_an_end_is_given_up_at_16_kib";
    22 Session "mqtt-session/tests/websocket/good.rs"
        "a_ping_is_answered_with_its_payload_also_within_a_message_and_only_the_latest_of_many";
    23 Decoder "mqtt-proto/tests/bad_input/framing.rs"
        "disconnect_and_auth_of_length_0_and_1"
        "connect_with_authentication_data_and_no_method";
    23 Session "mqtt-session/tests/authentication.rs"
        "another_method_or_none_ends_the_connection"
        "auth_that_nothing_asks_for_ends_the_connection"
        "a_server_that_goes_on_asking_is_left";
    23 Session "mqtt-session/tests/scram/main.rs"
        "a_wrong_signature_is_refused_whatever_is_wrong_with_it"
        "a_nonce_must_extend_ours"
        "too_few_or_too_many_iterations_are_refused_before_any_is_computed";
    23 Session "mqtt-session/tests/reauthentication.rs"
        "a_refused_re_authentication_ends_the_connection_and_the_caller_is_told_why";
    24 Decoder "mqtt-proto/tests/bad_input/secrets.rs"
        "debug_shows_no_password_will_payload_or_authentication_data"
        "debug_shows_no_payload";
    24 Session "mqtt-session/tests/credentials.rs"
        "debug_of_a_session_does_not_show_the_password_in_connect";
    24 Session "mqtt-session/tests/observers.rs"
        "nothing_secret_is_told";
    24 Session "mqtt-session/tests/authentication.rs"
        "authentication_data_are_not_shown";
    24 Session "mqtt-session/tests/proxy/secrets.rs"
        "nothing_shows_the_password_at_any_time";
};

const NO_STATE: &str = "the decoder holds nothing from one packet to the next";
const BELOW: &str = "the decoder gets what the layers make of the stream";

/// Where an entry can't be tried, and why.
pub const WITHOUT: &[(u8, Level, &str)] = &[
    (14, Decoder, NO_STATE),
    (16, Decoder, "the decoder knows no time"),
    (17, Decoder, "the decoder opens no connection"),
    (18, Decoder, NO_STATE),
    (19, Decoder, "the decoder reads and writes no stream"),
    (20, Decoder, "the decoder stores nothing"),
    (21, Decoder, BELOW),
    (22, Decoder, BELOW),
];
