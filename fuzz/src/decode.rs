//! The body of the target `decode`.

use bytes::BytesMut;
use mqtt_proto::{
    Connect, DecodeError, EncodeError, Packet, PacketId, PacketType, PropertyId, PublishView,
    Version,
};

use crate::codec::{Codec, frame_len, written};
use crate::outcome::Reached;

/// Reads `data` as a stream with every codec.
pub fn run(data: &[u8]) -> Reached {
    let mut reached = Reached::default();
    for codec in Codec::ALL {
        stream(codec, data, &mut reached);
    }
    reached
}

fn stream(codec: Codec, mut data: &[u8], reached: &mut Reached) {
    let decoder = codec.decoder();
    let mut input = BytesMut::from(data);
    loop {
        let (mut at_publish, mut at_ack) = (input.clone(), input.clone());
        let publish = decoder.decode_publish(&mut at_publish);
        let ack = decoder.decode_ack_success(&mut at_ack);
        match decoder.decode(&mut input) {
            Ok(Some(packet)) => {
                let size =
                    frame_len(data).expect("a packet came out of a header that is not whole");
                assert_eq!(input[..], data[size..], "not exactly one frame was taken");
                let frame;
                (frame, data) = data.split_at(size);
                let _ = format!("{packet:?}");
                same_apart(frame, &packet, &publish, ack);
                let left = |taken| if taken { data.len() } else { size + data.len() };
                assert_eq!(at_publish.len(), left(publish.is_ok_and(|it| it.is_some())));
                assert_eq!(at_ack.len(), left(ack.is_some()));
                same_within_its_size(codec, frame, &packet);
                same_again(codec, frame, &packet);
                reached.add(codec, packet.packet_type());
            }
            Ok(None) => {
                assert_eq!(input[..], data[..], "bytes are gone, but no packet came");
                let whole = frame_len(data).is_some_and(|size| size <= data.len());
                assert!(!whole, "a whole frame, and no packet: {data:02x?}");
                assert_eq!((publish, ack), (Ok(None), None));
                return;
            }
            Err(error) => {
                let _ = format!("{error:?} {error}");
                assert!(
                    error.reason().is_error(),
                    "{error} is answered with success"
                );
                let is_publish = data[0] >> 4 == PacketType::Publish as u8;
                let of_publish = if is_publish { Err(error) } else { Ok(None) };
                assert_eq!((publish, ack), (of_publish, None));
                return;
            }
        }
    }
}

/// What has a way of its own through the decoder comes out as it does among others, and nothing else does.
fn same_apart(
    frame: &[u8],
    packet: &Packet,
    publish: &Result<Option<PublishView>, DecodeError>,
    ack: Option<(PacketType, PacketId)>,
) {
    let (view, success) = match packet {
        Packet::Publish(view) => (Some(view), None),
        Packet::PubAck(one) | Packet::PubRec(one) | Packet::PubRel(one) | Packet::PubComp(one) => {
            // In 3.1 a PUBREL may have DUP.
            let is_short = frame.len() == 4 && frame[0] != 0x6a;
            (None, is_short.then(|| (packet.packet_type(), one.id)))
        }
        _ => (None, None),
    };
    assert_eq!(publish.as_ref().map(Option::as_ref), Ok(view));
    assert_eq!(ack, success);
}

fn same_within_its_size(codec: Codec, frame: &[u8], packet: &Packet) {
    let size = u32::try_from(frame.len()).expect("a frame is below 256 MiB");
    let exact = codec.decoder().with_max_packet_size(size);
    let again = exact.decode(&mut BytesMut::from(frame));
    assert_eq!(again.as_ref(), Ok(&Some(packet.clone())));

    let max = size - 1;
    let smaller = codec.decoder().with_max_packet_size(max);
    let refused = smaller.decode(&mut BytesMut::from(frame));
    assert_eq!(refused, Err(DecodeError::PacketTooLarge { size, max }));
}

