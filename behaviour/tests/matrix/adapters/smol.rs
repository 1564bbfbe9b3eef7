//! `mqtt-async-std` on `smol`'s global executor, which lives as long as the process.

use std::io;

use mqtt_async_std::{Answers, BuildError, Client, Config};
use mqtt_behaviour::{Adapter, Connecting, Running, Visitor};

struct OnSmol;

pub(crate) fn global() -> io::Result<Box<dyn Adapter>> {
    Ok(Box::new(OnSmol))
}

impl Adapter for OnSmol {
    fn connect(&self, servers: &str, config: Config) -> Connecting {
        let servers = servers.to_owned();
        Box::pin(async move { mqtt_async_std::connect(&servers, config).await })
    }

    fn connect_with(&self, servers: &str, config: Config, answers: Answers) -> Connecting {
        let servers = servers.to_owned();
        Box::pin(async move { mqtt_async_std::connect_with(&servers, config, answers).await })
    }

    fn start(&self, servers: &str, config: Config) -> Result<Client, BuildError> {
        mqtt_async_std::start(servers, config)
    }

    fn build(&self, servers: &str, config: Config) -> Result<(Client, Running), BuildError> {
        let (client, driver) = mqtt_async_std::build(servers, config)?;
        // Dropping the task drops the driver.
        Ok((client, Running::new(::smol::spawn(driver), ())))
    }

    fn authenticator(&self, visitor: Visitor) -> Answers {
        mqtt_async_std::authenticator(visitor)
    }
}
