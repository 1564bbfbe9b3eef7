//! `mqtt-async-std` without a runtime's feature: drivers on an executor that the application runs, in one thread.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use ::smol::Executor;
use ::smol::channel::{Sender, bounded};
use mqtt_async_std::{
    Answers, BuildError, Client, Config, Driver, Endpoint, build_with, build_with_dialer,
};
use mqtt_behaviour::{Adapter, Connecting, Running, Visitor};

struct OnOwn {
    dials: bool,
    executor: Arc<Executor<'static>>,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn own() -> io::Result<Box<dyn Adapter>> {
    run(false)
}

/// The same with a dialer.
pub(crate) fn own_dialer() -> io::Result<Box<dyn Adapter>> {
    run(true)
}

fn run(dials: bool) -> io::Result<Box<dyn Adapter>> {
    let executor = Arc::new(Executor::new());
    let (stop, stopped) = bounded(1);
    let running = Arc::clone(&executor);
    let thread = thread::spawn(move || {
        // Closed: that is how it is told.
        let _ = ::smol::block_on(running.run(stopped.recv()));
    });
    Ok(Box::new(OnOwn {
        dials,
        executor,
        stop,
        thread: Some(thread),
    }))
}

async fn dial(server: Endpoint) -> io::Result<::smol::net::TcpStream> {
    let tcp = ::smol::net::TcpStream::connect((server.host(), server.port())).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

fn build(
    dials: bool,
    servers: &str,
    config: Config,
    answers: Answers,
) -> Result<(Client, Driver), BuildError> {
    if dials {
        build_with_dialer(servers, config, answers, dial)
    } else {
        build_with(servers, config, answers)
    }
}

impl Drop for OnOwn {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the executor's thread ends");
        }
    }
}

impl Adapter for OnOwn {
    fn connect(&self, servers: &str, config: Config) -> Connecting {
        self.connect_with(servers, config, Answers::new())
    }

    fn connect_with(&self, servers: &str, config: Config, answers: Answers) -> Connecting {
        let (executor, servers) = (Arc::clone(&self.executor), servers.to_owned());
        let dials = self.dials;
        Box::pin(async move {
            let (client, driver) = build(dials, &servers, config, answers)?;
            executor.spawn(driver).detach();
            client.connect().await?;
            Ok(client)
        })
    }

    fn start(&self, servers: &str, config: Config) -> Result<Client, BuildError> {
        let (client, driver) = build(self.dials, servers, config, Answers::new())?;
        client.start();
        self.executor.spawn(driver).detach();
        Ok(client)
    }

    fn build(&self, servers: &str, config: Config) -> Result<(Client, Running), BuildError> {
        let (client, driver) = build(self.dials, servers, config, Answers::new())?;
        Ok((client, Running::new(self.executor.spawn(driver), ())))
    }

    fn authenticator(&self, visitor: Visitor) -> Answers {
        mqtt_async_std::authenticator(visitor)
    }
}
