//! The scenarios.

use mqtt_proto::{Flow, PacketType, Properties, QoS, RetainHandling, SubscribeOptions};

use crate::script::{As, Script, flow, id};

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) only_v5: bool,
    pub(crate) play: fn(&mut Script<'_>),
}

const fn all(name: &'static str, play: fn(&mut Script<'_>)) -> Scenario {
    Scenario {
        name,
        only_v5: false,
        play,
    }
}

const fn v5(name: &'static str, play: fn(&mut Script<'_>)) -> Scenario {
    Scenario {
        name,
        only_v5: true,
        play,
    }
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    all("a message comes with the lower QoS", lower_qos),
    all("a session is kept, and ends with a clean start", kept),
    all("QoS 1 is sent again with DUP after a cut", again_1),
    all(
        "QoS 2 is sent again with DUP after a cut before PUBREC",
        again_2,
    ),
    all(
        "PUBREL is sent again after a cut behind PUBREC",
        release_again,
    ),
    all("messages wait for a client that is away, in order", waiting),
    all(
        "a retained message comes to a new subscription, is replaced and removed",
        retained,
    ),
    all("a subscription that is made again is replaced", replaced),
    all("what is unsubscribed from comes no more", unsubscribed),
    all(
        "a QoS 2 message that comes again before PUBREL is passed on once",
        once,
    ),
    all("a second connection takes the session over", taken_over),
    all(
        "a will is published after a cut and not after DISCONNECT",
        will,
    ),
    all("wildcards match levels, and not $-topics", wildcards),
    v5(
        "retained messages as the subscription asks for them",
        handling,
    ),
    v5(
        "RETAIN is kept where the subscription asks for that",
        as_published,
    ),
    v5("no local keeps a client's own messages from it", no_local),
    v5("of a shared subscription one gets each message", shared),
    v5("messages name their subscription's identifier", identifiers),
    v5("a session without expiry ends with its connection", expired),
    v5("there is no subscription to end", not_there),
];

fn options(qos: QoS) -> SubscribeOptions {
    qos.into()
}

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Acknowledges what a client was sent, to the end.
fn acknowledge(s: &mut Script<'_>, client: usize, qos: QoS) {
    match qos {
        QoS::AtMostOnce => {}
        QoS::AtLeastOnce => s.ack(client, PacketType::PubAck, s.last(client)),
        QoS::ExactlyOnce => {
            s.ack(client, PacketType::PubRec, s.last(client));
            s.ack(client, PacketType::PubComp, s.last(client));
        }
    }
}

fn lower_qos(s: &mut Script<'_>) {
    let (to, from) = (
        s.connect("to", As::default()),
        s.connect("from", As::default()),
    );
    for granted in QOS {
        s.subscribe(to, &[("a", options(granted))]);
        for (number, sent) in (1..).zip(QOS) {
            s.publish(from, "a", "x", flow(sent, number));
            if sent == QoS::ExactlyOnce {
                s.ack(from, PacketType::PubRel, id(number));
            }
            s.listen(to);
            acknowledge(s, to, sent.min(granted));
        }
    }
}

fn kept(s: &mut Script<'_>) {
    let first = s.connect("one", As::durable());
    s.disconnect(first);
    let second = s.connect("one", As::durable());
    s.cut(second);
    let third = s.connect("one", As::durable());
    s.disconnect(third);
    let clean = s.connect("one", As::default());
    s.disconnect(clean);
    s.connect("one", As::durable());
}

fn again(s: &mut Script<'_>, qos: QoS) {
    let from = s.connect("from", As::default());
    let to = s.connect("to", As::durable());
    s.subscribe(to, &[("a", options(qos))]);
    s.publish(from, "a", "first", flow(QoS::AtLeastOnce, 1));
    if qos == QoS::ExactlyOnce {
        s.publish(from, "a", "second", flow(qos, 2));
        s.ack(from, PacketType::PubRel, id(2));
    }
    s.listen(to);
    s.cut(to);
    let to = s.connect("to", As::durable());
    s.listen(to);
}

fn again_1(s: &mut Script<'_>) {
    again(s, QoS::AtLeastOnce);
}

fn again_2(s: &mut Script<'_>) {
    again(s, QoS::ExactlyOnce);
}

