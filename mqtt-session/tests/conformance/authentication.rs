//! Enhanced authentication (section 4.12).

use mqtt_session::proto::{Auth, ConnAck, Disconnect, Packet, PacketType, Properties, ReasonCode};
use mqtt_session::{ConnectionError, Event, Phase, ReauthenticateError, Violation};

use crate::pair::exchange::{
    CONTINUE, METHOD, again, answer, auth, authenticated, begun, challenge, connack, outcome,
    properties, step, success, with_data,
};
use crate::runner::Cases;
use crate::support::assert_violated;

pub(crate) fn add(cases: &mut Cases) {
    cases.v5(
        &["MQTT-4.12.0-1", "MQTT-4.12.0-4"],
        "a refusal is told whenever it comes, and one of the method is not tried again",
        || {
            for (reason, retried) in [
                (ReasonCode::BAD_AUTHENTICATION_METHOD, false),
                (ReasonCode::NOT_AUTHORIZED, false),
                (ReasonCode::SERVER_BUSY, true),
            ] {
                for rounds in 0..3 {
                    let mut raw = begun();
                    for _ in 0..rounds {
                        raw.feed(&challenge("who?"));
                        answer(&mut raw, "me");
                    }
                    raw.packets();
                    raw.feed(&Packet::ConnAck(ConnAck {
                        session_present: false,
                        reason,
                        properties: Properties::new(),
                    }));
                    let (error, retry_in) = raw.losses().remove(0);
                    assert!(
                        matches!(error, ConnectionError::Refused { reason: r, .. } if r == reason),
                        "{error}"
                    );
                    assert_eq!(retry_in.is_some(), retried);
                    assert!(raw.packets().is_empty());
                }
            }
        },
    );
    cases.v5(
        &["MQTT-4.12.0-2"],
        "AUTH before CONNACK has Continue Authentication, or ends the connection",
        || {
            let mut raw = begun();
            raw.feed(&success("welcome"));
            let reason = ReasonCode::SUCCESS;
            let violation = assert_violated(&mut raw, 0x82);
            assert_eq!(violation, Violation::AuthReason { reason });
        },
    );
    cases.v5(
        &["MQTT-4.12.0-3"],
        "a challenge is answered by AUTH with Continue Authentication",
        || {
            let mut raw = begun();
            for _ in 0..3 {
                raw.feed(&challenge("who?"));
                answer(&mut raw, "me");
                assert_eq!(raw.packets(), [auth(CONTINUE, with_data("me"))]);
            }
        },
    );
    cases.v5(
        &["MQTT-4.12.0-5"],
        "another method than that of CONNECT, or none, ends the connection",
        || {
            for method in [None, Some("OTHER")] {
                let mut raw = begun();
                raw.feed(&connack(properties(method, Some("x"))));
                let packet = PacketType::ConnAck;
                let violation = assert_violated(&mut raw, 0x82);
                assert_eq!(violation, Violation::AuthenticationMethod { packet });
            }
            for mut raw in [begun(), again().0] {
                raw.feed(&auth(CONTINUE, properties(Some("OTHER"), Some("x"))));
                let packet = PacketType::Auth;
                let violation = assert_violated(&mut raw, 0x82);
                assert_eq!(violation, Violation::AuthenticationMethod { packet });
            }
        },
    );
    cases.v5(
        &["MQTT-4.12.1-1"],
        "a re-authentication is AUTH with Re-authenticate and the method of CONNECT, and not before CONNACK",
        || {
            let mut raw = begun();
            let refused = raw.session.reauthenticate(raw.now);
            assert_eq!(refused, Err(ReauthenticateError::NotConnected));
            let mut raw = authenticated();
            raw.session.reauthenticate(raw.now).expect("it begins");
            answer(&mut raw, "me");
            let reason = ReasonCode::RE_AUTHENTICATE;
            let Packet::Auth(Auth { properties, .. }) = auth(reason, with_data("me")) else {
                return;
            };
            assert_eq!(properties.view().authentication_method(), Some(METHOD));
            assert_eq!(raw.packets(), [Packet::Auth(Auth { reason, properties })]);
        },
    );
    cases.v5(
        &["MQTT-4.12.1-2"],
        "a re-authentication that fails on either side ends the connection",
        || {
            let (mut raw, token) = again();
            raw.feed(&Packet::Disconnect(Disconnect::new(
                ReasonCode::NOT_AUTHORIZED,
            )));
            assert!(raw.events.iter().any(|e| matches!(e, Event::Lost { .. })));
            assert!(matches!(
                outcome(&raw, token),
                Some(Err(ReauthenticateError::Lost(_)))
            ));
            let (mut raw, token) = again();
            raw.feed(&success("forged"));
            let (attempt, _) = step(&mut raw);
            let error = mqtt_session::auth::AuthError::Signature;
            raw.session.handle_auth(raw.now, attempt, Err(error));
            assert_eq!(raw.lines(), ["DISCONNECT 0x80"]);
            assert_eq!(raw.session.phase(), Phase::Closing);
            assert!(matches!(
                outcome(&raw, token),
                Some(Err(ReauthenticateError::Lost(_)))
            ));
        },
    );
}
