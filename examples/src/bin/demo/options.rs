//! The command line.

use pico_args::Arguments;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Usage: demo [--broker URL | --serve] [--messages N]

  --broker URL    use this broker (mqtt://host:port) instead of one in this process
  --serve         leave the broker in this process running at the end, for `chat`
  --messages N    messages for each version and QoS (default 20,000; at least 200)
";

const DEFAULT_MESSAGES: u64 = 20_000;
/// Below this there would be nothing left to send before and after the cut.
const MIN_MESSAGES: u64 = 200;

pub(crate) struct Options {
    pub(crate) broker: Option<String>,
    pub(crate) serve: bool,
    pub(crate) messages: u64,
}

impl Options {
    /// `None` when only help was asked for.
    pub(crate) fn from_env() -> Result<Option<Self>, String> {
        Self::parse(Arguments::from_env())
    }

    fn parse(mut args: Arguments) -> Result<Option<Self>, String> {
        if args.contains(["-h", "--help"]) {
            return Ok(None);
        }
        let options = Self {
            serve: args.contains("--serve"),
            broker: args
                .opt_value_from_str("--broker")
                .map_err(|error| error.to_string())?,
            messages: args
                .opt_value_from_str("--messages")
                .map_err(|error| error.to_string())?
                .unwrap_or(DEFAULT_MESSAGES),
        };
        if let Some(extra) = args.finish().first() {
            return Err(format!("unexpected argument {extra:?}"));
        }
        if options.serve && options.broker.is_some() {
            return Err("--serve is about the embedded broker, which --broker replaces".to_owned());
        }
        if options.messages < MIN_MESSAGES {
            return Err(format!("--messages must be at least {MIN_MESSAGES}"));
        }
        Ok(Some(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Options>, String> {
        let args = args.iter().map(Into::into).collect();
        Options::parse(Arguments::from_vec(args))
    }

    #[test]
    fn without_arguments_the_broker_is_embedded_and_ends_with_the_demo() {
        let options = parse(&[]).unwrap().unwrap();
        assert_eq!((options.broker, options.serve), (None, false));
        assert_eq!(options.messages, DEFAULT_MESSAGES);
    }

    #[test]
    fn a_broker_and_a_number_of_messages_can_be_given() {
        let options = parse(&["--broker", "mqtt://h:1", "--messages", "200"]);
        let options = options.unwrap().unwrap();
        assert_eq!(options.broker.as_deref(), Some("mqtt://h:1"));
        assert_eq!(options.messages, 200);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            &["--serve", "--broker", "mqtt://h"][..],
            &["--messages", "199"],
            &["--messages", "many"],
            &["--broker"],
            &["surplus"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
