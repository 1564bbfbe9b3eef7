//! Sizes.

use crate::*;

#[test]
fn binary_fields_hold_65_535_bytes() {
    let long = |len| Bytes::from(vec![0; len]);
    for version in VERSIONS {
        let user_name = Some(Text::try_from("u").unwrap());
        let with_password = |len| Connect {
            password: Some(long(len)),
            user_name: user_name.clone(),
            ..connect(version)
        };
        assert!(
            encode(
                version,
                Sender::Client,
                &connect_packet(with_password(65_535))
            )
            .is_ok()
        );
        let error = fails(
            Encoder::new(version, Sender::Client),
            &connect_packet(with_password(65_536)),
        );
        assert_eq!(
            error,
            EncodeError::FieldTooLong {
                field: "password",
                len: 65_536
            }
        );
        let with_will = |len| Connect {
            will: Some(Will {
                payload: long(len),
                ..will()
            }),
            ..connect(version)
        };
        assert!(encode(version, Sender::Client, &connect_packet(with_will(65_535))).is_ok());
        let error = fails(
            Encoder::new(version, Sender::Client),
            &connect_packet(with_will(65_536)),
        );
        assert_eq!(
            error,
            EncodeError::FieldTooLong {
                field: "will payload",
                len: 65_536
            }
        );
    }
    assert!(
        Properties::builder()
            .correlation_data([0; 65_535])
            .build()
            .is_ok()
    );
    assert!(
        Properties::builder()
            .correlation_data([0; 65_536])
            .build()
            .is_err()
    );
    assert!(
        Properties::builder()
            .authentication_data([0; 65_536])
            .build()
            .is_err()
    );
    assert!(
        Properties::builder()
            .content_type(&"c".repeat(65_536))
            .build()
            .is_err()
    );
}

#[test]
fn a_packet_above_the_peers_maximum_is_an_error_naming_both_sizes() {
    for version in VERSIONS {
        let mut all = with_properties(version, &Properties::new());
        all.push((Sender::Client, Packet::PingReq));
        for (sender, packet) in all {
            let size = encode(version, sender, &packet).unwrap().len();
            let max = size as u32 - 1;
            let error = fails(
                Encoder::new(version, sender).with_max_packet_size(max),
                &packet,
            );
            assert_eq!(
                error,
                EncodeError::PacketTooLarge { size, max },
                "{packet:?}"
            );
        }
    }
}

#[test]
fn a_remaining_length_above_268_435_455_is_an_error() {
    let encoder = Encoder::new(Version::V3_1_1, Sender::Client);
    // The pages of zeroes are never touched: payloads of this size are chained.
    let zeroes = Bytes::from(vec![0; VARINT_MAX as usize]);
    let mut out = Outbox::new();
    let largest = Publish::new(topic("t"), zeroes.slice(3..));
    assert_eq!(
        encoder.publish(&largest, Flow::AtMostOnce, None, &mut out),
        Ok(VARINT_MAX as usize + 5)
    );
    assert_eq!(bytes::Buf::chunk(&out), hex("30 FF FF FF 7F 0001 74"));
    let error = publish_fails(encoder, &Publish::new(topic("t"), zeroes.slice(2..)), None);
    assert!(
        matches!(error, EncodeError::PacketTooLarge { size, .. } if size > VARINT_MAX as usize),
        "{error:?}"
    );
}

#[test]
fn no_limit_allows_what_a_remaining_length_can_not_say() {
    let encoder = Encoder::new(Version::V3_1_1, Sender::Client).with_max_packet_size(u32::MAX);
    let zeroes = Bytes::from(vec![0; VARINT_MAX as usize]);
    let largest = Publish::new(topic("t"), zeroes.slice(3..));
    assert_eq!(
        encoder.publish_len(&largest, Flow::AtMostOnce, None),
        Ok(VARINT_MAX as usize + 5)
    );
    let error = publish_fails(encoder, &Publish::new(topic("t"), zeroes.slice(2..)), None);
    assert!(
        matches!(error, EncodeError::PacketTooLarge { .. }),
        "{error:?}"
    );
}

#[test]
fn a_string_holds_65_535_bytes_in_any_script() {
    for letter in ["a", "\u{e9}"] {
        let mut longest = "a".repeat(65_535 % letter.len());
        longest.push_str(&letter.repeat(65_535 / letter.len()));
        let text = Text::try_from(longest.as_str()).unwrap();
        assert_eq!(text.len(), 65_535);
        assert_eq!(Topic::try_from(longest.as_str()).unwrap().as_str(), longest);
        longest.push('a');
        assert!(Text::try_from(longest.as_str()).is_err());
        assert!(Topic::try_from(longest.as_str()).is_err());
    }
}

#[test]
fn a_subscription_identifier_is_1_to_268_435_455() {
    for (value, fits) in [
        (0, false),
        (1, true),
        (VARINT_MAX, true),
        (VARINT_MAX + 1, false),
        (u32::MAX, false),
    ] {
        let built = Properties::builder().subscription_identifier(value).build();
        match built {
            Ok(properties) => {
                assert!(fits, "{value}");
                assert!(properties.view().subscription_identifiers().eq([value]));
            }
            Err(error) => {
                assert!(!fits, "{value}");
                let property = PropertyId::SUBSCRIPTION_IDENTIFIER;
                assert_eq!(error, PropertyError::Value { property, value });
            }
        }
    }
}
