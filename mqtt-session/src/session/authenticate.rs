//! Enhanced authentication (section 4.12): when AUTH may come, what must be in it, and what follows.

use alloc::boxed::Box;
use alloc::string::ToString;
use core::time::Duration;

use mqtt_proto::{Auth, ConnAck, Packet, PacketType, Properties, PropertiesRef, ReasonCode};

use super::Session;
use super::stage::{Farewell, Stage};
use crate::auth::{AuthAnswer, AuthError, AuthStep};
use crate::{
    Action, Attempt, ConnectionError, Direction, Event, Instant, PacketSummary,
    ReauthenticateError, Timer, Token, Violation,
};

/// An authentication under way. There is at most one on a connection.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The re-authentication that this is; `None` before CONNACK.
    token: Option<Token>,
    waits: Waits,
    since: Instant,
    /// How many challenges have come.
    challenges: u16,
}

#[derive(Debug)]
enum Waits {
    /// For the server's AUTH or CONNACK.
    Server,
    /// For the authenticator.
    Begin(Attempt),
    Challenge(Attempt),
    /// Nothing of the connection is believed before: CONNACK waits, where this is the first authentication.
    Verify(Attempt, Option<Box<ConnAck>>),
}

impl Waits {
    const fn attempt(&self) -> Option<Attempt> {
        match self {
            Self::Server => None,
            Self::Begin(attempt) | Self::Challenge(attempt) | Self::Verify(attempt, _) => {
                Some(*attempt)
            }
        }
    }
}

impl Session {
    /// The stream is open: asks for the first data where a method is configured, and then CONNECT waits for them.
    pub(super) fn authenticates_first(&mut self) -> bool {
        let wanted = self.authentication_method().is_some();
        if wanted {
            self.begin_exchange(None);
        }
        wanted
    }

    pub(super) fn begin_reauthentication(&mut self) -> Result<Token, ReauthenticateError> {
        // [MQTT-4.12.0-7]
        if self.authentication_method().is_none() {
            return Err(ReauthenticateError::NoMethod);
        }
        if self.leaving.is_some() || self.is_closed() {
            return Err(ReauthenticateError::Closed);
        }
        // [MQTT-4.12.1-1]
        if !self.link.connected {
            return Err(ReauthenticateError::NotConnected);
        }
        if self.link.exchange.is_some() {
            return Err(ReauthenticateError::InProgress);
        }
        let token = self.outgoing.next_token();
        self.begin_exchange(Some(token));
        Ok(token)
    }

    /// The method of CONNECT, which is that of every AUTH [MQTT-4.12.0-5], [MQTT-4.12.1-1].
    fn authentication_method(&self) -> Option<&str> {
        self.config
            .connect
            .properties
            .view()
            .authentication_method()
    }

    fn begin_exchange(&mut self, token: Option<Token>) {
        let again = token.is_some();
        let method = self.authentication_method().unwrap_or_default().to_string();
        self.link.exchange = Some(Box::new(Exchange {
            token,
            waits: Waits::Server,
            since: self.now,
            challenges: 0,
        }));
        self.ask(AuthStep::Begin { method, again }, Waits::Begin);
    }

    /// Asks the authenticator. The server's time does not run meanwhile.
    fn ask(&mut self, step: AuthStep, waits: impl FnOnce(Attempt) -> Waits) {
        let attempt = self.next_attempt();
        let patience = self.patience(&step);
        let Some(exchange) = &mut self.link.exchange else {
            return;
        };
        exchange.waits = waits(attempt);
        exchange.since = self.now;
        self.timers.stop(Timer::ConnAck);
        self.timers.set(Timer::Auth, self.now + patience);
        self.actions
            .push_back(Action::Authenticate { attempt, step });
    }

