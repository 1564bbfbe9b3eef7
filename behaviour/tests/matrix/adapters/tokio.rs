//! `mqtt-tokio`, on either of its runtimes.

use std::io;
use std::thread::{self, JoinHandle};

use ::tokio::io::BufStream;
use ::tokio::net::TcpStream;
use ::tokio::runtime::{Builder, Handle, Runtime};
use ::tokio::sync::oneshot;
use ::tokio::task::AbortHandle;
use mqtt_behaviour::{Adapter, Connecting, Running, Visitor};
use mqtt_tokio::{Answers, BuildError, Client, Config, ConnectError, Endpoint, build_with_dialer};

struct OnTokio {
    handle: Handle,
    dials: bool,
    _runtime: Owner,
}

/// Whoever ends the runtime when it is dropped.
enum Owner {
    Thread(Option<oneshot::Sender<()>>, Option<JoinHandle<()>>),
    Pool(Option<Runtime>),
}

/// One thread, which runs everything.
pub(crate) fn current_thread() -> io::Result<Box<dyn Adapter>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel();
    let thread = thread::spawn(move || {
        // Told, or nobody is there any more to tell.
        let _ = runtime.block_on(stopped);
    });
    let _runtime = Owner::Thread(Some(stop), Some(thread));
    Ok(Box::new(OnTokio {
        handle,
        dials: false,
        _runtime,
    }))
}

/// Two worker threads.
pub(crate) fn multi_thread() -> io::Result<Box<dyn Adapter>> {
    pool(false)
}

/// The same with a dialer, which gives streams that have to be flushed.
pub(crate) fn own_dialer() -> io::Result<Box<dyn Adapter>> {
    pool(true)
}

fn pool(dials: bool) -> io::Result<Box<dyn Adapter>> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build()?;
    let handle = runtime.handle().clone();
    let _runtime = Owner::Pool(Some(runtime));
    Ok(Box::new(OnTokio {
        handle,
        dials,
        _runtime,
    }))
}

async fn dial(server: Endpoint) -> io::Result<BufStream<TcpStream>> {
    let tcp = TcpStream::connect((server.host(), server.port())).await?;
    tcp.set_nodelay(true)?;
    Ok(BufStream::new(tcp))
}

impl Drop for Owner {
    fn drop(&mut self) {
        match self {
            Self::Thread(stop, thread) => {
                drop(stop.take());
                if let Some(thread) = thread.take() {
                    thread.join().expect("the runtime's thread ends");
                }
            }
            // A lookup that was given up may still run.
            Self::Pool(runtime) => runtime
                .take()
                .into_iter()
                .for_each(Runtime::shutdown_background),
        }
    }
}

/// A task that ends with its handle.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Adapter for OnTokio {
    fn connect(&self, servers: &str, config: Config) -> Connecting {
        if self.dials {
            return self.connect_with(servers, config, Answers::new());
        }
        let servers = servers.to_owned();
        self.run(async move { mqtt_tokio::connect(&servers, config).await })
    }

    fn connect_with(&self, servers: &str, config: Config, answers: Answers) -> Connecting {
        let servers = servers.to_owned();
        if self.dials {
            return self.run(async move {
                let (client, driver) = build_with_dialer(&servers, config, answers, dial)?;
                ::tokio::spawn(driver);
                client.connect().await?;
                Ok(client)
            });
        }
        self.run(async move { mqtt_tokio::connect_with(&servers, config, answers).await })
    }

    fn start(&self, servers: &str, config: Config) -> Result<Client, BuildError> {
        let _entered = self.handle.enter();
        if self.dials {
            let (client, driver) = build_with_dialer(servers, config, Answers::new(), dial)?;
            client.start();
            self.handle.spawn(driver);
            return Ok(client);
        }
        mqtt_tokio::start(servers, config)
    }

    fn build(&self, servers: &str, config: Config) -> Result<(Client, Running), BuildError> {
        let _entered = self.handle.enter();
        let (client, driver) = if self.dials {
            build_with_dialer(servers, config, Answers::new(), dial)?
        } else {
            mqtt_tokio::build(servers, config)?
        };
        let driver = self.handle.spawn(driver);
        let task = Task(driver.abort_handle());
        let ended = async { driver.await.expect("the driver ends") };
        Ok((client, Running::new(ended, task)))
    }

    fn authenticator(&self, visitor: Visitor) -> Answers {
        mqtt_tokio::authenticator(visitor)
    }

    fn tasks(&self) -> Option<usize> {
        Some(self.handle.metrics().num_alive_tasks())
    }
}

impl OnTokio {
    fn run(
        &self,
        connecting: impl Future<Output = Result<Client, ConnectError>> + Send + 'static,
    ) -> Connecting {
        let connecting = self.handle.spawn(connecting);
        let task = Task(connecting.abort_handle());
        Box::pin(async move {
            let connected = connecting.await.expect("connecting does not panic");
            drop(task);
            connected
        })
    }
}
