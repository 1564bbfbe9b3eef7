//! The state machine over smoltcp, a TCP stack that needs no operating system: the loop of a firmware, and a broker at the other end of the wire.
//!
//!     cargo run -p mqtt-embedding --bin embed_smoltcp
//!
//! A sensor publishes twenty readings at QoS 2 and switches a lamp as it is told. In the middle the connection is cut, and nothing is lost or
//! doubled. For a board, take `node.rs` as it is, the driver of its network chip for the loopback device, and its timer for the clock; what
//! `far.rs` does is then done by a broker.

mod far;
mod node;

use std::error::Error;
use std::time::{Duration, Instant as Clock};

use mqtt_session::proto::{Publish, QoS, Topic};
use mqtt_session::{Config, Connection, Event, Instant, Outcome, QueueId, Servers, Session};
use smoltcp::iface::{Config as NetConfig, Interface, SocketSet};
use smoltcp::phy::{Loopback, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use far::Far;
use node::Node;

const READINGS: usize = 20;
/// Nothing here takes long: what hangs is ended.
const BOUND: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn Error>> {
    let epoch = Clock::now();
    let now = || Instant::from_std(epoch, Clock::now());
    let net_now = || smoltcp::time::Instant::from_micros((now().as_nanos() / 1000) as i64);

    let mut device = Loopback::new(Medium::Ip);
    let mut net = Interface::new(NetConfig::new(HardwareAddress::Ip), &mut device, net_now());
    net.update_ip_addrs(|addrs| addrs.extend([IpCidr::new(IpAddress::v4(127, 0, 0, 1), 8)]));
    let buffer = || SocketBuffer::new(vec![0; 2048]);
    let mut sockets = SocketSet::new(Vec::new());
    let near = sockets.add(Socket::new(buffer(), buffer()));
    let far = sockets.add(Socket::new(buffer(), buffer()));
    let mut far = Far::new(far, 1883);

    // The server keeps the session while the connection is away, so that QoS 2 goes on where it was.
    let keep = Duration::from_secs(3600);
    let config = Config::builder("sensor-7").session_expiry(keep).build()?;
    let seed = 7; // on a board: from its random numbers
    let session = Session::new(config, Servers::try_from("mqtt://127.0.0.1")?, seed);
    let mut node = Node::new(Connection::new(session), near);
    let session = node.connection.session_mut();
    session.start(now());
    let filters = vec![("lamp/set".try_into()?, QoS::AtLeastOnce.into())];
    session.subscribe(now(), filters, Default::default(), QueueId::DEFAULT)?;

    let (mut taken, mut acknowledged, mut switched) = (0, 0, 0);
    while now() < Instant::ZERO + BOUND {
        net.poll(net_now(), &mut device, &mut sockets);
        far.turn(now(), &mut sockets);
        node.turn(now(), &mut net, &mut sockets);

        let session = node.connection.session_mut();
        while let Some(event) = session.poll_event() {
            match event {
                Event::Published {
                    outcome: Outcome::Acknowledged { .. },
                    ..
                } => acknowledged += 1,
                Event::Closed => {
                    println!("{acknowledged} readings acknowledged, {switched} times switched");
                    return far.check(READINGS);
                }
                event => println!("{event:?}"),
            }
        }
        while let Some(message) = session.poll_message(QueueId::DEFAULT) {
            println!("lamp {}", message.publish.payload().escape_ascii());
            switched += 1;
            let _ = session.ack(now(), message.ticket); // an error: the session is gone, and the message may come again
        }
        // The next reading is taken when the one before was acknowledged; a sensor would ask its clock instead.
        if taken == acknowledged && taken < READINGS {
            let reading = Publish::new(Topic::try_from("readings/7")?, taken.to_string());
            session.publish(now(), QoS::ExactlyOnce, reading)?;
            taken += 1;
        } else if acknowledged == READINGS && switched == 2 {
            session.disconnect(now(), Default::default(), Duration::from_secs(2))?;
        }

        // What the application said goes out. Then there is nothing to do before the earliest deadline, or an interrupt of the network chip: the
        // loopback device has none, so it is looked at each millisecond.
        node.turn(now(), &mut net, &mut sockets);
        let session_wait = node.connection.poll_timeout().map(|at| at - now());
        let net_wait = net.poll_delay(net_now(), &sockets).map(Duration::from);
        let waits = [session_wait, net_wait, Some(Duration::from_millis(1))];
        std::thread::sleep(waits.into_iter().flatten().min().unwrap_or_default());
    }
    Err(format!("not done in {BOUND:?}: {acknowledged} of {taken} readings acknowledged").into())
}