    /// How long the authenticator may take: `timeouts.auth`. But between CONNECT and being connected nothing else can be sent, and the server counts
    /// our silence: no longer than keep-alive allows [MQTT-3.1.2-20].
    fn patience(&self, step: &AuthStep) -> Duration {
        let patience = self.config.timeouts.auth;
        let said = match step {
            AuthStep::Challenge { properties } | AuthStep::Verify { properties }
                if !self.link.connected =>
            {
                properties.view().server_keep_alive()
            }
            _ => return patience,
        };
        let keep_alive = said.unwrap_or(self.config.connect.keep_alive);
        if keep_alive == 0 {
            return patience;
        }
        let interval = Duration::from_secs(keep_alive.into());
        let silent = self.now - self.link.last_written;
        // A server that took long itself has left little of it: it waits for one and a half.
        patience.min(interval.saturating_sub(silent).max(interval / 4))
    }

    /// It is the server's turn.
    fn await_server(&mut self) {
        let Some(exchange) = &mut self.link.exchange else {
            return;
        };
        exchange.since = self.now;
        let timeouts = &self.config.timeouts;
        let (timer, patience) = if exchange.token.is_some() {
            (Timer::Auth, timeouts.auth)
        } else {
            (Timer::ConnAck, timeouts.connack)
        };
        self.timers.set(timer, self.now + patience);
    }

