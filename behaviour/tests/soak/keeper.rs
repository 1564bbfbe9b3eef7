//! A mosquitto that stores before it acknowledges.
//!
//! By itself it does not: it saves its whole database at the end of a turn of its loop, after the turn's answers have left, and
//! `autosave_on_changes` counts only some of the changes. But it saves on SIGUSR1, too, at the end of a turn, in one thread. So whatever was read from it
//! before a save began is covered by that save. The keeper holds back all that it says, on all connections, asks for a save, and lets it go when the
//! database file has been replaced: one save for all that has gathered. If it is killed meanwhile, what was held back is lost, as on a network.

use std::fs;
use std::io::{self, Error, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::Mosquitto;

/// More than there ever is in flight. Beyond its limits mosquitto 2.0.11 goes wrong: with each acknowledgement it takes as many from the queue as the limit
/// has, whatever is in flight; and what is beyond when it starts is put back into the queue, and published anew after its PUBREL.
const LINES: &str = "max_inflight_messages 5000\npersistence true\nautosave_interval 0\n";
/// For one save.
const SAVE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(5);
/// CONNECT of 3.1.1, without a keep-alive, as `save`.
const CONNECT: &[u8] = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04save";
const PINGREQ: &[u8] = b"\xC0\x00";

/// Which of the processes, one after the other.
pub(crate) type Life = usize;

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    saver: Option<JoinHandle<()>>,
}

struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    up: Option<Up>,
    /// For each process that has ended, whether it was asked to.
    ends: Vec<bool>,
    /// Saves that somebody waits for, that have begun, and that are done.
    asked: u64,
    begun: u64,
    done: u64,
    failed: bool,
    over: bool,
}

struct Up {
    process: Mosquitto,
    pid: Pid,
    /// Wakes it from its wait, so that it sees the signal.
    wake: Arc<TcpStream>,
}

/// What tells one database file from the one before. Two saves in one tick of the clock may look the same, which only delays.
type Stamp = Option<(u64, SystemTime)>;

impl Keeper {
    /// Starts the first process. Its database is in memory where the system has a folder for that: a process that is killed loses nothing there.
    pub(crate) fn start() -> io::Result<Self> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = parent.join(format!("mqtt-soak-{}-{count}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let shared = Arc::new(Shared {
            folder,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let saving = Arc::clone(&shared);
        let saver = Some(thread::spawn(move || saving.save_until_over()));
        let keeper = Self { shared, saver };
        keeper.begin()?;
        Ok(keeper)
    }

    /// A connection to the process that runs.
    pub(crate) fn connect(&self) -> io::Result<(TcpStream, Life)> {
        let state = self.shared.lock();
        let up = state.up.as_ref().ok_or(io::ErrorKind::ConnectionRefused)?;
        let stream = TcpStream::connect(up.process.addr())?;
        Ok((stream, state.ends.len()))
    }

    /// Waits until all that this process has said before is stored. `false` if it was killed before: then it has never said it.
    pub(crate) fn stored(&self, life: Life) -> bool {
        let mut state = self.shared.lock();
        let wanted = state.begun + 1;
        state.asked = state.asked.max(wanted);
        self.shared.changed.notify_all();
        loop {
            if let Some(orderly) = state.ends.get(life) {
                return *orderly;
            }
            if state.done >= wanted {
                return true;
            }
            if state.failed || state.over {
                return false;
            }
            state = self.shared.wait(state);
        }
    }

    /// SIGTERM, at which it stores and ends, and the next process.
    pub(crate) fn restart(&self) -> io::Result<()> {
        let mut state = self.shared.lock();
        if let Some(mut up) = state.up.take() {
            up.process.terminate()?;
        }
        state.ends.push(true);
        drop(state);
        self.shared.changed.notify_all();
        self.begin()
    }

    /// SIGKILL, and the next process.
    pub(crate) fn kill(&self) -> io::Result<()> {
        let mut state = self.shared.lock();
        // Dropping it kills it, and waits for its end.
        state.up = None;
        state.ends.push(false);
        drop(state);
        self.shared.changed.notify_all();
        self.begin()
    }

    /// How many saves there were.
    pub(crate) fn saves(&self) -> u64 {
        self.shared.lock().done
    }

    /// Whether it had to give up, as the broker did not save.
    pub(crate) fn failed(&self) -> bool {
        self.shared.lock().failed
    }

    fn begin(&self) -> io::Result<()> {
        let folder = self.shared.folder.display();
        let process = Mosquitto::start(&format!("{LINES}persistence_location {folder}/"))?;
        let mut wake = TcpStream::connect(process.addr())?;
        wake.set_nodelay(true)?;
        wake.set_read_timeout(Some(SAVE))?;
        wake.write_all(CONNECT)?;
        // It listens before it handles signals, and answers after that.
        let mut connack = [0; 4];
        wake.read_exact(&mut connack)?;
        wake.set_read_timeout(None)?;
        let pid = i32::try_from(process.id()).map_err(Error::other)?;
        let pid = Pid::from_raw(pid).ok_or_else(|| Error::other("a process without a number"))?;
        let wake = Arc::new(wake);
        let answers = Arc::clone(&wake);
        // Ends with the process.
        thread::spawn(move || io::copy(&mut &*answers, &mut io::sink()));
        self.shared.lock().up = Some(Up { process, pid, wake });
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.over = true;
            state.up = None;
        }
        self.shared.changed.notify_all();
        if let Some(saver) = self.saver.take() {
            let _ = saver.join();
        }
        let _ = fs::remove_dir_all(&self.shared.folder);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let limit = Duration::from_millis(100);
        let waited = self.changed.wait_timeout(state, limit);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn save_until_over(&self) {
        let mut state = self.lock();
        while !state.over {
            let Some(up) = state.up.as_ref().filter(|_| state.asked > state.begun) else {
                state = self.wait(state);
                continue;
            };
            let (pid, wake) = (up.pid, Arc::clone(&up.wake));
            let life = state.ends.len();
            state.begun += 1;
            let save = state.begun;
            drop(state);
            let before = self.stamp();
            let saved = self.until_replaced(before, || {
                // Under the lock, so that the process is still the one that it was.
                self.in_life(life, || {
                    kill_process(pid, Signal::USR1).is_ok() && (&*wake).write_all(PINGREQ).is_ok()
                })
            });
            state = self.lock();
            if saved {
                state.done = save;
            } else if state.ends.len() == life && !state.over {
                state.failed = true;
            }
            self.changed.notify_all();
        }
    }

    fn in_life(&self, life: Life, act: impl FnOnce() -> bool) -> bool {
        let state = self.lock();
        state.up.is_some() && state.ends.len() == life && act()
    }

    /// Asks until the file is another one: a signal that comes just behind a save is forgotten with the one that asked for that.
    fn until_replaced(&self, before: Stamp, ask: impl Fn() -> bool) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < SAVE {
            if !ask() {
                return false;
            }
            let asked = Instant::now();
            while asked.elapsed() < ASK_AGAIN {
                if self.stamp() != before {
                    return true;
                }
                thread::sleep(Duration::from_micros(100));
            }
        }
        false
    }

    fn stamp(&self) -> Stamp {
        let metadata = fs::metadata(self.folder.join("mosquitto.db")).ok()?;
        Some((metadata.ino(), metadata.modified().ok()?))
    }
}
