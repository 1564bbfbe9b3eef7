//! The table: entries 1 to 15 of the list, as far as they are bytes of MQTT.

mod connack;
mod exchange;
mod foreign;
mod framing;
mod properties;
mod strings;

use mqtt_session::proto::{DecodeError, QoS, Version};

use crate::row::{Before, Row, Then, Told};
use crate::script::{Script, string};

pub(crate) const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];
const V3: [Version; 2] = [Version::V3_1, Version::V3_1_1];

/// Every row.
pub fn rows() -> Vec<Row> {
    let mut rows = Rows::default();
    framing::add(&mut rows);
    properties::add(&mut rows);
    exchange::add(&mut rows);
    strings::add(&mut rows);
    connack::add(&mut rows);
    foreign::add(&mut rows);
    rows.0.sort_by_key(|row| row.entry);
    rows.0
}

#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    fn add(
        &mut self,
        entry: u8,
        version: Version,
        before: Before,
        name: impl Into<String>,
        bytes: Script,
        then: Then,
    ) -> &mut Row {
        self.0.push(Row {
            entry,
            name: name.into(),
            version,
            before,
            bytes,
            limit: None,
            then,
        });
        self.0.last_mut().expect("one was added")
    }

    /// One that is no packet, on a connection with nothing under way.
    fn malformed(&mut self, entry: u8, version: Version, name: &str, hex: &str, e: DecodeError) {
        let (bytes, then) = (Script::hex(hex), decode(e));
        self.add(entry, version, Before::Connected, name, bytes, then);
    }
}

fn decode(error: DecodeError) -> Then {
    Then::Ends(Told::Decode(error))
}

const fn truncated(field: &'static str) -> DecodeError {
    DecodeError::Truncated { field }
}

/// Nothing is answered, and the connection stays.
fn ignored() -> Then {
    answered("")
}

fn answered(hex: &str) -> Then {
    let answers = Script::hex(hex);
    Then::Stays {
        answers,
        publishes: 0,
    }
}

/// So many PUBLISH packets come, and the connection stays.
fn taken(publishes: u64, answers: Script) -> Then {
    Then::Stays { answers, publishes }
}

/// A PUBLISH of QoS 0 without properties.
fn publish(version: Version, topic: impl AsRef<[u8]>, payload: &[u8]) -> Script {
    let body = [&string(topic)[..], none(version), payload].concat();
    Script::frame(0x30, Script::bytes(body))
}

/// No properties, as a version has it.
fn none(version: Version) -> &'static [u8] {
    if version.is_v5() { &[0] } else { &[] }
}

/// The first byte and the name of the acknowledgements.
const ACKS: [(u8, &str); 4] = [
    (0x40, "PUBACK"),
    (0x50, "PUBREC"),
    (0x62, "PUBREL"),
    (0x70, "PUBCOMP"),
];

const AT_LEAST_ONCE: Before = Before::Publishing(QoS::AtLeastOnce);
const EXACTLY_ONCE: Before = Before::Publishing(QoS::ExactlyOnce);