    /// The authenticator has answered.
    pub(super) fn auth_answered(
        &mut self,
        attempt: Attempt,
        answer: Result<AuthAnswer, AuthError>,
    ) {
        let Some(exchange) = &mut self.link.exchange else {
            return;
        };
        if exchange.waits.attempt() != Some(attempt) || !matches!(self.stage, Stage::Open { .. }) {
            return;
        }
        let token = exchange.token;
        let asked = core::mem::replace(&mut exchange.waits, Waits::Server);
        self.timers.stop(Timer::Auth);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.auth_failed(error),
        };
        let sent = match asked {
            Waits::Server => Ok(()),
            // [MQTT-4.12.1-1]
            Waits::Begin(_) if token.is_some() => {
                self.send_auth(ReasonCode::RE_AUTHENTICATE, &answer)
            }
            Waits::Begin(_) => self.connect_with(&answer),
            // [MQTT-4.12.0-3]
            Waits::Challenge(_) => self.send_auth(ReasonCode::CONTINUE_AUTHENTICATION, &answer),
            Waits::Verify(_, connack) => return self.authenticated(connack),
        };
        match sent {
            Ok(()) => self.await_server(),
            Err(error) => self.auth_failed(error),
        }
    }

    /// Both sides are satisfied.
    fn authenticated(&mut self, connack: Option<Box<ConnAck>>) {
        let token = self.link.exchange.take().and_then(|ended| ended.token);
        if let Some(connack) = connack {
            self.accepted(*connack);
        }
        if let Some(token) = token {
            let result = Ok(());
            self.events
                .push_back(Event::Reauthenticated { token, result });
        }
    }

    /// CONNECT with the first data.
    fn connect_with(&mut self, answer: &AuthAnswer) -> Result<(), AuthError> {
        let mut properties = Properties::builder()
            .extend(self.config.connect.properties.view())
            .extend(answer.properties.view());
        if let Some(data) = &answer.data {
            properties = properties.authentication_data(data);
        }
        let properties = properties.build()?;
        Ok(self.send_connect(properties)?)
    }

    fn send_auth(&mut self, reason: ReasonCode, answer: &AuthAnswer) -> Result<(), AuthError> {
        let method = self.authentication_method().unwrap_or_default();
        let mut properties = Properties::builder().authentication_method(method);
        if let Some(data) = &answer.data {
            properties = properties.authentication_data(data);
        }
        let properties = properties.extend(answer.properties.view()).build()?;
        let auth = Packet::Auth(Auth { reason, properties });
        let len = self.link.encoder.encode(&auth, &mut self.link.outbox)?;
        self.events
            .packet(|| PacketSummary::of(Direction::Sent, &auth, len));
        self.link.encoded += len as u64;
        Ok(())
    }

    /// AUTH has come.
    pub(super) fn auth_received(&mut self, auth: Auth) {
        let same = self.is_same_method(auth.properties.view());
        let limit = self.config.limits.max_auth_challenges;
        let Some(exchange) = &mut self.link.exchange else {
            // [MQTT-4.12.0-6], or nothing is under way.
            return self.auth_unasked();
        };
        if exchange.waits.attempt().is_some() {
            return self.auth_unasked();
        }
        // [MQTT-4.12.0-5]
        if !same {
            let packet = PacketType::Auth;
            return self.violated(Violation::AuthenticationMethod { packet });
        }
        let properties = auth.properties;
        match auth.reason {
            ReasonCode::CONTINUE_AUTHENTICATION if exchange.challenges >= limit => {
                self.violated(Violation::AuthChallenges { max: limit });
            }
            ReasonCode::CONTINUE_AUTHENTICATION => {
                exchange.challenges += 1;
                self.ask(AuthStep::Challenge { properties }, Waits::Challenge);
            }
            ReasonCode::SUCCESS if exchange.token.is_some() => {
                self.ask(AuthStep::Verify { properties }, |id| {
                    Waits::Verify(id, None)
                });
            }
            // [MQTT-4.12.0-2]: CONNACK says it, the first time.
            reason => self.violated(Violation::AuthReason { reason }),
        }
    }

    fn auth_unasked(&mut self) {
        let packet = PacketType::Auth;
        self.violated(if self.link.connected {
            Violation::Unexpected { packet }
        } else {
            Violation::BeforeConnAck { packet }
        });
    }

    /// CONNACK with success has come. It is taken when the authenticator is satisfied, where there is one.
    pub(super) fn connack_authenticates(&mut self, connack: ConnAck) {
        let packet = PacketType::ConnAck;
        let said = connack.properties.view();
        let Some(exchange) = &self.link.exchange else {
            // [MQTT-4.12.0-6]
            if said.authentication_method().is_some() || said.authentication_data().is_some() {
                return self.violated(Violation::AuthenticationMethod { packet });
            }
            return self.accepted(connack);
        };
        // Before CONNECT, or before our answer.
        if exchange.waits.attempt().is_some() {
            return self.violated(Violation::Unexpected { packet });
        }
        // [MQTT-4.12.0-5]
        if !self.is_same_method(said) {
            return self.violated(Violation::AuthenticationMethod { packet });
        }
        let properties = connack.properties.clone();
        let connack = Some(Box::new(connack));
        self.ask(AuthStep::Verify { properties }, |attempt| {
            Waits::Verify(attempt, connack)
        });
    }

    fn is_same_method(&self, said: PropertiesRef<'_>) -> bool {
        said.authentication_method() == self.authentication_method()
    }

    /// Whether CONNACK waits for the authenticator: what came behind it is not looked at before.
    pub(super) fn verifies_connack(&self) -> bool {
        let exchange = self.link.exchange.as_deref();
        exchange.is_some_and(|exchange| matches!(exchange.waits, Waits::Verify(_, Some(_))))
    }

    /// We are not satisfied, or can't go on [MQTT-4.12.1-2].
    fn auth_failed(&mut self, error: AuthError) {
        let Some(addr) = self.peer() else {
            return;
        };
        let farewell = Farewell::Reason(error.reason());
        self.lose(ConnectionError::Authentication { addr, error }, farewell);
    }

    /// Whoever's turn it was has taken too long.
    pub(super) fn auth_due(&mut self) {
        let (Stage::Open { addr, .. }, Some(exchange)) = (&self.stage, &self.link.exchange) else {
            return;
        };
        let (addr, after) = (addr.clone(), self.now - exchange.since);
        let error = match exchange.waits.attempt() {
            Some(_) => ConnectionError::AuthenticatorTimedOut { addr, after },
            None => ConnectionError::NoAuth { addr, after },
        };
        self.lose(error, Farewell::Reason(ReasonCode::UNSPECIFIED_ERROR));
    }

    /// The connection ends, and with it a re-authentication.
    pub(super) fn end_exchange(&mut self, why: impl FnOnce() -> ReauthenticateError) {
        let Some(ended) = self.link.exchange.take() else {
            return;
        };
        if let Some(attempt) = ended.waits.attempt() {
            self.actions.push_back(Action::Cancel { attempt });
        }
        if let Some(token) = ended.token {
            let result = Err(why());
            self.events
                .push_back(Event::Reauthenticated { token, result });
        }
    }
}
