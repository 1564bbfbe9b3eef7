//! The client of mosquitto's scripts, by `mqtt-blocking`.

#[path = "../../../behaviour/tests/matrix/adapters/blocking.rs"]
#[allow(dead_code, reason = "the matrix uses more of it")]
mod blocking;

use std::process::ExitCode;

fn main() -> ExitCode {
    mqtt_judged::main(blocking::threads)
}
