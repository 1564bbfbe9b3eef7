//! A session that authenticates, and what a test says to it.

use mqtt_session::auth::AuthStep;
use mqtt_session::proto::{Auth, ConnAck, Packet, Properties, PropertiesRef, ReasonCode, Version};
use mqtt_session::{
    Action, Attempt, ConfigBuilder, ConnectionError, Event, Phase, ReauthenticateError, Token,
    Violation,
};

use super::config;
use super::raw::Raw;

pub const METHOD: &str = "CHALLENGE";
pub const CONTINUE: ReasonCode = ReasonCode::CONTINUE_AUTHENTICATION;

pub fn authenticating() -> ConfigBuilder {
    config(Version::V5).authentication_method(METHOD)
}

pub fn properties(method: Option<&str>, data: Option<&str>) -> Properties {
    let mut properties = Properties::builder();
    if let Some(method) = method {
        properties = properties.authentication_method(method);
    }
    if let Some(data) = data {
        properties = properties.authentication_data(data.as_bytes());
    }
    properties.build().expect("good properties")
}

pub fn with_data(data: &str) -> Properties {
    properties(Some(METHOD), Some(data))
}

pub fn auth(reason: ReasonCode, properties: Properties) -> Packet {
    Packet::Auth(Auth { reason, properties })
}

pub fn challenge(data: &str) -> Packet {
    auth(CONTINUE, with_data(data))
}

pub fn success(data: &str) -> Packet {
    auth(ReasonCode::SUCCESS, with_data(data))
}

pub fn connack(properties: Properties) -> Packet {
    Packet::ConnAck(ConnAck {
        session_present: false,
        reason: ReasonCode::SUCCESS,
        properties,
    })
}

pub fn data_of(properties: PropertiesRef<'_>) -> (Option<&str>, Option<&str>) {
    let data = properties.authentication_data();
    let data = data.map(|data| std::str::from_utf8(data).expect("text"));
    (properties.authentication_method(), data)
}

/// The step that was asked for last, which must be new.
pub fn step(raw: &mut Raw) -> (Attempt, AuthStep) {
    raw.poll();
    let last = raw.actions.pop().expect("an action");
    match last {
        Action::Authenticate { attempt, step } => (attempt, step),
        other => panic!("{other:?}"),
    }
}

pub fn answer(raw: &mut Raw, data: &'static str) {
    let (id, _) = step(raw);
    raw.session
        .handle_auth(raw.now, id, Ok(data.as_bytes().into()));
    raw.poll();
}

/// Dialled and opened: the first step is asked for.
pub fn opened(config: ConfigBuilder) -> Raw {
    let mut raw = Raw::new(config);
    raw.session.start(raw.now);
    raw.poll();
    let attempt = raw.attempt.expect("an attempt");
    raw.session.handle_opened(raw.now, attempt);
    raw
}

/// CONNECT is sent.
pub fn begun() -> Raw {
    let mut raw = opened(authenticating());
    answer(&mut raw, "me");
    assert_eq!(raw.packets().len(), 1);
    raw
}

/// CONNACK was taken.
pub fn authenticated() -> Raw {
    let mut raw = begun();
    raw.feed(&connack(with_data("welcome")));
    answer(&mut raw, "");
    assert_eq!(raw.session.phase(), Phase::Connected);
    raw
}

/// A re-authentication has begun, and the server has our AUTH.
pub fn again() -> (Raw, Token) {
    let mut raw = authenticated();
    let token = raw.session.reauthenticate(raw.now).expect("it begins");
    answer(&mut raw, "me again");
    assert_eq!(raw.lines(), ["AUTH"]);
    (raw, token)
}

pub fn outcome(raw: &Raw, token: Token) -> Option<Result<(), ReauthenticateError>> {
    let mut outcomes = raw.events.iter().filter_map(|event| match event {
        Event::Reauthenticated { token: t, result } if *t == token => Some(result.clone()),
        _ => None,
    });
    let first = outcomes.next();
    assert_eq!(outcomes.next(), None, "one outcome each");
    first
}

pub fn server() -> mqtt_session::Peer {
    std::net::SocketAddr::from(([192, 0, 2, 1], 1883)).into()
}

/// The connection ends with this error and this DISCONNECT, and the next one starts from the beginning.
pub fn ends(mut raw: Raw, wanted: &ConnectionError, disconnect: &str) {
    assert_eq!(&raw.last_loss(), wanted);
    assert_eq!(raw.lines(), [disconnect]);
    assert!(raw.hang_up(), "{wanted}");
    if raw.session.is_closed() {
        return;
    }
    raw.wait_for_dial();
    let attempt = raw.attempt.expect("an attempt");
    raw.input.clear();
    raw.session.handle_opened(raw.now, attempt);
    let (_, step) = step(&mut raw);
    assert!(matches!(step, AuthStep::Begin { again: false, .. }));
}

pub fn violates(raw: Raw, violation: Violation) {
    let addr = server();
    let code = format!("DISCONNECT 0x{:02X}", violation.reason().0);
    ends(raw, &ConnectionError::Protocol { addr, violation }, &code);
}

/// The last step, wherever it stands among the actions.
pub fn step_of(raw: &Raw) -> (Attempt, AuthStep) {
    let steps = raw.actions.iter().rev().find_map(|action| match action {
        Action::Authenticate { attempt, step } => Some((*attempt, step.clone())),
        _ => None,
    });
    steps.expect("a step")
}