fn same_again(codec: Codec, frame: &[u8], packet: &Packet) {
    let bytes = match (codec.encode(packet), packet) {
        (Ok(bytes), _) => bytes,
        (Err(EncodeError::BadClientId { .. }), Packet::Connect(connect))
            if forbidden_client_id(connect) =>
        {
            return;
        }
        (Err(error), _) => panic!("{codec:?} reads {frame:02x?} but can't write it: {error}"),
    };
    assert!(
        is_a_form_of(codec, frame, &bytes, packet.packet_type()),
        "{codec:?} reads {frame:02x?} and writes {bytes:02x?}"
    );
    let again = codec.decode_one(&bytes);
    assert_eq!(again, *packet);
    assert_eq!(codec.encode(&again).as_ref(), Ok(&bytes));

    if let Packet::Publish(view) = packet {
        same_message(codec, view, &bytes);
    }
}

/// Whether `frame` is another way to say what `bytes` say: almost everything has one form only.
fn is_a_form_of(codec: Codec, frame: &[u8], bytes: &[u8], packet: PacketType) -> bool {
    use PacketType as P;
    let mut frame = frame.to_vec();
    match (codec.version, packet) {
        // The DUP flag, which 3.1 allows there, and the unused byte of its CONNACK.
        (Version::V3_1, P::PubRel | P::Subscribe | P::Unsubscribe) => frame[0] &= !0b1000,
        (Version::V3_1, P::ConnAck) => frame[2] = 0,
        // Without properties their length may be left out, and then also the reason code of success (sections 3.4.2.1 and
        // 3.14.2.1).
        (Version::V5, P::PubAck | P::PubRec | P::PubRel | P::PubComp) if frame[1] <= 4 => {
            return shorter_by_zeros(&frame, bytes);
        }
        (Version::V5, P::Disconnect) if frame[1] <= 2 => return shorter_by_zeros(&frame, bytes),
        _ => {}
    }
    frame == bytes
}

fn shorter_by_zeros(frame: &[u8], bytes: &[u8]) -> bool {
    let rest = frame[2..].strip_prefix(&bytes[2..]);
    frame[0] == bytes[0] && rest.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

/// The message alone loses what belongs to its connection, and nothing else.
fn same_message(codec: Codec, view: &PublishView, bytes: &[u8]) {
    let Some(publish) = view.to_publish() else {
        assert!(view.topic().is_empty() && view.topic_alias().is_some());
        return;
    };
    let of_connection = [PropertyId::TOPIC_ALIAS, PropertyId::SUBSCRIPTION_IDENTIFIER];
    let kept = view.properties().iter();
    let kept = kept.filter(|(id, _)| !of_connection.contains(id));
    assert!(publish.properties().iter().eq(kept));

    let (encoder, flow) = (codec.encoder(), view.flow());
    let alone = written(
        |out| encoder.publish(&publish, flow, None, out),
        encoder.publish_len(&publish, flow, None),
    )
    .expect("what was read can be published");
    let Packet::Publish(again) = codec.decode_one(&alone) else {
        panic!("{publish:?} became another packet");
    };
    assert_eq!(again.topic(), view.topic());
    assert_eq!(again.payload(), view.payload());
    assert_eq!((again.flow(), again.retain()), (flow, view.retain()));
    assert_eq!(again.properties(), publish.properties());
    if !of_connection.iter().any(|id| view.properties().has(*id)) {
        assert_eq!(alone, bytes);
    }
}

/// Section 3.1 of 3.1 asks for 1 to 23 characters; in 3.1.1 an empty one may not keep a session [MQTT-3.1.3-7].
fn forbidden_client_id(connect: &Connect) -> bool {
    let count = connect.client_id.as_str().chars().count();
    match connect.version {
        Version::V3_1 => count == 0 || count > 23,
        Version::V3_1_1 => count == 0 && !connect.clean_start,
        Version::V5 => false,
    }
}
