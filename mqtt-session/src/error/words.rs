//! How errors say things.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use mqtt_proto::ReasonCode;

/// A time in three digits, and no more: `2.99 s`, `250 ms`.
pub(super) struct Rounded(pub(super) Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        let (value, unit) = if seconds >= 1.0 || self.0.is_zero() {
            (seconds, "s")
        } else if seconds >= 1e-3 {
            (seconds * 1e3, "ms")
        } else {
            (seconds * 1e6, "µs")
        };
        let digits = match value {
            100.0.. => 0,
            10.0.. => 1,
            _ => 2,
        };
        let digits = alloc::format!("{value:.digits$}");
        let digits = match digits.split_once('.') {
            Some(_) => digits.trim_end_matches('0').trim_end_matches('.'),
            None => &digits,
        };
        write!(f, "{digits} {unit}")
    }
}

/// `": words"`, or nothing.
pub(super) fn because(words: &Option<String>) -> String {
    words
        .as_ref()
        .map(|words| alloc::format!(": {}", shown(words)))
        .unwrap_or_default()
}

/// A server's words, for people: no more than a line of them, and nothing that a terminal or a log would take for its own.
pub(crate) fn shown(words: &str) -> String {
    const MOST: usize = 200;
    let mut shown = String::new();
    for (count, c) in words.chars().enumerate() {
        if count == MOST {
            shown.push_str("...");
            break;
        }
        // Of the latter, line ends, and marks that turn the direction of the text.
        let is_format = matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || is_format {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What to look at where CONNACK refuses, in parentheses; or nothing.
pub(super) const fn connack_hint(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::BAD_USER_NAME_OR_PASSWORD => {
            " (check user name and password, and whether the server knows this user)"
        }
        ReasonCode::NOT_AUTHORIZED => {
            " (check user name and password, that credentials are given at all, and what the server allows this user and client identifier)"
        }
        ReasonCode::UNSUPPORTED_PROTOCOL_VERSION => {
            " (`version` chooses another, `fall_back` tries 3.1.1 after 5.0)"
        }
        _ => "",
    }
}

/// What to look at where the server refuses a subscription or a message, in parentheses; or nothing.
#[cfg(feature = "client")]
pub(crate) const fn access_hint(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::BAD_USER_NAME_OR_PASSWORD | ReasonCode::NOT_AUTHORIZED => {
            " (check what the server's access rules allow this user)"
        }
        _ => "",
    }
}