fn release_again(s: &mut Script<'_>) {
    let from = s.connect("from", As::default());
    let to = s.connect("to", As::durable());
    s.subscribe(to, &[("a", options(QoS::ExactlyOnce))]);
    s.publish(from, "a", "x", flow(QoS::ExactlyOnce, 1));
    s.ack(from, PacketType::PubRel, id(1));
    s.listen(to);
    s.ack(to, PacketType::PubRec, s.last(to));
    s.cut(to);
    let to = s.connect("to", As::durable());
    s.listen(to);
    s.ack(to, PacketType::PubComp, s.last(to));
    s.cut(to);
    s.connect("to", As::durable());
}

fn waiting(s: &mut Script<'_>) {
    let from = s.connect("from", As::default());
    let to = s.connect("to", As::durable());
    s.subscribe(to, &[("a", options(QoS::AtLeastOnce))]);
    s.disconnect(to);
    for number in 1..=5 {
        s.publish(
            from,
            "a",
            &number.to_string(),
            flow(QoS::AtLeastOnce, number),
        );
    }
    s.publish(from, "a", "not kept", Flow::AtMostOnce);
    let to = s.connect("to", As::durable());
    s.listen(to);
}

fn retained(s: &mut Script<'_>) {
    let (from, to) = (
        s.connect("from", As::default()),
        s.connect("to", As::default()),
    );
    s.retain(from, "a", "first");
    s.retain(from, "a", "second");
    s.retain(from, "b", "gone");
    s.retain(from, "b", "");
    s.subscribe(
        to,
        &[
            ("a", options(QoS::AtLeastOnce)),
            ("b", options(QoS::AtLeastOnce)),
        ],
    );
    s.listen(to);
    // Who is subscribed gets it as a message like any other.
    s.retain(from, "a", "third");
    s.listen(to);
}

fn replaced(s: &mut Script<'_>) {
    let (from, to) = (
        s.connect("from", As::default()),
        s.connect("to", As::default()),
    );
    s.retain(from, "a", "kept");
    s.subscribe(to, &[("a", options(QoS::AtLeastOnce))]);
    s.subscribe(to, &[("a", options(QoS::AtMostOnce))]);
    s.listen(to);
    s.publish(from, "a", "x", flow(QoS::AtLeastOnce, 1));
    s.listen(to);
}

fn unsubscribed(s: &mut Script<'_>) {
    let (from, to) = (
        s.connect("from", As::default()),
        s.connect("to", As::default()),
    );
    let other = s.connect("other", As::default());
    s.subscribe(other, &[("#", options(QoS::AtMostOnce))]);
    s.subscribe(
        to,
        &[
            ("a", options(QoS::AtMostOnce)),
            ("b", options(QoS::AtMostOnce)),
        ],
    );
    s.unsubscribe(to, &["a"]);
    for topic in ["a", "b"] {
        s.publish(from, topic, "x", flow(QoS::AtLeastOnce, 1));
    }
    s.listen(to);
    s.listen(other);
}

fn once(s: &mut Script<'_>) {
    let (from, to) = (
        s.connect("from", As::durable()),
        s.connect("to", As::default()),
    );
    s.subscribe(to, &[("a", options(QoS::AtMostOnce))]);
    s.publish(from, "a", "x", flow(QoS::ExactlyOnce, 7));
    s.cut(from);
    let from = s.connect("from", As::durable());
    let (id, dup) = (id(7), true);
    s.publish(from, "a", "x", Flow::ExactlyOnce { id, dup });
    s.ack(from, PacketType::PubRel, id);
    s.publish(from, "a", "y", flow(QoS::ExactlyOnce, 7));
    s.ack(from, PacketType::PubRel, id);
    s.listen(to);
}

fn taken_over(s: &mut Script<'_>) {
    let first = s.connect("one", As::durable());
    s.subscribe(first, &[("a", options(QoS::AtMostOnce))]);
    let second = s.connect("one", As::durable());
    s.hear_the_end(first);
    s.publish(second, "a", "x", Flow::AtMostOnce);
}

