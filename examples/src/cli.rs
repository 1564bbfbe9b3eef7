//! What the small command line programs have in common.

use std::error::Error;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use mqtt_proto::{QoS, Version};
use pico_args::Arguments;

/// Where the programs connect when they are not told.
pub const DEFAULT_BROKER: &str = "mqtt://127.0.0.1:1883";

/// Options that the programs share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// `--broker URL`.
    pub broker: String,
    /// `--version 3.1|3.1.1|5.0`, which is the default.
    pub version: Version,
    /// `--qos 0|1|2`; 1 is the default.
    pub qos: QoS,
}

impl Common {
    /// Takes the options out of the arguments.
    ///
    /// # Errors
    ///
    /// When a value is missing or is not one of those that the option has.
    pub fn take(args: &mut Arguments) -> Result<Self, pico_args::Error> {
        Ok(Self {
            broker: broker(args)?,
            version: args
                .opt_value_from_fn("--version", version)?
                .unwrap_or(Version::V5),
            qos: args
                .opt_value_from_fn("--qos", qos)?
                .unwrap_or(QoS::AtLeastOnce),
        })
    }
}

/// Takes `--broker URL` alone.
///
/// # Errors
///
/// When the value is missing.
pub fn broker(args: &mut Arguments) -> Result<String, pico_args::Error> {
    let broker = args.opt_value_from_str("--broker")?;
    Ok(broker.unwrap_or_else(|| DEFAULT_BROKER.to_owned()))
}

/// Refuses arguments that nobody took.
///
/// # Errors
///
/// When there are some.
pub fn nothing_left(args: Arguments) -> Result<(), String> {
    match args.finish().as_slice() {
        [] => Ok(()),
        [first, ..] => Err(format!("unexpected argument {first:?}")),
    }
}

/// Runs a program: help on request, an error as one line on standard error and a failure.
pub async fn main(
    usage: &str,
    run: impl AsyncFnOnce(Arguments) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    let mut args = Arguments::from_env();
    if args.contains(["-h", "--help"]) {
        print!("{usage}");
        return ExitCode::SUCCESS;
    }
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            if error.is::<pico_args::Error>() {
                eprint!("\n{usage}");
            }
            ExitCode::FAILURE
        }
    }
}

/// A name that no other process has, short enough for a client identifier of 3.1 (23 bytes) if
/// `prefix` has at most 9.
#[must_use]
pub fn unique_id(prefix: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let process = u64::from(std::process::id()) & 0xff_ffff;
    let moment = now.as_micros() as u64 & 0xffff_ffff;
    format!("{prefix}{process:06x}{moment:08x}")
}

fn qos(text: &str) -> Result<QoS, &'static str> {
    let number = text.parse().ok();
    number.and_then(QoS::from_u8).ok_or("QoS is 0, 1 or 2")
}

fn version(text: &str) -> Result<Version, &'static str> {
    match text {
        "3.1" => Ok(Version::V3_1),
        "3.1.1" => Ok(Version::V3_1_1),
        "5" | "5.0" => Ok(Version::V5),
        _ => Err("the versions are 3.1, 3.1.1 and 5.0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(args: &[&str]) -> Result<Common, pico_args::Error> {
        let args = args.iter().map(Into::into).collect();
        Common::take(&mut Arguments::from_vec(args))
    }

    #[test]
    fn the_defaults_are_a_local_broker_5_0_and_qos_1() {
        let expected = Common {
            broker: DEFAULT_BROKER.to_owned(),
            version: Version::V5,
            qos: QoS::AtLeastOnce,
        };
        assert_eq!(take(&[]).unwrap(), expected);
    }

    #[test]
    fn each_option_is_taken() {
        let args = ["--qos", "2", "--broker", "mqtt://h", "--version", "3.1.1"];
        let common = take(&args).unwrap();
        assert_eq!(common.broker, "mqtt://h");
        assert_eq!(
            (common.version, common.qos),
            (Version::V3_1_1, QoS::ExactlyOnce)
        );
    }

    #[test]
    fn a_value_that_does_not_exist_is_refused() {
        assert!(take(&["--qos", "3"]).is_err());
        assert!(take(&["--version", "4"]).is_err());
    }

    #[test]
    fn client_identifiers_differ_between_calls_and_are_short_enough_for_3_1() {
        let first = unique_id("subscribe");
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_ne!(first, unique_id("subscribe"));
        assert!(first.len() <= 23);
    }
}
