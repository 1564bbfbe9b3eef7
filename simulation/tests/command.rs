//! What the command line says of bad arguments.

use std::process::{Command, Output};

fn simulation(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mqtt-simulation"))
        .args(args)
        .output()
        .expect("the program starts")
}

#[test]
fn bad_arguments_are_errors_that_name_them() {
    for args in [
        ["--seeds", "5..1"],
        ["--seeds", "3..3"],
        ["--seeds", "3"],
        ["--seeds", "a..3"],
        ["--survey", "5..1"],
        ["--seed", "abc"],
        ["--shrink", "abc"],
        ["--minutes", "-1"],
        ["--case", "no-such-file"],
    ] {
        let output = simulation(&args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{args:?}");
        assert!(
            text.starts_with(&format!("error: {}: ", args.join(" "))),
            "{args:?}: {text}"
        );
    }
    assert!(!simulation(&[]).status.success());
    assert!(!simulation(&["--sed", "1"]).status.success());
}

#[test]
fn help_prints_the_usage() {
    let output = simulation(&["--help"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("--seeds 0..5000"));
}

#[test]
fn seeds_are_run() {
    assert!(simulation(&["--seeds", "3..4"]).status.success());
}
