use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};
use mqtt_proto::{PacketId, Properties, Publish, QoS, ReasonCode, Topic, Version};
use mqtt_testkit::Rng;

use super::crc::crc32c;
use super::{Accepted, Ending, Identity, Lifetime, Moved, Record, RecordError, UnixTime};
use crate::Token;

fn number(rng: &mut Rng) -> u64 {
    rng.next_u64() >> rng.below(64)
}

fn token(rng: &mut Rng) -> Token {
    Token(number(rng).max(1))
}

fn id(rng: &mut Rng) -> PacketId {
    PacketId::new(rng.range(1, 65_535) as u16).expect("not 0")
}

fn bytes(rng: &mut Rng, max: u64) -> Vec<u8> {
    (0..rng.below(max + 1))
        .map(|_| rng.next_u64() as u8)
        .collect()
}

fn text(rng: &mut Rng, max: u64) -> String {
    let letters = ['a', 'b', '/', 'ö', '日', '🦀', '0', ' '];
    (0..rng.below(max + 1))
        .map(|_| *rng.pick(&letters))
        .collect()
}

fn publish(rng: &mut Rng) -> Publish {
    let topic = Topic::try_from(alloc::format!("t{}", text(rng, 20))).expect("a topic");
    let mut properties = Properties::builder();
    for _ in 0..rng.below(3) {
        properties = properties.user_property(&text(rng, 8), &text(rng, 8));
    }
    if rng.chance(2) {
        properties = properties.message_expiry_interval(rng.next_u64() as u32);
    }
    Publish::new(topic, bytes(rng, 300))
        .with_retain(rng.chance(2))
        .with_properties(properties.build().expect("good properties"))
}

fn record(rng: &mut Rng) -> Record {
    let reason = ReasonCode(rng.next_u64() as u8);
    match rng.below(11) {
        0 => Record::Identity(Identity {
            group: text(rng, 40),
            moved: (0..rng.below(3))
                .map(|_| Moved {
                    from: text(rng, 40),
                    to: text(rng, 40),
                })
                .collect(),
            client_id: text(rng, 40),
            version: *rng.pick(&[Version::V3_1, Version::V3_1_1, Version::V5]),
            session_expiry: rng.next_u64() as u32,
            base: rng.next_u64() as u16,
            write_ahead: rng.chance(2),
            next_token: token(rng),
        }),
        1 => Record::SessionBegan,
        2 => Record::Accepted(Accepted {
            token: token(rng),
            qos: *rng.pick(&[QoS::AtLeastOnce, QoS::ExactlyOnce]),
            publish: publish(rng),
            tag: rng.chance(2).then(|| Bytes::from(bytes(rng, 200))),
            lifetime: rng.chance(2).then(|| Lifetime {
                accepted: UnixTime::from_millis(number(rng)),
                over: UnixTime::from_millis(number(rng)),
            }),
            republished: rng.chance(2),
        }),
        3 => Record::Sent {
            token: token(rng),
            id: id(rng),
        },
        4 => Record::PubRec {
            token: token(rng),
            reason,
        },
        5 => Record::Finished {
            token: token(rng),
            ending: *rng.pick(&[
                Ending::Acknowledged(reason),
                Ending::Rejected(reason),
                Ending::SessionLost,
                Ending::NotSent,
            ]),
        },
        6 => Record::Freed { id: id(rng) },
        7 => Record::AwaitsPubComp {
            token: token(rng),
            id: id(rng),
            reason,
            republished: rng.chance(2),
            tag: rng.chance(2).then(|| Bytes::from(bytes(rng, 200))),
        },
        8 => Record::Kept { id: id(rng) },
        9 => Record::Recorded { id: id(rng) },
        _ => Record::Released { id: id(rng) },
    }
}

fn encoded(record: &Record) -> BytesMut {
    let mut out = BytesMut::new();
    record.encode(&mut out).expect("a small record");
    out
}

/// A body of any bytes, under sums that are right.
fn framed(body: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    let len = (body.len() as u32).to_le_bytes();
    out.put_slice(&len);
    out.put_u16_le(crc32c(&len) as u16);
    out.put_u32_le(crc32c(body));
    out.put_slice(body);
    out
}

#[test]
fn what_is_decoded_is_what_was_encoded() {
    let mut rng = Rng::new(1);
    let records: Vec<_> = (0..5_000).map(|_| record(&mut rng)).collect();
    let mut log = BytesMut::new();
    for record in &records {
        record.encode(&mut log).expect("a small record");
    }
    let mut input = &log[..];
    for record in &records {
        assert_eq!(
            Record::decode(&mut input).as_ref(),
            Ok(&Some(record.clone()))
        );
    }
    assert_eq!(Record::decode(&mut input), Ok(None));
}