fn will(s: &mut Script<'_>) {
    let to = s.connect("to", As::default());
    s.subscribe(to, &[("will/+", options(QoS::AtLeastOnce))]);
    for (topic, in_order) in [("will/1", false), ("will/2", true)] {
        let how = As {
            will: Some((topic, QoS::AtLeastOnce)),
            ..As::default()
        };
        let mortal = s.connect("mortal", how);
        if in_order {
            s.disconnect(mortal);
        } else {
            s.cut(mortal);
        }
        s.listen(to);
    }
}

fn wildcards(s: &mut Script<'_>) {
    let from = s.connect("from", As::default());
    for filter in ["#", "+", "a/#", "a/+", "+/+", "/+", "+/b/#", "$x/#", "+/y"] {
        let to = s.connect("to", As::default());
        s.subscribe(to, &[(filter, options(QoS::AtMostOnce))]);
        for topic in ["a", "a/b", "a/b/c", "/a", "a/", "b/b", "$x/y"] {
            s.publish(from, topic, "x", Flow::AtMostOnce);
        }
        s.listen(to);
        s.disconnect(to);
    }
}

fn handling(s: &mut Script<'_>) {
    let (from, to) = (
        s.connect("from", As::default()),
        s.connect("to", As::default()),
    );
    s.retain(from, "a", "kept");
    for handling in [
        RetainHandling::SendIfNew,
        RetainHandling::SendIfNew,
        RetainHandling::DoNotSend,
        RetainHandling::Send,
    ] {
        let mut options = options(QoS::AtMostOnce);
        options.retain_handling = handling;
        s.subscribe(to, &[("a", options)]);
    }
}

fn as_published(s: &mut Script<'_>) {
    let (from, to) = (
        s.connect("from", As::default()),
        s.connect("to", As::default()),
    );
    let mut keeping = options(QoS::AtMostOnce);
    keeping.retain_as_published = true;
    s.subscribe(to, &[("a", keeping), ("b", options(QoS::AtMostOnce))]);
    s.retain(from, "a", "x");
    s.retain(from, "b", "x");
    s.publish(from, "a", "y", Flow::AtMostOnce);
    s.listen(to);
}

fn no_local(s: &mut Script<'_>) {
    let one = s.connect("one", As::default());
    let mut others = options(QoS::AtMostOnce);
    others.no_local = true;
    s.subscribe(one, &[("a", others), ("b", options(QoS::AtMostOnce))]);
    for topic in ["a", "b"] {
        s.publish(one, topic, "x", Flow::AtMostOnce);
    }
    let other = s.connect("other", As::default());
    s.publish(other, "a", "y", Flow::AtMostOnce);
    s.listen(one);
}

fn shared(s: &mut Script<'_>) {
    let from = s.connect("from", As::default());
    let members = [
        s.connect("same", As::default()),
        s.connect("other", As::default()),
    ];
    for member in members {
        s.subscribe(member, &[("$share/g/a", options(QoS::AtMostOnce))]);
    }
    // Whose turn it is is the broker's affair: so one leaves.
    s.disconnect(members[1]);
    for _ in 0..3 {
        s.publish(from, "a", "x", Flow::AtMostOnce);
    }
    s.listen(members[0]);
}

fn identifiers(s: &mut Script<'_>) {
    let (from, to) = (
        s.connect("from", As::default()),
        s.connect("to", As::default()),
    );
    let numbered = |number| {
        let properties = Properties::builder().subscription_identifier(number);
        properties.build().expect("properties")
    };
    s.subscribe_with(to, &[("a", options(QoS::AtMostOnce))], numbered(5));
    s.subscribe_with(to, &[("b/+", options(QoS::AtLeastOnce))], numbered(300));
    s.subscribe(to, &[("c", options(QoS::AtMostOnce))]);
    for topic in ["a", "b/b", "c"] {
        s.publish(from, topic, "x", flow(QoS::AtLeastOnce, 1));
    }
    s.listen(to);
}

fn expired(s: &mut Script<'_>) {
    let how = As {
        resumes: true,
        ..As::default()
    };
    let one = s.connect("one", how.clone());
    s.subscribe(one, &[("a", options(QoS::AtLeastOnce))]);
    s.disconnect(one);
    s.connect("one", how);
}

fn not_there(s: &mut Script<'_>) {
    let one = s.connect("one", As::default());
    s.subscribe(one, &[("a", options(QoS::AtMostOnce))]);
    s.unsubscribe(one, &["a", "b", "a"]);
}
