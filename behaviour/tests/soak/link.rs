//! A proxy before the broker: it records what passes, lets go what the broker has stored, and breaks connections.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use mqtt_session::client::exports::Version;
use mqtt_testkit::Rng;
use rustix::net::sockopt::set_socket_linger;

use crate::keeper::{Keeper, Life};
use crate::shape::{Cut, Doom, Shape, Way};
use crate::tape::{Head, Point, Side, Tape};

/// How often a pump looks whether its connection is to end.
const LOOK: Duration = Duration::from_millis(5);
/// How long one way goes on where the other is [`Cut::Deaf`].
const DEAF: Duration = Duration::from_millis(40);
/// Writing to somebody who does not read.
const STUCK: Duration = Duration::from_secs(10);

/// Where an end connects. Dropping it ends all connections and closes the port.
pub(crate) struct Link {
    addr: SocketAddr,
    inner: Arc<Inner>,
    accepting: Option<JoinHandle<()>>,
}

struct Inner {
    side: Side,
    version: Version,
    keeper: Arc<Keeper>,
    tape: Arc<Tape>,
    /// Draws what is wrong with connections, where anything is.
    faults: Option<Mutex<Faults>>,
    /// Not kept from being closed.
    newest: Mutex<Weak<Wire>>,
    accepted: AtomicU32,
    cuts: Arc<AtomicU32>,
    over: AtomicBool,
}

struct Faults {
    rng: Rng,
    /// The next connection is cut early.
    early: bool,
}

/// A connection.
struct Wire {
    number: u32,
    client: TcpStream,
    broker: TcpStream,
    life: Life,
    cuts: Arc<AtomicU32>,
    fate: Mutex<Fate>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fate {
    /// What is to come,
    doom: Option<Doom>,
    /// and that it came.
    doomed: bool,
    /// No byte passes to the broker, to the client.
    shut: [bool; 2],
    /// When it is reset.
    reset_at: Option<Instant>,
    over: bool,
}

impl Link {
    /// A link for one end. With a seed its connections are as bad as [`Shape`] has them.
    pub(crate) fn start(
        side: Side,
        version: Version,
        keeper: &Arc<Keeper>,
        tape: &Arc<Tape>,
        seed: Option<u64>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let faults = seed.map(|seed| {
            Mutex::new(Faults {
                rng: Rng::new(seed),
                early: false,
            })
        });
        let inner = Arc::new(Inner {
            side,
            version,
            keeper: Arc::clone(keeper),
            tape: Arc::clone(tape),
            faults,
            newest: Mutex::default(),
            accepted: AtomicU32::new(0),
            cuts: Arc::default(),
            over: AtomicBool::new(false),
        });
        let accepts = Arc::clone(&inner);
        let accepting = Some(thread::spawn(move || accepts.accept(&listener)));
        Ok(Self {
            addr,
            inner,
            accepting,
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections have met their doom.
    pub(crate) fn cuts(&self) -> u32 {
        self.inner.cuts.load(Ordering::SeqCst)
    }

    /// Has the newest connection come to this, as soon as so many bytes have passed. `early` has the next one cut, too.
    /// `false` where there is none that lasts, or that has its doom already.
    pub(crate) fn doom(&self, doom: Doom, early: bool) -> bool {
        let Some(wire) = lock(&self.inner.newest).upgrade() else {
            return false;
        };
        let mut fate = lock(&wire.fate);
        if fate.doom.is_some() || fate.doomed || fate.over {
            return false;
        }
        fate.doom = Some(doom);
        if let Some(faults) = &self.inner.faults {
            lock(faults).early |= early;
        }
        true
    }

    /// Resets the newest connection now, and says whether there was one.
    pub(crate) fn reset(&self) -> bool {
        let Some(wire) = lock(&self.inner.newest).upgrade() else {
            return false;
        };
        let mut fate = lock(&wire.fate);
        let lasts = !fate.over && fate.reset_at.is_none();
        if lasts {
            fate.doom = None;
            fate.reset_at = Some(Instant::now());
            self.inner.cuts.fetch_add(1, Ordering::SeqCst);
        }
        lasts
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.inner.over.store(true, Ordering::SeqCst);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Inner {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut pumps = Vec::new();
        while !self.over.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok((client, _)) => match self.join(client) {
                    Ok(both) => pumps.extend(both),
                    // A broker that is not there looks like one that hangs up.
                    Err(_) => sleep(LOOK),
                },
                Err(_) => sleep(LOOK),
            }
            pumps.retain(|pump: &JoinHandle<()>| !pump.is_finished());
        }
        for pump in pumps {
            let _ = pump.join();
        }
    }

    fn join(self: &Arc<Self>, client: TcpStream) -> io::Result<[JoinHandle<()>; 2]> {
        let (broker, life) = self.keeper.connect()?;
        client.set_nonblocking(false)?;
        for stream in [&client, &broker] {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(LOOK))?;
            stream.set_write_timeout(Some(STUCK))?;
        }
        let (shape, doom) = self.draw();
        let wire = Arc::new(Wire {
            number: self.accepted.fetch_add(1, Ordering::SeqCst),
            client,
            broker,
            life,
            cuts: Arc::clone(&self.cuts),
            fate: Mutex::new(Fate {
                doom,
                ..Fate::default()
            }),
        });
        *lock(&self.newest) = Arc::downgrade(&wire);
        Ok([Way::ToBroker, Way::ToClient].map(|way| {
            let (inner, wire) = (Arc::clone(self), Arc::clone(&wire));
            thread::spawn(move || {
                inner.pump(&wire, way, shape);
                let mut fate = lock(&wire.fate);
                fate.over |= fate.shut == [true, true];
            })
        }))
    }

    fn draw(&self) -> (Shape, Option<Doom>) {
        let Some(faults) = &self.faults else {
            return (Shape::Clear, None);
        };
        let mut faults = lock(faults);
        let shape = Shape::draw(&mut faults.rng);
        let early = std::mem::take(&mut faults.early);
        let doom = early.then(|| Doom::draw_early(&mut faults.rng));
        (shape, doom)
    }

    /// One way of a connection, until the connection is over.
    fn pump(&self, wire: &Wire, way: Way, mut shape: Shape) {
        let head = |point| Head::new(&self.tape, self.side, wire.number, point, self.version);
        let (mut from, mut to, mut said, mut passed) = match way {
            Way::ToBroker => (&wire.client, &wire.broker, None, head(Point::ToBroker)),
            Way::ToClient => {
                let said = Some(head(Point::Said));
                (&wire.broker, &wire.client, said, head(Point::ToClient))
            }
        };
        let mut buffer = vec![0; 16 * 1024];
        while !self.is_over(wire) {
            let bytes = match from.read(&mut buffer) {
                Ok(0) => {
                    let _ = to.shutdown(Shutdown::Write);
                    lock(&wire.fate).shut[way as usize] = true;
                    return;
                }
                Ok(count) => &buffer[..count],
                Err(error) if is_a_look(&error) => continue,
                Err(_) => break,
            };
            if let Some(said) = &mut said {
                // What a killed one had said and not stored, it does not know of any more.
                if !self.keeper.stored(wire.life) {
                    break;
                }
                said.hear(bytes);
            }
            let write = |piece: &[u8]| {
                let piece = wire.until_doom(way, piece);
                // What is written is on record before who reads it can answer.
                passed.hear(piece);
                to.write_all(piece).is_ok() && wire.meet_doom(way) && !self.is_over(wire)
            };
            if !shape.pass(bytes, write) {
                break;
            }
        }
        lock(&wire.fate).over = true;
    }

    fn is_over(&self, wire: &Wire) -> bool {
        self.over.load(Ordering::SeqCst) || wire.is_over()
    }
}

impl Wire {
    fn is_over(&self) -> bool {
        let mut fate = lock(&self.fate);
        if !fate.over && fate.reset_at.is_some_and(|at| at <= Instant::now()) {
            fate.over = true;
            for stream in [&self.client, &self.broker] {
                // Closing it, when the last pump has let go of it, is a reset then.
                let _ = set_socket_linger(stream, Some(Duration::ZERO));
            }
        }
        fate.over
    }

