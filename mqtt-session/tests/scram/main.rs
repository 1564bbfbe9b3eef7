//! SCRAM: the examples of its RFCs, servers that cheat, and the model broker.

mod broker;
#[path = "../pair/mod.rs"]
mod pair;
mod server;

use base64ct::{Base64, Encoding};
use mqtt_session::Fault;
use mqtt_session::auth::{AuthError, AuthInput, Authenticator, Mechanism, Scram};
use mqtt_session::proto::{Properties, ReasonCode};

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

struct Vector {
    mechanism: Mechanism,
    nonce: &'static str,
    client_first: &'static str,
    server_first: &'static str,
    client_final: &'static str,
    server_final: &'static str,
}

const VECTORS: [Vector; 3] = [
    // RFC 5802, section 5.
    Vector {
        mechanism: Mechanism::Sha1,
        nonce: "fyko+d2lbbFgONRv9qkxdawL",
        client_first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        server_first: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    // RFC 7677, section 3.
    Vector {
        mechanism: Mechanism::Sha256,
        nonce: NONCE,
        client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
    // No RFC has one: computed from section 3 of RFC 5802 by a program in another language, which also gives the two above.
    Vector {
        mechanism: Mechanism::Sha512,
        nonce: NONCE,
        client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
        server_final: "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
    },
];

fn scram(mechanism: Mechanism, nonce: &'static str) -> Scram {
    let random = move || Ok(Base64::decode_vec(nonce).expect("base64"));
    Scram::new(mechanism, "user", "pencil", random).expect("good credentials")
}

fn begin(scram: &mut Scram) -> String {
    text(&scram.begin(false).expect("it begins").data.expect("data"))
}

fn text(data: &[u8]) -> String {
    String::from_utf8(data.to_vec()).expect("text")
}

fn with_data(data: &[u8]) -> Properties {
    let properties = Properties::builder()
        .authentication_method("SCRAM")
        .authentication_data(data);
    properties.build().expect("good properties")
}

fn challenge(scram: &mut Scram, message: &str) -> Result<String, AuthError> {
    let properties = with_data(message.as_bytes());
    let answer = scram.challenge(AuthInput::new(properties.view()))?;
    Ok(text(&answer.data.expect("data")))
}

fn verify(scram: &mut Scram, message: &str) -> Result<(), AuthError> {
    let properties = with_data(message.as_bytes());
    scram.verify(AuthInput::new(properties.view()))
}

/// After CONNECT.
fn begun() -> Scram {
    let mut scram = scram(Mechanism::Sha256, NONCE);
    begin(&mut scram);
    scram
}

/// After the proof.
fn proved() -> Scram {
    let mut scram = begun();
    challenge(&mut scram, VECTORS[1].server_first).expect("a good challenge");
    scram
}

#[test]
fn the_examples_of_the_rfcs_come_out() {
    for vector in &VECTORS {
        let mut scram = scram(vector.mechanism, vector.nonce);
        assert_eq!(scram.method(), vector.mechanism.name());
        // Twice: the second time with the keys that were kept.
        for _ in 0..2 {
            assert_eq!(begin(&mut scram), vector.client_first);
            let answer = challenge(&mut scram, vector.server_first);
            assert_eq!(answer.as_deref(), Ok(vector.client_final));
            assert_eq!(verify(&mut scram, vector.server_final), Ok(()));
        }
    }
}

#[test]
fn a_wrong_signature_is_refused_whatever_is_wrong_with_it() {
    let right = Base64::decode_vec(&VECTORS[1].server_final[2..]).expect("base64");
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        let message = format!("v={}", Base64::encode_string(&wrong));
        let refused = verify(&mut proved(), &message);
        assert_eq!(refused, Err(AuthError::Signature), "byte {at}");
    }
    for wrong in [&right[..31], &[right.clone(), vec![0]].concat(), &[]] {
        let message = format!("v={}", Base64::encode_string(wrong));
        assert_eq!(verify(&mut proved(), &message), Err(AuthError::Signature));
    }
    // A signature of an earlier exchange, and one that comes too late.
    let mut scram = proved();
    assert_eq!(verify(&mut scram, VECTORS[1].server_final), Ok(()));
    assert!(verify(&mut scram, VECTORS[1].server_final).is_err());
}

#[test]
fn a_success_without_a_signature_is_none() {
    let none = Properties::new();
    let refused = proved().verify(AuthInput::new(none.view()));
    assert!(
        matches!(refused, Err(AuthError::Malformed(_))),
        "{refused:?}"
    );
    for message in ["", "v", "V=x", "v=!", "w=00", ",v=00"] {
        let refused = verify(&mut proved(), message);
        assert!(matches!(refused, Err(AuthError::Malformed(_))), "{message}");
    }
    // The server did not even ask for a proof.
    let refused = verify(&mut begun(), VECTORS[1].server_final);
    assert!(
        matches!(refused, Err(AuthError::Unexpected(_))),
        "{refused:?}"
    );
}

#[test]
fn the_servers_own_errors_are_told() {
    let refused = verify(&mut proved(), "e=invalid-proof");
    let error = AuthError::Refused("invalid-proof".into());
    assert_eq!(refused, Err(error.clone()));
    assert_eq!(error.fault(), Fault::Peer);
    let refused = challenge(&mut begun(), "e=unknown-user,x=y");
    assert_eq!(refused, Err(AuthError::Refused("unknown-user".into())));
}

#[test]
fn a_nonce_must_extend_ours() {
    for nonce in [
        "",
        "other",
        "rOprNGfwEbeRWgbNEkq",
        NONCE,
        "xrOprNGfwEbeRWgbNEkqO",
    ] {
        let message = format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let refused = challenge(&mut begun(), &message);
        assert_eq!(refused, Err(AuthError::Nonce), "{nonce}");
        assert_eq!(AuthError::Nonce.reason(), ReasonCode::PROTOCOL_ERROR);
    }
}

#[test]
fn too_few_or_too_many_iterations_are_refused_before_any_is_computed() {
    // That none is computed shows in that this test ends: four billion take half an hour.
    let ask = |scram: &mut Scram, iterations: &str| {
        challenge(
            scram,
            &format!("r={NONCE}x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i={iterations}"),
        )
    };
    let cases = [
        ("1", 1),
        ("4095", 4095),
        ("600001", 600_001),
        ("4294967295", 4_294_967_295),
        ("4294971392", 4_294_971_392), // 4,096 in the lower half
        ("99999999999999999999999", u64::MAX),
    ];
    for (text, iterations) in cases {
        let (min, max) = (4096, 600_000);
        let error = AuthError::Iterations {
            iterations,
            min,
            max,
        };
        assert_eq!(error.reason(), ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR);
        assert_eq!(ask(&mut begun(), text), Err(error));
    }
    let mut scram = scram(Mechanism::Sha256, NONCE).with_iterations(1..=10);
    self::begin(&mut scram);
    assert!(ask(&mut scram, "10").is_ok());
    self::begin(&mut scram);
    assert!(ask(&mut scram, "11").is_err());
}

#[test]
fn what_is_no_message_is_refused_as_malformed() {
    let messages = [
        "",
        "r=",
        "r=rOprNGfwEbeRWgbNEkqOx",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==",
        "r=rOprNGfwEbeRWgbNEkqOx,i=4096,s=W22ZaJ0SNY7soEsUEjb6gQ==",
        "s=W22ZaJ0SNY7soEsUEjb6gQ==,r=rOprNGfwEbeRWgbNEkqOx,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z!J0S,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=+4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=04096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096x",
        "r=rOprNGfwEbeRWgbNEkqO x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOé,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "m=must,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "M=must,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    ];
    for message in messages {
        let refused = challenge(&mut begun(), message);
        assert!(
            matches!(refused, Err(AuthError::Malformed(_))),
            "{message}: {refused:?}"
        );
    }
    for data in [&b"\xFF"[..], &[0; 65_535]] {
        let properties = with_data(data);
        let refused = begun().challenge(AuthInput::new(properties.view()));
        assert!(
            matches!(refused, Err(AuthError::Malformed(_))),
            "{refused:?}"
        );
    }
    let refused = begun().challenge(AuthInput::new(Properties::new().view()));
    assert!(
        matches!(refused, Err(AuthError::Malformed(_))),
        "{refused:?}"
    );
    // An extension that is not mandatory is passed over.
    assert!(challenge(&mut begun(), &format!("{},x=y", VECTORS[1].server_first)).is_ok());
}

#[test]
fn a_challenge_out_of_turn_is_refused() {
    let unexpected = |result| matches!(result, Err(AuthError::Unexpected(_)));
    let first = VECTORS[1].server_first;
    assert!(unexpected(challenge(
        &mut scram(Mechanism::Sha256, NONCE),
        first
    )));
    assert!(unexpected(challenge(&mut proved(), first)));
}

#[test]
fn names_are_prepared_and_escaped() {
    let random = || Ok(vec![7; 18]);
    let first = |name: &str| {
        let mut scram = Scram::new(Mechanism::Sha256, name, "pencil", random)?;
        let first = begin(&mut scram);
        Ok(first[5..first.len() - 27].to_owned())
    };
    assert_eq!(first("a,b=c"), Ok("a=2Cb=3Dc".into()));
    assert_eq!(first("=2C"), Ok("=3D2C".into()));
    // RFC 4013, section 3.
    assert_eq!(first("user"), Ok("user".into()));
    assert_eq!(first("USER"), Ok("USER".into()));
    let beyond = [
        ("I\u{AD}X", "IX"),
        ("\u{AA}", "a"),
        ("\u{2168}", "IX"),
        ("a\u{A0}b", "a b"),
    ];
    for (name, prepared) in beyond {
        if cfg!(feature = "saslprep") {
            assert_eq!(first(name), Ok(prepared.into()));
        } else {
            assert!(first(name).is_err());
        }
    }
    for name in ["", "\u{7}", "\u{627}\u{31}", "\u{AD}", "a\0b"] {
        let what = "user name";
        let refused = first(name);
        assert!(
            matches!(&refused, Err(AuthError::Credentials { what: w, .. }) if *w == what),
            "{name:?}: {refused:?}"
        );
        let password = Scram::new(Mechanism::Sha256, "user", name, random);
        assert!(password.is_err(), "{name:?}");
    }
}

#[test]
fn passwords_are_prepared_before_they_are_proved() {
    let prove = |password: &str| {
        let random = || Ok(Base64::decode_vec(NONCE).expect("base64"));
        let mut scram = Scram::new(Mechanism::Sha256, "user", password, random)?;
        begin(&mut scram);
        challenge(&mut scram, VECTORS[1].server_first)
    };
    assert_ne!(prove("IX"), prove("IY"));
    if cfg!(feature = "saslprep") {
        assert_eq!(prove("\u{2168}"), prove("IX"));
    }
}

#[test]
fn an_exchange_does_not_begin_without_a_nonce_of_its_own() {
    let mut short = Scram::new(Mechanism::Sha256, "user", "pencil", || Ok(vec![1; 11]))
        .expect("good credentials");
    assert!(matches!(short.begin(false), Err(AuthError::Failed(_))));
    let unavailable = AuthError::Unavailable("no randomness yet".into());
    let error = unavailable.clone();
    let mut none = Scram::new(Mechanism::Sha256, "user", "pencil", move || {
        Err(error.clone())
    })
    .expect("good credentials");
    assert_eq!(none.begin(false), Err(unavailable.clone()));
    assert!(unavailable.is_transient());
}

#[test]
fn the_password_is_not_shown() {
    let scram = proved();
    let shown = format!("{scram:?}");
    assert!(shown.contains("user"), "{shown}");
    assert!(!shown.contains("pencil"), "{shown}");
}

/// What is derived from the password is kept, for the salt and the iterations that it was derived with.
#[test]
fn an_exchange_with_another_salt_or_other_iterations_is_proved_with_keys_of_its_own() {
    let message = |salt: &str, iterations: u32| format!("r={NONCE}x,s={salt},i={iterations}");
    let (salt, other) = ("W22ZaJ0SNY7soEsUEjb6gQ==", "QSXCR+Q6sek8bf92");
    let mut kept = begun();
    for (salt, iterations) in [
        (salt, 4096),
        (salt, 4096),
        (salt, 4097),
        (other, 4097),
        (salt, 4096),
    ] {
        let message = message(salt, iterations);
        let proof = challenge(&mut begun(), &message).expect("a good challenge");
        assert_eq!(challenge(&mut kept, &message), Ok(proof), "{message}");
        begin(&mut kept);
    }
}
