//! The client of mosquitto's scripts, by `mqtt-async-std`.

#[path = "../../../behaviour/tests/matrix/adapters/smol.rs"]
#[allow(dead_code, reason = "the matrix uses more of it")]
mod smol;

use std::process::ExitCode;

fn main() -> ExitCode {
    mqtt_judged::main(smol::global)
}
