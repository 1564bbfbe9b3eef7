//! Records through the handles: a driver takes them to a store, and the deliveries of an earlier process are there again.

use std::sync::mpsc;

use bytes::{Bytes, BytesMut};
use mqtt_session::client::{Client, Delivery, Next, Port, Report, Turn, build, build_over};
use mqtt_session::proto::{
    Ack, ConnAck, Encoder, Outbox, Packet, PacketId, PacketType, Publish, QoS, Sender, Version,
};
use mqtt_session::{
    Action, Config, ConfigError, Durability, Endpoint, Instant, Outcome, PublishOptions, Record,
    Seq, Session, Stats, UnixTime, WallClock,
};

struct Driver {
    port: Port,
    reports: Vec<Report>,
    records: Vec<(Seq, Record)>,
}

impl Driver {
    /// One turn: what the server says goes in, what the client says comes out.
    fn turn(&mut self, packets: &[Packet]) -> (Outbox, Next) {
        let mut input = Outbox::new();
        let encoder = Encoder::new(Version::V5, Sender::Server);
        for packet in packets {
            encoder.encode(packet, &mut input).expect("a good packet");
        }
        let (mut output, mut actions) = (Outbox::new(), Vec::new());
        let next = self.port.turn(Turn {
            now: Instant::ZERO,
            input: &mut BytesMut::from(&input.to_vec()[..]),
            written: 0,
            reports: &mut self.reports,
            output: &mut output,
            actions: &mut actions,
            idle: None,
        });
        for action in actions {
            if let Action::Dial { attempt, .. } = action {
                self.reports.push(Report::Opened(attempt));
            }
        }
        self.port.poll_records(&mut self.records);
        (output, next)
    }

    fn connect(&mut self, session_present: bool) {
        self.turn(&[]);
        self.turn(&[]);
        let connack = ConnAck {
            session_present,
            ..ConnAck::default()
        };
        self.turn(&[Packet::ConnAck(connack)]);
        self.store();
    }

    /// What was taken is stored.
    fn store(&mut self) {
        self.port.poll_records(&mut self.records);
        let (seq, _) = self.records.last().expect("records");
        self.port.handle_stored(Instant::ZERO, *seq);
    }
}

fn config() -> Config {
    let config = Config::builder("client").durability(Durability::WriteAhead);
    config.build().expect("good")
}

fn server() -> Endpoint {
    Endpoint::new("192.0.2.1", 1883)
}

fn started((client, port): (Client, Port)) -> (Client, Driver) {
    client.start();
    let (reports, records) = Default::default();
    let driver = Driver {
        port,
        reports,
        records,
    };
    (client, driver)
}

fn first_of(output: &Outbox) -> Option<PacketType> {
    let first = output.to_vec().first().copied()?;
    (first >> 4 == PacketType::Publish as u8).then_some(PacketType::Publish)
}

#[test]
fn a_driver_stores_records_and_the_next_process_has_the_deliveries() {
    let session = Session::new(config(), server(), 7);
    let (client, mut driver) = started(build_over(session, || Instant::ZERO));
    driver.connect(false);
    let delivery: Delivery = client
        .try_publish("a", QoS::AtLeastOnce, "1")
        .expect("accepted");
    let (output, _) = driver.turn(&[]);
    assert_eq!(first_of(&output), None, "it waits for its records");
    driver.store();
    let (output, _) = driver.turn(&[]);
    assert_eq!(first_of(&output), Some(PacketType::Publish));

    let records = driver.records.drain(..).map(|(_, record)| record);
    let clock = WallClock {
        now: Instant::ZERO,
        time: UnixTime::from_millis(1),
    };
    let session = Session::restore(config(), server(), 7, clock, records).expect("good records");
    let token = delivery.token();
    let (client, mut driver) = started(build_over(session, || Instant::ZERO));
    let mut restored = client.restored();
    assert!(client.restored().is_empty());
    let (delivery, tag) = restored.first_mut().expect("one message");
    assert_eq!((delivery.token(), tag.clone()), (token, None));
    driver.turn(&[]);
    driver.turn(&[]);
    let connack = ConnAck {
        session_present: true,
        ..ConnAck::default()
    };
    let (output, _) = driver.turn(&[Packet::ConnAck(connack)]);
    assert_eq!(first_of(&output), Some(PacketType::Publish));
    assert_eq!(delivery.outcome(), None);
    driver.turn(&[Packet::PubAck(Ack::new(PacketId::MIN))]);
    assert!(matches!(
        delivery.outcome(),
        Some(Outcome::Acknowledged { .. })
    ));
}

/// The memory of a tag may be the application's own (`Bytes::from_owner`), whose code may call the client.
#[test]
fn a_tag_is_dropped_after_unlocking() {
    struct Owner {
        tag: Vec<u8>,
        client: Client,
        told: mpsc::Sender<Stats>,
    }
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.tag
        }
    }
    impl Drop for Owner {
        fn drop(&mut self) {
            self.told
                .send(self.client.stats())
                .expect("it is waited for");
        }
    }
    let (told, stats) = mpsc::channel();
    let session = Session::new(config(), server(), 7);
    let (client, mut driver) = started(build_over(session, || Instant::ZERO));
    driver.connect(false);
    let mut options = PublishOptions::new();
    options.tag = Some(Bytes::from_owner(Owner {
        tag: b"order 7".to_vec(),
        client: client.clone(),
        told,
    }));
    let publish = Publish::new("a".try_into().expect("a topic"), "1");
    let delivery = client.try_publish_with(QoS::AtLeastOnce, publish, &options);
    drop((delivery.expect("accepted"), options));
    driver.turn(&[]);
    driver.store();
    driver.records.clear();
    driver.turn(&[]);
    assert!(stats.try_recv().is_err(), "the session has it");
    // Under the lock this would never end.
    driver.turn(&[Packet::PubAck(Ack::new(PacketId::MIN))]);
    assert_eq!(stats.recv().expect("it was dropped").acknowledged, 1);
}

/// Else nothing would ever be stored, and write-ahead would send nothing.
#[test]
fn a_driver_without_a_store_gets_no_client_that_records() {
    for durability in [Durability::Behind, Durability::WriteAhead] {
        let config = Config::builder("client").durability(durability).build();
        let config = config.expect("good for a driver with a store");
        let built = build(config, server(), 7, || Instant::ZERO);
        assert_eq!(built.err(), Some(ConfigError::NoStore), "{durability:?}");
    }
}
