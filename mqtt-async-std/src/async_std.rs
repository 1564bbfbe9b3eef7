//! Drivers as tasks of async-std's executor, for programs that still use it.
//!
//! async-std is not developed further, and points to `smol`: see [which to choose](crate#which-runtime).

use crate::{
    Answers, BuildError, Client, Config, ConnectError, EndpointError, Servers, build, build_with,
};

/// Connects to a server, or to the first of several that accepts: looks the name up, tries its addresses, and waits for CONNACK. The
/// driver is spawned on async-std's executor.
///
/// The servers are a URL (`mqtt://host` or `mqtt://host:port`), several with commas between them, or [`Servers`].
///
/// Dropping the future gives the attempt up.
///
/// ```no_run
/// use mqtt_async_std::{Config, QoS};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// async_std::task::block_on(async {
///     let config = Config::builder("sensor-7").build()?;
///     let client = mqtt_async_std::async_std::connect("mqtt://localhost", config).await?;
///     client.publish("readings/7", QoS::AtLeastOnce, "21.5").await?.await?;
///     client.disconnect(std::time::Duration::from_secs(2)).await;
///     Ok(())
/// })
/// # }
/// ```
///
/// # Errors
///
/// A URL is none, the configuration asks for records (`durability`), which this driver has no store for, or no server accepts; then the last
/// error.
pub async fn connect(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
) -> Result<Client, ConnectError> {
    connect_with(servers, config, Answers::new()).await
}

/// The same, with functions that answer what the session asks the application for: fresh credentials before each attempt, say.
///
/// ```no_run
/// use mqtt_async_std::{Answers, Config, Credentials};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let answers = Answers::new().credentials(|_server| async {
///     let token = async_std::fs::read_to_string("/run/secrets/token").await?;
///     let token = token.trim_end().to_owned(); // without the line's end
///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Credentials::new("sensor-7", token)?)
/// });
/// let servers = "mqtt://a.example, mqtt://b.example";
/// let config = Config::builder("sensor-7").build()?;
/// let client = mqtt_async_std::async_std::connect_with(servers, config, answers).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As for [`connect`].
pub async fn connect_with(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
    answers: Answers,
) -> Result<Client, ConnectError> {
    let (client, driver) = build_with(servers, config, answers)?;
    async_std::task::spawn(driver);
    client.connect().await?;
    Ok(client)
}

/// Begins to connect and returns at once. The session keeps trying; what is published and subscribed meanwhile waits. The driver is
/// spawned on async-std's executor.
///
/// # Errors
///
/// A URL names no server, or the configuration asks for records (`durability`), which this driver has no store for.
pub fn start(
    servers: impl TryInto<Servers, Error: Into<EndpointError>>,
    config: Config,
) -> Result<Client, BuildError> {
    let (client, driver) = build(servers, config)?;
    client.start();
    async_std::task::spawn(driver);
    Ok(client)
}
