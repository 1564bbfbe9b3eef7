//! `mqtt-async-std` on async-std's executor, which lives as long as the process.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::async_std::task::{self, JoinHandle};
use mqtt_async_std::{Answers, BuildError, Client, Config, async_std};
use mqtt_behaviour::{Adapter, Connecting, Running, Visitor};

struct OnAsyncStd;

pub(crate) fn global() -> io::Result<Box<dyn Adapter>> {
    Ok(Box::new(OnAsyncStd))
}

/// A task that ends with its handle.
struct Task(Option<JoinHandle<()>>);

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(task) => Pin::new(task).poll(context),
            None => Poll::Pending,
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            // Cancels at once; the end of it is nobody's concern.
            drop(task::spawn(task.cancel()));
        }
    }
}

impl Adapter for OnAsyncStd {
    fn connect(&self, servers: &str, config: Config) -> Connecting {
        let servers = servers.to_owned();
        Box::pin(async move { async_std::connect(&servers, config).await })
    }

    fn connect_with(&self, servers: &str, config: Config, answers: Answers) -> Connecting {
        let servers = servers.to_owned();
        Box::pin(async move { async_std::connect_with(&servers, config, answers).await })
    }

    fn start(&self, servers: &str, config: Config) -> Result<Client, BuildError> {
        async_std::start(servers, config)
    }

    fn build(&self, servers: &str, config: Config) -> Result<(Client, Running), BuildError> {
        let (client, driver) = mqtt_async_std::build(servers, config)?;
        let task = Task(Some(task::spawn(driver)));
        Ok((client, Running::new(task, ())))
    }

    fn authenticator(&self, visitor: Visitor) -> Answers {
        mqtt_async_std::authenticator(visitor)
    }
}
