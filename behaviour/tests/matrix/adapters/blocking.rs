//! `mqtt-blocking`, a thread for each client: its driver, and the handle behind the one that waits.

use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mqtt_behaviour::{Adapter, Connecting, Running, Visitor};
use mqtt_blocking::{BuildError, Driver, build_with};
use mqtt_session::Config;
use mqtt_session::client::exports;
use mqtt_session::client::{Answers, Client};

struct OnThreads {
    /// The streams come from a dialer of the application's.
    dials: bool,
}

pub(crate) fn threads() -> io::Result<Box<dyn Adapter>> {
    Ok(Box::new(OnThreads { dials: false }))
}

pub(crate) fn own_dialer() -> io::Result<Box<dyn Adapter>> {
    Ok(Box::new(OnThreads { dials: true }))
}

impl OnThreads {
    fn answers(&self, answers: Answers) -> mqtt_blocking::Answers {
        let answers = mqtt_blocking::Answers::from(answers);
        if !self.dials {
            return answers;
        }
        answers.dialer(|server| TcpStream::connect((server.host(), server.port()))?.try_into())
    }
}

/// A driver's thread, which lets go of it when this is dropped.
struct Task {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How long a thread may take to see that it is to stop.
const SOON: Duration = Duration::from_millis(5);

fn spawn(mut driver: Driver) -> (Ended, Task) {
    let (stop, ended) = (Arc::new(AtomicBool::new(false)), Ended::default());
    let (stopped, ending) = (Arc::clone(&stop), ended.clone());
    let thread = thread::spawn(move || {
        while !driver.run_for(SOON) && !stopped.load(Ordering::Acquire) {}
        drop(driver);
        ending.tell();
    });
    let thread = Some(thread);
    (ended, Task { stop, thread })
}

impl Drop for Task {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the driver's thread ends");
        }
    }
}

/// Resolves when the driver has ended.
#[derive(Clone, Default)]
struct Ended(Arc<Mutex<(bool, Option<Waker>)>>);

impl Ended {
    fn tell(&self) {
        let mut state = self.0.lock().expect("no panic under it");
        state.0 = true;
        state.1.take().into_iter().for_each(Waker::wake);
    }
}

impl Future for Ended {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().expect("no panic under it");
        state.1 = Some(context.waker().clone());
        if state.0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Adapter for OnThreads {
    fn connect(&self, servers: &str, config: Config) -> Connecting {
        self.connect_with(servers, config, Answers::new())
    }

    fn connect_with(&self, servers: &str, config: Config, answers: Answers) -> Connecting {
        let (servers, answers) = (servers.to_owned(), self.answers(answers));
        Box::pin(async move {
            let (client, driver) = build_with(&servers, config, answers).map_err(error)?;
            thread::spawn(|| driver.run());
            let client = client.as_async().clone();
            client.connect().await?;
            Ok(client)
        })
    }

    fn start(&self, servers: &str, config: Config) -> Result<Client, exports::BuildError> {
        let answers = self.answers(Answers::new());
        let client = mqtt_blocking::start_with(servers, config, answers).map_err(error)?;
        Ok(client.as_async().clone())
    }

    fn build(
        &self,
        servers: &str,
        config: Config,
    ) -> Result<(Client, Running), exports::BuildError> {
        let answers = self.answers(Answers::new());
        let (client, driver) = build_with(servers, config, answers).map_err(error)?;
        let (ended, task) = spawn(driver);
        Ok((client.as_async().clone(), Running::new(ended, task)))
    }

    fn authenticator(&self, visitor: Visitor) -> Answers {
        mqtt_blocking::Answers::new()
            .authenticator(visitor)
            .into_async()
    }
}

/// As the other adapters have it.
fn error(error: BuildError) -> exports::BuildError {
    match error {
        BuildError::Endpoint(error) => error.into(),
        BuildError::Config(error) => error.into(),
        other => panic!("{other}"),
    }
}
