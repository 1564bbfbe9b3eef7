use std::io::IoSlice;

use bytes::{Buf, BytesMut};
use mqtt_proto::{Decoder, EncodeError, Encoder, Outbox, Packet, PacketType, Sender, Version};

/// A version, and who sends: what the codec is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    /// The version of the packets.
    pub version: Version,
    /// Who sends them.
    pub sender: Sender,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::new(Version::V3_1, Sender::Client),
        Self::new(Version::V3_1, Sender::Server),
        Self::new(Version::V3_1_1, Sender::Client),
        Self::new(Version::V3_1_1, Sender::Server),
        Self::new(Version::V5, Sender::Client),
        Self::new(Version::V5, Sender::Server),
    ];

    /// This version and this sender.
    pub const fn new(version: Version, sender: Sender) -> Self {
        Self { version, sender }
    }

    /// Where it stands in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|c| *c == self).unwrap_or(0)
    }

    /// Whether the version has this packet and the sender may send it: the tables of section 2.1.2 of the three versions,
    /// written down once more.
    pub fn may_send(self, packet: PacketType) -> bool {
        use PacketType as P;
        let v5 = self.version == Version::V5;
        match packet {
            P::Publish | P::PubAck | P::PubRec | P::PubRel | P::PubComp => true,
            P::Connect | P::Subscribe | P::Unsubscribe | P::PingReq => {
                self.sender == Sender::Client
            }
            P::ConnAck | P::SubAck | P::UnsubAck | P::PingResp => self.sender == Sender::Server,
            P::Disconnect => v5 || self.sender == Sender::Client,
            P::Auth => v5,
        }
    }

    pub(crate) fn decoder(self) -> Decoder {
        Decoder::new(self.version, self.sender)
    }

    pub(crate) fn encoder(self) -> Encoder {
        Encoder::new(self.version, self.sender)
    }

    /// The one packet in `bytes`.
    #[track_caller]
    pub(crate) fn decode_one(self, bytes: &[u8]) -> Packet {
        let mut input = BytesMut::from(bytes);
        match self.decoder().decode(&mut input) {
            Ok(Some(packet)) => {
                assert!(input.is_empty(), "{} bytes too many", input.len());
                packet
            }
            other => panic!("{self:?} wrote {bytes:02x?} and reads {other:?}"),
        }
    }

    /// The bytes of the packet, having checked that all ways to learn their number agree.
    pub(crate) fn encode(self, packet: &Packet) -> Result<Vec<u8>, EncodeError> {
        written(
            |out| self.encoder().encode(packet, out),
            self.encoder().encoded_len(packet),
        )
    }
}

/// What `write` appended behind bytes that waited there already: on an error nothing; else as much as it returned, and as `len`
/// told before.
#[track_caller]
pub(crate) fn written(
    write: impl FnOnce(&mut Outbox) -> Result<usize, EncodeError>,
    len: Result<usize, EncodeError>,
) -> Result<Vec<u8>, EncodeError> {
    let mut out = Outbox::new();
    let first = Codec::new(Version::V5, Sender::Client);
    let waits = first.encoder().encode(&Packet::PingReq, &mut out);
    assert_eq!(waits, Ok(2));

    let result = write(&mut out);
    assert_eq!(
        result, len,
        "the length computed and the length written differ"
    );
    assert_eq!(out.len(), 2 + result.unwrap_or(0));
    let all = out.to_vec();
    assert_eq!(all[..2], [0xC0, 0], "what waited is changed");
    assert_eq!(drained(out, 1 + all.len() / 3), all);
    result.map(|_| all[2..].to_vec())
}

/// The bytes in the order in which a socket that takes `step` bytes at a time gets them, from plain and vectored writes in turn.
fn drained(mut out: Outbox, step: usize) -> Vec<u8> {
    let total = out.remaining();
    let mut all = Vec::with_capacity(total);
    let mut vectored = true;
    while out.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = if vectored {
            out.chunks_vectored(&mut slices)
        } else {
            slices[0] = IoSlice::new(out.chunk());
            1
        };
        let mut taken = Vec::new();
        for slice in &slices[..filled] {
            taken.extend_from_slice(slice);
        }
        taken.truncate(step);
        assert!(!taken.is_empty(), "bytes remain and none are offered");
        all.extend_from_slice(&taken);
        out.advance(taken.len());
        assert_eq!(out.remaining(), total - all.len());
        vectored = !vectored;
    }
    all
}

/// The length of the frame at the front of `bytes` by section 2.1.4 alone; `None` where its header is cut off or malformed.
pub(crate) fn frame_len(bytes: &[u8]) -> Option<usize> {
    let mut len = 0;
    for at in 0..4 {
        let byte = usize::from(*bytes.get(1 + at)?);
        len += (byte % 128) * 128usize.pow(at as u32);
        if byte < 128 {
            // [MQTT-1.5.5-1]
            let shortest = at == 0 || byte > 0;
            return shortest.then_some(2 + at + len);
        }
    }
    None
}
