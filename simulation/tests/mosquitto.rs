//! The same packets to the model broker and to mosquitto, a broker that nobody here wrote: both must answer alike. Where it is not installed
//! the scenarios are shown as ignored, unless `MQTT_REQUIRE_ALL` is set: then that is a failure.

#[allow(dead_code, unreachable_pub, reason = "written for other tests as well")]
#[path = "../../mqtt-tokio/tests/mosquitto/broker.rs"]
mod broker;
#[path = "mosquitto/net.rs"]
mod net;
#[path = "mosquitto/scenarios.rs"]
mod scenarios;
#[path = "mosquitto/script.rs"]
mod script;

use libtest_mimic::{Arguments, Trial};
use mqtt_proto::Version;

use broker::Mosquitto;
use net::{Model, Net, Sockets};
use scenarios::SCENARIOS;
use script::Script;

fn main() {
    let args = Arguments::from_args();
    let required = std::env::var_os("MQTT_REQUIRE_ALL").is_some();
    let missing = broker::program().is_none() && !required;
    let trials = SCENARIOS.iter().flat_map(|scenario| {
        let versions = [Version::V3_1_1, Version::V5].into_iter();
        let versions = versions.filter(|version| version.is_v5() || !scenario.only_v5);
        versions.map(move |version| {
            let name = format!("{} in {version}", scenario.name);
            Trial::test(name, move || Ok(agree(scenario.play, version)?)).with_ignored_flag(missing)
        })
    });
    let trials: Vec<_> = trials.collect();
    let conclusion = libtest_mimic::run(&args, trials);
    if missing {
        println!(
            "not run: the scenarios against mosquitto, which is not installed (Debian's package `mosquitto`)"
        );
    }
    conclusion.exit();
}

fn agree(play: fn(&mut Script<'_>), version: Version) -> Result<(), String> {
    let mosquitto = Mosquitto::start("").map_err(|error| error.to_string())?;
    let told = |net: &mut dyn Net| {
        let mut script = Script::new(net, version);
        play(&mut script);
        script.told()
    };
    let theirs = told(&mut Sockets::new(mosquitto.addr()));
    let ours = told(&mut Model::new());
    if ours == theirs {
        return Ok(());
    }
    let lines = |told: &[String]| told.join("\n    ");
    Err(format!(
        "mosquitto:\n    {}\n  the model broker:\n    {}",
        lines(&theirs),
        lines(&ours)
    ))
}
