//! The filters and topics that the router is measured with.

use bytes::Bytes;
use mqtt_proto::{Topic, TopicFilter};
use mqtt_session::Router;

/// How a set of filters is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All of them exact.
    Exact,
    /// Of 100 filters, 90 are exact, 5 have a `+`, and 5 end with `#`.
    Mixed,
}

/// A topic of five levels, such as `site/7/line/42/temperature-3`.
pub fn topic(n: u32) -> String {
    let (site, line, sensor) = (n % 10, n / 10 % 1000, n / 10_000);
    format!("site/{site}/line/{line}/temperature-{sensor}")
}

/// The filter with this number. All are different.
pub fn filter(kind: Kind, n: u32) -> String {
    let (site, line, sensor) = (n % 10, n / 10 % 1000, n / 10_000);
    match (kind, n / 10 % 100) {
        (Kind::Mixed, 0..5) => format!("site/+/line/{line}/temperature-{n}"),
        (Kind::Mixed, 5..10) => format!("site/{site}/line/{line}/temperature-{sensor}/#"),
        _ => topic(n),
    }
}

/// So many filters, each with its number.
pub fn router(kind: Kind, count: u32) -> Router<u32> {
    let mut router = Router::new();
    for n in 0..count {
        let filter = TopicFilter::try_from(filter(kind, n)).expect("a filter");
        assert!(router.insert(&filter, n).is_none());
    }
    router
}

/// Topics that belong to the filters, spread over all of them without an order that a processor could foresee. Their bytes lie in a row, as those of
/// a packet that was just read are near.
pub fn topics(count: u32, filters: u32) -> Vec<Topic> {
    let mut state = 1u64;
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..count {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        bytes.extend_from_slice(topic((state >> 33) as u32 % filters).as_bytes());
        ends.push(bytes.len());
    }
    let bytes = Bytes::from(bytes);
    let mut begin = 0;
    ends.into_iter()
        .map(|end| {
            let topic = Topic::from_bytes(bytes.slice(begin..end)).expect("a topic");
            begin = end;
            topic
        })
        .collect()
}
