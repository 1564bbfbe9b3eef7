//! Enhanced authentication (section 4.12).

use core::fmt;

use bytes::Bytes;
use mqtt_proto::{Auth, Connect, Disconnect, Packet, Properties, PropertiesRef, ReasonCode};

use super::connection::Phase;
use super::message::built;
use super::violation::{Checked, Fault};
use super::{Broker, ConnId};

/// Answers authentication methods for the broker.
pub trait Authenticator: fmt::Debug + Send {
    /// Takes a step: the first one of a connection or of a re-authentication if `first`.
    fn step(&mut self, conn: ConnId, first: bool, method: &str, data: Option<&[u8]>) -> AuthStep;
}

/// What an [`Authenticator`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthStep {
    /// Send AUTH with this data and wait for the answer.
    Continue(Bytes),
    /// The client is who it says. The data, if any, goes into CONNACK or AUTH.
    Accept(Option<Bytes>),
    /// It is not: refuse with this code.
    Refuse(ReasonCode),
}

impl Broker {
    /// A CONNECT with an authentication method.
    pub(super) fn begin_authentication(&mut self, conn: ConnId, connect: Box<Connect>) {
        let properties = connect.properties.view();
        let method = properties.authentication_method().unwrap_or_default();
        let data = properties.authentication_data();
        match self.step(conn, true, method, data) {
            AuthStep::Continue(data) => {
                let method = method.to_owned();
                if let Some(connection) = self.connections.get_mut(&conn) {
                    connection.version = connect.version;
                    connection.authentication_method = Some(method.clone());
                    connection.phase = Phase::Authenticating(connect);
                }
                self.send_auth(
                    conn,
                    ReasonCode::CONTINUE_AUTHENTICATION,
                    &method,
                    Some(&data),
                );
            }
            AuthStep::Accept(data) => self.accept(conn, &connect, data),
            AuthStep::Refuse(reason) => self.refuse(conn, reason, Properties::new()),
        }
    }

    /// AUTH has come.
    pub(super) fn authenticate(&mut self, conn: ConnId, auth: &Auth) -> Checked {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return Ok(());
        };
        let Some(method) = connection.authentication_method.clone() else {
            let text = "AUTH, but CONNECT had no authentication method";
            return Err(Fault::protocol("MQTT-4.12.0-7", text));
        };
        check_method(&method, auth.properties.view())?;
        let opening = match core::mem::replace(&mut connection.phase, Phase::Open) {
            Phase::Authenticating(connect) => Some(connect),
            phase => {
                connection.phase = phase;
                None
            }
        };
        let first = auth.reason == ReasonCode::RE_AUTHENTICATE;
        if first && opening.is_some() {
            let text = "re-authentication before CONNACK";
            return Err(Fault::protocol("MQTT-4.12.1-1", text));
        }
        let data = auth.properties.view().authentication_data();
        let step = self.step(conn, first, &method, data);
        match (step, opening) {
            (AuthStep::Continue(data), opening) => {
                if let Some(connection) = self.connections.get_mut(&conn)
                    && let Some(connect) = opening
                {
                    connection.phase = Phase::Authenticating(connect);
                }
                let reason = ReasonCode::CONTINUE_AUTHENTICATION;
                self.send_auth(conn, reason, &method, Some(&data));
            }
            (AuthStep::Accept(data), Some(connect)) => self.accept(conn, &connect, data),
            (AuthStep::Accept(data), None) => {
                self.send_auth(conn, ReasonCode::SUCCESS, &method, data.as_deref());
            }
            (AuthStep::Refuse(reason), Some(_)) => self.refuse(conn, reason, Properties::new()),
            // [MQTT-4.12.1-2]
            (AuthStep::Refuse(reason), None) => {
                self.close(conn, Some(Disconnect::new(reason)));
            }
        }
        Ok(())
    }

    fn step(&mut self, conn: ConnId, first: bool, method: &str, data: Option<&[u8]>) -> AuthStep {
        match &mut self.script.authenticator {
            Some(authenticator) => authenticator.step(conn, first, method, data),
            // [MQTT-4.12.0-1]
            None => AuthStep::Refuse(ReasonCode::BAD_AUTHENTICATION_METHOD),
        }
    }

    fn send_auth(&mut self, conn: ConnId, reason: ReasonCode, method: &str, data: Option<&[u8]>) {
        let mut properties = Properties::builder().authentication_method(method);
        if let Some(data) = data {
            properties = properties.authentication_data(data);
        }
        let properties = built(properties);
        self.say(conn, &Packet::Auth(Auth { reason, properties }));
    }
}

/// [MQTT-4.12.0-5]
fn check_method(method: &str, properties: PropertiesRef<'_>) -> Checked {
    match properties.authentication_method() {
        Some(same) if same == method => Ok(()),
        other => {
            let other = other.unwrap_or("none");
            let text = format!("the authentication method was '{method}' and is now '{other}'");
            Err(Fault::protocol("MQTT-4.12.0-5", text))
        }
    }
}