#[test]
fn a_record_that_is_cut_off_anywhere_is_truncated_and_stays_where_it_is() {
    let mut rng = Rng::new(2);
    for _ in 0..200 {
        let bytes = encoded(&record(&mut rng));
        for len in 1..bytes.len() {
            let mut input = &bytes[..len];
            let error = Record::decode(&mut input).expect_err("it is cut off");
            assert!(
                matches!(error, RecordError::Truncated { got, wanted } if got == len && wanted > len),
                "{error:?}"
            );
            assert_eq!(input.len(), len);
        }
    }
}

#[test]
fn a_record_with_any_bit_turned_is_an_error_and_never_taken_for_a_cut_off_one() {
    let mut rng = Rng::new(3);
    for _ in 0..100 {
        let good = encoded(&record(&mut rng));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = Record::decode(&mut &bytes[..]).expect_err("a bit is wrong");
            assert!(matches!(error, RecordError::CheckSum { .. }), "{error:?}");
        }
    }
    let error = Record::decode(&mut &[0; 64][..]).expect_err("zeros");
    assert!(matches!(
        error,
        RecordError::CheckSum { part: "length", .. }
    ));
}

#[test]
fn no_bytes_make_it_panic_and_each_record_has_one_form() {
    let mut rng = Rng::new(4);
    let mut whole = 0;
    for round in 0..60_000 {
        let body = if round % 4 == 0 {
            let kind = rng.below(13) as u8;
            let mut body = alloc::vec![kind];
            body.extend(bytes(&mut rng, 40));
            body
        } else {
            let mut body = encoded(&record(&mut rng))[10..].to_vec();
            for _ in 0..=rng.below(3) {
                let at = rng.below(body.len() as u64) as usize;
                match rng.below(4) {
                    0 => body[at] = rng.next_u64() as u8,
                    1 => body[at] ^= 1 << rng.below(8),
                    2 => body.truncate(at.max(1)),
                    _ => body.insert(at, rng.next_u64() as u8),
                }
            }
            body
        };
        let bytes = framed(&body);
        if let Ok(Some(record)) = Record::decode(&mut &bytes[..]) {
            whole += 1;
            assert_eq!(encoded(&record), bytes, "{record:?}");
        }
        let _ = Record::decode(&mut &body[..]);
    }
    assert!(whole > 5_000, "{whole} of the altered bodies were records");
}

#[test]
fn a_record_of_another_format_names_both_versions() {
    let mut rng = Rng::new(5);
    let identity = loop {
        if let record @ Record::Identity(_) = record(&mut rng) {
            break record;
        }
    };
    let mut body = encoded(&identity)[10..].to_vec();
    assert_eq!(body[1], Record::FORMAT_VERSION);
    body[1] = 9;
    // What follows may mean anything in another format.
    body.truncate(3);
    let error = Record::decode(&mut &framed(&body)[..]).expect_err("another format");
    assert_eq!(
        error,
        RecordError::FormatVersion {
            found: 9,
            known: Record::FORMAT_VERSION
        }
    );
}

#[test]
fn records_without_a_message_take_few_bytes() {
    let (token, id) = (Token(1_000_000), PacketId::MIN);
    let sizes = [
        Record::Sent { token, id },
        Record::PubRec {
            token,
            reason: ReasonCode::SUCCESS,
        },
        Record::Finished {
            token,
            ending: Ending::Acknowledged(ReasonCode::SUCCESS),
        },
        Record::Recorded { id },
    ]
    .map(|record| encoded(&record).len());
    assert_eq!(sizes, [16, 15, 16, 13]);
}

/// Else there would be none left for what is published next.
#[test]
fn tokens_that_no_process_ever_came_to_are_refused() {
    let identity = Identity {
        group: "192.0.2.1:1883".into(),
        moved: Vec::new(),
        client_id: "client".into(),
        version: Version::V5,
        session_expiry: 3600,
        base: 0,
        write_ahead: true,
        next_token: Token(1),
    };
    let accepted = Accepted {
        token: Token(u64::MAX),
        qos: QoS::AtLeastOnce,
        publish: Publish::new(Topic::try_from("a").expect("a topic"), "x"),
        tag: None,
        lifetime: None,
        republished: false,
    };
    let late = Identity {
        next_token: Token(u64::MAX),
        ..identity.clone()
    };
    let identity = Record::Identity(identity);
    let config = crate::Config::builder("client").durability(crate::Durability::WriteAhead);
    let config = config.build().expect("good");
    let restore = |records: &[Record]| {
        let clock = crate::WallClock {
            now: crate::Instant::ZERO,
            time: UnixTime::default(),
        };
        let server = crate::Endpoint::new("192.0.2.1", 1883);
        crate::Session::restore(config.clone(), server, 7, clock, records.to_vec())
    };
    restore(core::slice::from_ref(&identity)).expect("good records");
    for records in [
        [identity.clone(), Record::Accepted(accepted)],
        [identity, Record::Identity(late)],
    ] {
        let error = restore(&records).expect_err("there is no such token");
        let expected = crate::RestoreError::Misfit {
            index: 1,
            problem: "a token is greater than any that was ever given",
        };
        assert_eq!(error, expected);
    }
}