    /// The part of this that still passes.
    fn until_doom<'b>(&self, way: Way, piece: &'b [u8]) -> &'b [u8] {
        let mut fate = lock(&self.fate);
        if fate.shut[way as usize] {
            return &[];
        }
        match &mut fate.doom {
            Some(doom) if doom.way == way => {
                let count = piece.len().min(doom.after);
                doom.after -= count;
                &piece[..count]
            }
            _ => piece,
        }
    }

    /// Whether the connection goes on.
    fn meet_doom(&self, way: Way) -> bool {
        let mut fate = lock(&self.fate);
        let due = fate.doom.filter(|doom| doom.way == way && doom.after == 0);
        let Some(doom) = due else {
            return true;
        };
        fate.doom = None;
        fate.doomed = true;
        self.cuts.fetch_add(1, Ordering::SeqCst);
        match doom.cut {
            Cut::Reset => fate.reset_at = Some(Instant::now()),
            Cut::Close => {
                let _ = self.client.shutdown(Shutdown::Write);
                let _ = self.broker.shutdown(Shutdown::Write);
                return false;
            }
            Cut::HalfClose => {
                fate.shut[way as usize] = true;
                let to = match way {
                    Way::ToBroker => &self.broker,
                    Way::ToClient => &self.client,
                };
                let _ = to.shutdown(Shutdown::Write);
            }
            Cut::Deaf => {
                fate.shut[way as usize] = true;
                fate.reset_at = Some(Instant::now() + DEAF);
            }
            Cut::Mute => fate.shut = [true, true],
        }
        true
    }
}

/// Nothing came, which is the time to look at other things.
fn is_a_look(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
