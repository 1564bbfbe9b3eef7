//! What the client of each script does.

mod connecting;
mod publishing;
mod receiving;
mod requesting;
mod securing;
mod subscribing;
mod tokenising;

use std::pin::Pin;

use mqtt_behaviour::Result;
use mqtt_session::client::Message;

use crate::run::Run;

pub(crate) type Play = for<'a> fn(&'a Run<'a>) -> Pin<Box<dyn Future<Output = Result> + 'a>>;

/// The program's part in an exchange, under the name of the program.
macro_rules! play {
    ($($name:literal => $play:expr,)*) => {
        &[$(($name, |run| Box::pin($play(run)))),*]
    };
}

pub(crate) const SCRIPTS: &[(&str, Play)] = play! {
    "01-con-discon-success" => connecting::and_disconnecting,
    "01-keepalive-pingreq" => connecting::keeping_alive,
    "01-no-clean-session" => connecting::resuming,
    "01-server-keepalive-pingreq" => connecting::keeping_alive_as_told,
    "01-unpwd-set" => connecting::with_credentials,
    "01-will-set" => connecting::with_will,
    "01-will-unpwd-set" => connecting::with_both,
    "02-subscribe-qos0" => subscribing::at_most_once,
    "02-subscribe-qos1" => subscribing::at_least_once,
    "02-subscribe-qos2" => subscribing::exactly_once,
    "02-unsubscribe" => subscribing::and_not,
    "02-unsubscribe-multiple-v5" => subscribing::and_from_several_not,
    "02-unsubscribe-v5" => subscribing::and_not_v5,
    "03-publish-b2c-qos1" => receiving::at_least_once,
    "03-publish-b2c-qos1-unexpected-puback" => receiving::unexpected_puback,
    "03-publish-b2c-qos2" => receiving::exactly_once,
    "03-publish-b2c-qos2-len" => receiving::exactly_once_v5,
    "03-publish-b2c-qos2-unexpected-pubcomp" => receiving::unexpected_pubcomp,
    "03-publish-b2c-qos2-unexpected-pubrel" => receiving::unexpected_pubrel,
    "03-publish-c2b-qos1-disconnect" => publishing::at_least_once,
    "03-publish-c2b-qos1-len" => publishing::at_least_once_v5,
    "03-publish-c2b-qos1-receive-maximum" => publishing::six_at_least_once,
    "03-publish-c2b-qos1-timeout" => publishing::at_least_once,
    "03-publish-c2b-qos2" => publishing::exactly_once,
    "03-publish-c2b-qos2-disconnect" => publishing::exactly_once,
    "03-publish-c2b-qos2-len" => publishing::exactly_once_v5,
    "03-publish-c2b-qos2-maximum-qos-0" => publishing::where_qos_0_is_the_most,
    "03-publish-c2b-qos2-maximum-qos-1" => publishing::where_qos_1_is_the_most,
    "03-publish-c2b-qos2-pubrec-error" => publishing::one_that_is_refused,
    "03-publish-c2b-qos2-receive-maximum-1" => publishing::five_exactly_once,
    "03-publish-c2b-qos2-receive-maximum-2" => publishing::five_exactly_once,
    "03-publish-c2b-qos2-timeout" => publishing::exactly_once,
    "03-publish-qos0" => publishing::at_most_once,
    "03-publish-qos0-no-payload" => publishing::nothing,
    "03-request-response-1" => requesting::asking,
    "03-request-response-2" => requesting::answering,
    "03-request-response-correlation-1" => requesting::asking_with_correlation,
    "04-retain-qos0" => publishing::retained,
    "08-ssl-bad-cacert" => securing::without_authority,
    "08-ssl-connect-cert-auth" => securing::with_certificate,
    "08-ssl-connect-cert-auth-enc" => securing::with_encrypted_key,
    "08-ssl-connect-no-auth" => securing::without_certificate,
    "08-ssl-fake-cacert" => securing::with_false_authority,
    "09-util-topic-tokenise" => tokenising::levels,
    "11-prop-oversize-packet" => publishing::too_much,
    "11-prop-recv-qos0" => receiving::properties_at_most_once,
    "11-prop-recv-qos1" => receiving::properties_at_least_once,
    "11-prop-recv-qos2" => receiving::properties_exactly_once,
    "11-prop-send-content-type" => publishing::with_content_type,
    "11-prop-send-payload-format" => publishing::with_payload_format,
};

/// What is received must be this.
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should: T) -> Result {
    if is == should {
        return Ok(());
    }
    Err(format!("the {what} is {is:?}, and should be {should:?}").into())
}

/// The stream has not ended.
fn some(message: Option<Message>) -> Result<Message> {
    Ok(message.ok_or("the session was closed before a message came")?)
}
