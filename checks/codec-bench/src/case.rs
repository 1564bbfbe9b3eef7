//! The packets that are measured.

/// A PUBLISH of 5.0 at QoS 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub payload: usize,
    pub properties: bool,
}

/// 24 bytes.
pub const TOPIC: &str = "factory/line7/motor/temp";
pub const PACKET_ID: u16 = 0x1234;

pub const MESSAGE_EXPIRY: u32 = 60;
pub const CONTENT_TYPE: &str = "text/plain";
pub const CORRELATION: &[u8] = b"request-0001";
pub const USER: [(&str, &str); 2] = [("region", "eu-west"), ("trace", "4bf92f3577b34da6")];

impl Case {
    pub const ALL: [Self; 4] = [
        Self {
            payload: 64,
            properties: false,
        },
        Self {
            payload: 64,
            properties: true,
        },
        Self {
            payload: 16 * 1024,
            properties: false,
        },
        Self {
            payload: 16 * 1024,
            properties: true,
        },
    ];

    pub fn name(self) -> String {
        let payload = if self.payload < 1024 {
            format!("{} B", self.payload)
        } else {
            format!("{} KiB", self.payload / 1024)
        };
        if self.properties {
            format!("{payload} with properties")
        } else {
            payload
        }
    }

    /// How many packets stand in one buffer: about 128 KiB of small ones, 1 MiB of large ones.
    pub fn packets(self) -> usize {
        if self.payload < 1024 { 1000 } else { 64 }
    }

    pub fn payload(self) -> Vec<u8> {
        vec![b'x'; self.payload]
    }

    /// The packet, written by hand from section 3.3.
    pub fn frame(self) -> Vec<u8> {
        let mut body = Vec::new();
        put(TOPIC.as_bytes(), &mut body);
        body.extend_from_slice(&PACKET_ID.to_be_bytes());
        let properties = self.encoded_properties();
        assert!(properties.len() < 128, "its length takes one byte");
        body.push(properties.len() as u8);
        body.extend_from_slice(&properties);
        body.extend_from_slice(&self.payload());
        let mut frame = vec![0b0011_0010];
        let mut length = body.len();
        while length >= 128 {
            frame.push(length as u8 & 0x7F | 0x80);
            length >>= 7;
        }
        frame.push(length as u8);
        frame.extend_from_slice(&body);
        frame
    }

    /// The packets one behind the other.
    pub fn stream(self) -> Vec<u8> {
        self.frame().repeat(self.packets())
    }

    fn encoded_properties(self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.properties {
            out.push(0x02);
            out.extend_from_slice(&MESSAGE_EXPIRY.to_be_bytes());
            out.push(0x03);
            put(CONTENT_TYPE.as_bytes(), &mut out);
            out.push(0x09);
            put(CORRELATION, &mut out);
            for (name, value) in USER {
                out.push(0x26);
                put(name.as_bytes(), &mut out);
                put(value.as_bytes(), &mut out);
            }
        }
        out
    }
}

fn put(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}
