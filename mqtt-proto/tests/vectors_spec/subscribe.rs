use mqtt_proto::{
    Packet, Properties, QoS, ReasonCode, RetainHandling, Sender, SubAck, Subscribe,
    SubscribeOptions, TopicFilter, UnsubAck, Unsubscribe, Version,
};

use crate::common::{VERSIONS, accepts, both_ways, hex, id, refuses};

const V3: [Version; 2] = [Version::V3_1, Version::V3_1_1];

fn filter(filter: &str) -> TopicFilter {
    TopicFilter::try_from(filter).unwrap()
}

fn subscribe(filters: Vec<(TopicFilter, SubscribeOptions)>, properties: Properties) -> Packet {
    Packet::Subscribe(Subscribe {
        id: id(10),
        filters,
        properties,
    })
}

fn two_filters() -> Vec<(TopicFilter, SubscribeOptions)> {
    vec![
        (filter("a/b"), QoS::AtLeastOnce.into()),
        (filter("c/d"), QoS::ExactlyOnce.into()),
    ]
}

/// The example of section 3.8: packet identifier 10, a/b at QoS 1 and c/d at QoS 2.
#[test]
fn subscribe_as_in_the_example() {
    for version in V3 {
        let bytes = hex("82 0E 000A 0003 612F62 01 0003 632F64 02");
        both_ways(
            version,
            Sender::Client,
            &bytes,
            subscribe(two_filters(), Properties::new()),
        );
    }
    let bytes = hex("82 0F 000A 00 0003 612F62 01 0003 632F64 02");
    both_ways(
        Version::V5,
        Sender::Client,
        &bytes,
        subscribe(two_filters(), Properties::new()),
    );
}

#[test]
fn subscribe_with_all_options_of_5_and_an_identifier() {
    let options = SubscribeOptions {
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let properties = Properties::builder()
        .subscription_identifier(268_435_455)
        .user_property("a", "b")
        .build()
        .unwrap();
    let bytes = hex("82 15 000A 0C 0B FFFFFF7F 26 0001 61 0001 62 0003 612F23 2E");
    both_ways(
        Version::V5,
        Sender::Client,
        &bytes,
        subscribe(vec![(filter("a/#"), options)], properties),
    );
}

#[test]
fn subscribe_to_a_shared_subscription() {
    let bytes = hex("82 10 000A 00 000A 2473686172652F672F66 01");
    let filters = vec![(filter("$share/g/f"), QoS::AtLeastOnce.into())];
    both_ways(
        Version::V5,
        Sender::Client,
        &bytes,
        subscribe(filters, Properties::new()),
    );
}

#[test]
fn subscribe_and_unsubscribe_of_3_1_may_carry_dup() {
    for first in [0x8A, 0xAA] {
        let options: &[u8] = if first == 0x8A { &[1] } else { &[] };
        let bytes = crate::common::frame(first, &[&hex("000A 0001 66")[..], options].concat());
        accepts(Version::V3_1, Sender::Client, &bytes);
        refuses(Version::V3_1_1, Sender::Client, &bytes);
    }
}

/// The example of section 3.9: QoS 0, QoS 2 and a failure.
#[test]
fn suback_as_in_the_example() {
    let codes = vec![
        ReasonCode::SUCCESS,
        ReasonCode::GRANTED_QOS_2,
        ReasonCode::UNSPECIFIED_ERROR,
    ];
    let suback = |properties| {
        Packet::SubAck(SubAck {
            id: id(10),
            codes: codes.clone(),
            properties,
        })
    };
    for version in V3 {
        both_ways(
            version,
            Sender::Server,
            &hex("90 05 000A 00 02 80"),
            suback(Properties::new()),
        );
    }
    both_ways(
        Version::V5,
        Sender::Server,
        &hex("90 06 000A 00 00 02 80"),
        suback(Properties::new()),
    );
    let properties = Properties::builder()
        .reason_string("no")
        .user_property("a", "b")
        .build()
        .unwrap();
    both_ways(
        Version::V5,
        Sender::Server,
        &hex("90 12 000A 0C 1F 0002 6E6F 26 0001 61 0001 62 00 02 80"),
        suback(properties),
    );
}

/// The example of section 3.10: a/b and c/d.
#[test]
fn unsubscribe_as_in_the_example() {
    let filters = vec![filter("a/b"), filter("c/d")];
    let unsubscribe = |properties| {
        Packet::Unsubscribe(Unsubscribe {
            id: id(10),
            filters: filters.clone(),
            properties,
        })
    };
    for version in V3 {
        both_ways(
            version,
            Sender::Client,
            &hex("A2 0C 000A 0003 612F62 0003 632F64"),
            unsubscribe(Properties::new()),
        );
    }
    both_ways(
        Version::V5,
        Sender::Client,
        &hex("A2 0D 000A 00 0003 612F62 0003 632F64"),
        unsubscribe(Properties::new()),
    );
    let properties = Properties::builder()
        .user_property("a", "b")
        .build()
        .unwrap();
    both_ways(
        Version::V5,
        Sender::Client,
        &hex("A2 14 000A 07 26 0001 61 0001 62 0003 612F62 0003 632F64"),
        unsubscribe(properties),
    );
}

#[test]
fn unsuback_has_codes_in_5_alone() {
    let unsuback = |codes: &[ReasonCode]| {
        Packet::UnsubAck(UnsubAck {
            id: id(10),
            codes: codes.to_vec(),
            properties: Properties::new(),
        })
    };
    for version in V3 {
        both_ways(version, Sender::Server, &hex("B0 02 000A"), unsuback(&[]));
        refuses(version, Sender::Server, &hex("B0 03 000A 00"));
    }
    let codes = [ReasonCode::SUCCESS, ReasonCode::NO_SUBSCRIPTION_EXISTED];
    both_ways(
        Version::V5,
        Sender::Server,
        &hex("B0 05 000A 00 00 11"),
        unsuback(&codes),
    );
}

#[test]
fn the_first_and_the_last_packet_identifier() {
    for version in VERSIONS {
        let none = crate::common::packets::none(version);
        for bytes in [[0, 1], [255, 255]] {
            let body = [&bytes[..], none, &hex("0001 66 00")].concat();
            let Packet::Subscribe(subscribe) =
                accepts(version, Sender::Client, &crate::common::frame(0x82, &body))
            else {
                panic!("no SUBSCRIBE")
            };
            assert_eq!(subscribe.id.get(), u16::from_be_bytes(bytes));
        }
    }
}
