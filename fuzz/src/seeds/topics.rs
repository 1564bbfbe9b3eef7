/// Filters and topics: those of section 4.7, and what lies beside them.
pub(super) fn all() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (at, (filter, topic)) in PAIRS.iter().enumerate() {
        let input = [filter.as_bytes(), &[0xFF], topic.as_bytes()].concat();
        seeds.push((format!("pair-{at:02}"), input));
    }
    for (name, input) in RAW {
        seeds.push(((*name).to_owned(), input.to_vec()));
    }
    seeds
}

const PAIRS: &[(&str, &str)] = &[
    ("sport/tennis/player1/#", "sport/tennis/player1"),
    (
        "sport/tennis/player1/#",
        "sport/tennis/player1/score/wimbledon",
    ),
    ("sport/#", "sport"),
    ("#", "sport/tennis"),
    ("sport/tennis#", "sport/tennis"),
    ("sport/tennis/#/ranking", "sport/tennis"),
    ("sport/tennis/+", "sport/tennis/player1/ranking"),
    ("sport/+", "sport"),
    ("sport/+", "sport/"),
    ("+", "/finance"),
    ("+/+", "/finance"),
    ("/+", "/finance"),
    ("+/tennis/#", "sport/tennis"),
    ("sport+", "sport"),
    ("+sport", "sport"),
    ("#", "$SYS/monitor/Clients"),
    ("+/monitor/Clients", "$SYS/monitor/Clients"),
    ("$SYS/#", "$SYS/monitor/Clients"),
    ("$SYS/monitor/+", "$SYS/monitor/Clients"),
    ("Accounts payable", "ACCOUNTS payable"),
    ("a//b", "a//b"),
    ("a/+/b", "a//b"),
    ("//", "//"),
    ("+/+/+", "//"),
    ("é/\u{10FFFF}", "é/\u{10FFFF}"),
    ("$share/group/sport/+", "sport/tennis"),
    ("$share/group/sport/+", "sport"),
    ("$share/group/#", "$SYS/x"),
    ("$share/group/$SYS/#", "$SYS/x"),
    ("$share/group/$share/group/a", "$share/group/a"),
    ("$share/group/", "a"),
    ("$share//a", "a"),
    ("$share/group", "a"),
    ("$share/", "a"),
    ("$share", "$share"),
    ("$share/gr+up/a", "a"),
    ("$share/#/a", "a"),
    ("$shares/group/a", "$shares/group/a"),
    ("a/+", "a/$SYS"),
    ("a/#", "a/$SYS"),
    ("a", "a+"),
    ("a", "#"),
    ("a", ""),
    ("", "a"),
];

const RAW: &[(&str, &[u8])] = &[
    ("nul-in-filter", b"a\0b\xFFa"),
    ("nul-in-topic", b"a\xFFa\0"),
    ("surrogate", b"\xED\xA0\x80\xFFa"),
    ("over-long", b"\xC0\xAF\xFFa"),
    ("cut-character", b"a\xFF\xE2\x82"),
    ("no-separator", b"a/b"),
];
