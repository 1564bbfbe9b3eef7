//! The client of mosquitto's scripts, by `mqtt-tokio`.

#[path = "../../../behaviour/tests/matrix/adapters/tokio.rs"]
#[allow(dead_code, reason = "the matrix uses more of it")]
mod tokio;

use std::process::ExitCode;

fn main() -> ExitCode {
    mqtt_judged::main(tokio::multi_thread)
}
