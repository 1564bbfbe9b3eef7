use alloc::borrow::ToOwned;
use alloc::string::String;

use mqtt_proto::Text;

use super::EndpointError;
use super::percent::decode;

/// What the parameters of a URL say of the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) client_id: Option<Text>,
    pub(crate) keep_alive: Option<u16>,
    pub(crate) clean_start: Option<bool>,
}

const CLIENT_ID: &str = "client_id";
const KEEP_ALIVE: &str = "keep_alive";
const CLEAN_START: &str = "clean_start";

impl Options {
    /// Reads `name=value&name=value`.
    pub(super) fn parse(query: &str) -> Result<Self, EndpointError> {
        let mut options = Self::default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let one = Self::parse_one(parameter)?;
            options = options.and(&one)?;
        }
        Ok(options)
    }

    fn parse_one(parameter: &str) -> Result<Self, EndpointError> {
        let (name, value) = parameter
            .split_once('=')
            .ok_or(EndpointError::UnknownOption {
                name: String::new(),
            })?;
        let text = || String::from_utf8(decode(value)?).ok();
        let mut options = Self::default();
        match name {
            CLIENT_ID => {
                let client_id = text().and_then(|text| Text::try_from(text).ok());
                options.client_id = Some(client_id.ok_or(EndpointError::BadOption {
                    name: CLIENT_ID,
                    wanted: "an MQTT string, percent-encoded",
                })?);
            }
            KEEP_ALIVE => {
                let seconds = text().and_then(|text| text.parse().ok());
                options.keep_alive = Some(seconds.ok_or(EndpointError::BadOption {
                    name: KEEP_ALIVE,
                    wanted: "a number of seconds from 0 to 65535",
                })?);
            }
            CLEAN_START => {
                let choice = text().and_then(|text| text.parse().ok());
                options.clean_start = Some(choice.ok_or(EndpointError::BadOption {
                    name: CLEAN_START,
                    wanted: "true or false",
                })?);
            }
            unknown => {
                return Err(EndpointError::UnknownOption {
                    name: unknown.to_owned(),
                });
            }
        }
        Ok(options)
    }

    /// These, and the other's where these say nothing.
    pub(crate) fn or(self, other: &Self) -> Self {
        Self {
            client_id: self.client_id.or_else(|| other.client_id.clone()),
            keep_alive: self.keep_alive.or(other.keep_alive),
            clean_start: self.clean_start.or(other.clean_start),
        }
    }

    /// Both, where neither contradicts the other.
    pub(crate) fn and(&self, other: &Self) -> Result<Self, EndpointError> {
        Ok(Self {
            client_id: both(CLIENT_ID, &self.client_id, &other.client_id)?,
            keep_alive: both(KEEP_ALIVE, &self.keep_alive, &other.keep_alive)?,
            clean_start: both(CLEAN_START, &self.clean_start, &other.clean_start)?,
        })
    }
}

fn both<T: Clone + PartialEq>(
    name: &'static str,
    one: &Option<T>,
    other: &Option<T>,
) -> Result<Option<T>, EndpointError> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(EndpointError::OptionTwice { name }),
        (one, other) => Ok(one.as_ref().or(other.as_ref()).cloned()),
    }
}
